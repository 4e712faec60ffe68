/* SPDX-License-Identifier: MIT */
/* Walks through the System V shared memory segments. */
#ifndef IPCFS_BACKENDS_SYSV_SHM_LIST_H
#define IPCFS_BACKENDS_SYSV_SHM_LIST_H

#include "sysv_object.h"

int sysv_shm_list_open(const struct sysv_table *table, unsigned directory, struct ipcfs_lister **out);

/* Slots of the backend. */
int sysv_shm_list_seek(struct ipcfs_lister *lister, uint64_t position);
int sysv_shm_list_next(struct ipcfs_lister *lister, struct ipcfs_entry *out);
/* rss and swap of all rows are of the moment of the first; a walk from the start reads them again. */
int sysv_shm_list_render(struct ipcfs_lister *lister, const struct ipcfs_entry *entry,
                         struct ipcfs_value *values);
void sysv_shm_list_close(struct ipcfs_lister *lister);

#endif
