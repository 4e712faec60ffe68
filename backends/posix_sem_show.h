/* SPDX-License-Identifier: MIT */
/* What ctl/sem/ shows: the field tables of state and limits, and the values to them. */
#ifndef IPCFS_BACKENDS_POSIX_SEM_SHOW_H
#define IPCFS_BACKENDS_POSIX_SEM_SHOW_H

#include "ipcfs/backend.h"

extern const struct ipcfs_field posix_sem_fields[];
extern const struct ipcfs_field posix_sem_limit_fields[];
extern const struct ipcfs_limit posix_sem_limit_rows[];
extern const struct ipcfs_total posix_sem_totals[];

/* Slots of the kind's table. */
int posix_sem_render(const struct ipcfs_ref *ref, struct ipcfs_value *values);
int posix_sem_list_render(struct ipcfs_lister *lister, const struct ipcfs_entry *entry,
                          struct ipcfs_value *values);
int posix_sem_traces(const struct ipcfs_ref *ref, void **kept, struct ipcfs_traces *out);
int posix_sem_limits(const struct caller *caller, struct ipcfs_value *values);

#endif
