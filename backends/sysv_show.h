/* SPDX-License-Identifier: MIT */
/* What ctl/sysv/ shows alike of all kinds. */
#ifndef IPCFS_BACKENDS_SYSV_SHOW_H
#define IPCFS_BACKENDS_SYSV_SHOW_H

#include "ipcfs/backend.h"

#include <sys/ipc.h>
#include <time.h>

/* The first fields of every kind's table; its own begin with SYSV_FIELDS. */
enum {
    SYSV_FIELD_ID,
    SYSV_FIELD_KEY,
    SYSV_FIELD_MODE,
    SYSV_FIELD_UID,
    SYSV_FIELD_GID,
    SYSV_FIELD_CUID,
    SYSV_FIELD_CGID,
    SYSV_FIELDS,
};
void sysv_show_object(int id, const struct ipc_perm *perm, struct ipcfs_value *values);

/* What the times of an object tell of its past: of its creation or last change, and of two uses, 0 where there were none. */
void sysv_traces(time_t changed, time_t used, time_t also_used, struct ipcfs_traces *out);
/* One of the processes that used it last; 0: there is none, or he is out of sight, where it has been used. */
void sysv_traces_user(pid_t pid, bool used, struct ipcfs_traces *traces);

/* 0: it never happened. */
struct ipcfs_value sysv_time_value(time_t time);

#endif
