/* SPDX-License-Identifier: MIT */
/* The tmpfs itself: what of it is shown, and its walk. */
#ifndef IPCFS_BACKENDS_SHM_DIRECTORY_H
#define IPCFS_BACKENDS_SHM_DIRECTORY_H

#include "ipcfs/backend.h"

/* Slots of the kind's table. */
int shm_start(void);
void shm_stop(void);
int shm_stat_directory(unsigned directory, struct ipcfs_directory *out);
int shm_stat_system(struct statvfs *out);
int shm_list_open(unsigned directory, struct ipcfs_lister **out);
int shm_list_seek(struct ipcfs_lister *lister, uint64_t position);
int shm_list_next(struct ipcfs_lister *lister, struct ipcfs_entry *out);
void shm_list_close(struct ipcfs_lister *lister);

/* A descriptor of the directory, from shm_start() to shm_stop(). */
int shm_directory_fd(void);
/* Whether a name is one of those that are not shown, whatever they are. */
bool shm_is_hidden(const char *name);
/* Whether a file of those attributes is an object, and which. */
bool shm_is_object(const struct statx *stat);
struct ipcfs_objid shm_object_id(const struct statx *stat);
/* Attributes of `name` in `directory`, or of `directory` itself with "". 0 or −errno. */
int shm_stat_at(int directory, const char *name, struct statx *out);

#endif
