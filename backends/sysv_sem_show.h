/* SPDX-License-Identifier: MIT */
/* What ctl/sysv/sem/ shows: the tables of fields and options, and the values to them. */
#ifndef IPCFS_BACKENDS_SYSV_SEM_SHOW_H
#define IPCFS_BACKENDS_SYSV_SEM_SHOW_H

#include "ipcfs/backend.h"

#include <sys/sem.h>

extern const struct ipcfs_field sysv_sem_fields[];
extern const struct ipcfs_field sysv_sem_limit_fields[];
extern const struct ipcfs_limit sysv_sem_limit_rows[];
extern const struct ipcfs_total sysv_sem_totals[];
extern const struct ipcfs_field sysv_sem_options[];

/* Indices into the options. */
enum { SYSV_SEM_OPTION_NSEMS };

/* All but the table, which is set to unknown. */
void sysv_sem_show_state(int id, const struct semid_ds *state, struct ipcfs_value *values);
/* The table, as the caller: who may not read the set is not told what is in it. −ENOMEM, −ESTALE. */
int sysv_sem_show_semaphores(int id, const struct semid_ds *state, struct ipcfs_value *values);
void sysv_sem_show_limits(const struct seminfo *info, struct ipcfs_value *values);

/* 0 or −ESTALE. Of those who may not read the set nobody who used it is told, nor how many wait. */
int sysv_sem_show_traces(int id, const struct semid_ds *state, struct ipcfs_traces *out);

#endif
