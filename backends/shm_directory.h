/* SPDX-License-Identifier: MIT */
/* The tmpfs, as far as shared memory lies in it: what of it is shown, and the walk. */
#ifndef IPCFS_BACKENDS_SHM_DIRECTORY_H
#define IPCFS_BACKENDS_SHM_DIRECTORY_H

#include "tmpfs.h"

/* Slots of the kind's table. */
int shm_start(void);
void shm_stop(void);
int shm_stat_directory(unsigned directory, struct ipcfs_directory *out);
int shm_stat_system(struct statvfs *out);
int shm_list_open(unsigned directory, struct ipcfs_lister **out);
int shm_list_next(struct ipcfs_lister *lister, struct ipcfs_entry *out);

/* From shm_start() to shm_stop(). */
const struct tmpfs *shm_tmpfs(void);
/* Whether a name is one of those that are not shown, whatever they are. */
bool shm_is_hidden(const char *name);

#endif
