/* SPDX-License-Identifier: MIT */
/* What ctl/sysv/msg/ shows: the tables of fields, options and verbs, and the values to them. */
#ifndef IPCFS_BACKENDS_SYSV_MSG_SHOW_H
#define IPCFS_BACKENDS_SYSV_MSG_SHOW_H

#include "ipcfs/backend.h"

#include <sys/msg.h>

extern const struct ipcfs_field sysv_msg_fields[];
extern const struct ipcfs_field sysv_msg_limit_fields[];
extern const struct ipcfs_limit sysv_msg_limit_rows[];
extern const struct ipcfs_total sysv_msg_totals[];
extern const struct ipcfs_field sysv_msg_options[];
extern const struct ipcfs_verb sysv_msg_verbs[];

/* Indices into the options. */
enum { SYSV_MSG_OPTION_QBYTES };

void sysv_msg_show_state(int id, const struct msqid_ds *state, struct ipcfs_value *values);
void sysv_msg_show_limits(const struct msginfo *info, struct ipcfs_value *values);

/* Sets qbytes of queue `id`, as the caller. `reason` (or NULL) says why it is refused. */
int sysv_msg_set_qbytes(int id, uint64_t qbytes, struct text *reason);

#endif
