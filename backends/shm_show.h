/* SPDX-License-Identifier: MIT */
/* What ctl/shm/ shows: the field tables of state and limits, and the values to them. */
#ifndef IPCFS_BACKENDS_SHM_SHOW_H
#define IPCFS_BACKENDS_SHM_SHOW_H

#include "ipcfs/backend.h"

extern const struct ipcfs_field shm_fields[];
extern const struct ipcfs_field shm_limit_fields[];
extern const struct ipcfs_limit shm_limit_rows[];
extern const struct ipcfs_total shm_totals[];
extern const struct ipcfs_verb shm_verbs[];

void shm_show_state(const char *name, const struct statx *stat, struct ipcfs_value *values);
int shm_show_limits(const struct statvfs *system, struct ipcfs_value *values);

#endif
