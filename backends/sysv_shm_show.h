/* SPDX-License-Identifier: MIT */
/* What ctl/sysv/shm/ shows: the tables of fields, limits and verbs, and the values to them. */
#ifndef IPCFS_BACKENDS_SYSV_SHM_SHOW_H
#define IPCFS_BACKENDS_SYSV_SHM_SHOW_H

#include "ipcfs/backend.h"

#include <sys/resource.h>
#include <sys/shm.h>

struct sysv_shm_rss;

extern const struct ipcfs_field sysv_shm_fields[];
extern const struct ipcfs_field sysv_shm_limit_fields[];
extern const struct ipcfs_limit sysv_shm_limit_rows[];
extern const struct ipcfs_total sysv_shm_totals[];
extern const struct ipcfs_verb sysv_shm_verbs[];

/* `rss` is NULL where it is not known. */
void sysv_shm_show_state(int id, const struct shmid_ds *state, const struct sysv_shm_rss *rss,
                         struct ipcfs_value *values);
/* `memlock`: RLIMIT_MEMLOCK of the caller. */
void sysv_shm_show_limits(const struct shminfo *limits, const struct shm_info *usage, rlim_t memlock,
                          struct ipcfs_value *values);
/* Bytes of so many pages; the largest number there is where that is too large. */
uint64_t sysv_shm_bytes(uint64_t pages);

/* Slot of the table. */
int sysv_shm_traces(const struct ipcfs_ref *ref, void **kept, struct ipcfs_traces *out);

#endif
