/* SPDX-License-Identifier: MIT */
/* The tmpfs, as far as semaphores lie in it: their names, which files are semaphores, and the walk. */
#ifndef IPCFS_BACKENDS_POSIX_SEM_DIRECTORY_H
#define IPCFS_BACKENDS_POSIX_SEM_DIRECTORY_H

#include "tmpfs.h"

#include <limits.h>

#define POSIX_SEM_PREFIX TMPFS_SEMAPHORE_PREFIX
enum { POSIX_SEM_NAME_MAX = NAME_MAX - (sizeof POSIX_SEM_PREFIX - 1) };

/* Slots of the kind's table. */
int posix_sem_start(void);
void posix_sem_stop(void);
/* Of the table. */
int posix_sem_watched(void);
const char *posix_sem_watched_name(const char *file, bool *passing);
int posix_sem_stat_directory(unsigned directory, struct ipcfs_directory *out);
int posix_sem_stat_system(struct statvfs *out);
int posix_sem_list_open(unsigned directory, struct ipcfs_lister **out);
bool posix_sem_recognize(const struct ipcfs_thing *thing, uint64_t *number);
int posix_sem_list_next(struct ipcfs_lister *lister, struct ipcfs_entry *out);

/* From start to stop. */
const struct nodes *posix_sem_tmpfs(void);

/* The name of the file. −ENAMETOOLONG; −ENOENT for what can not be a name in a directory. */
struct posix_sem_path {
    char text[NAME_MAX + 1];
};
int posix_sem_path(const char *name, struct posix_sem_path *out);

/* Attributes of the semaphore of that name, those of the file. −ENOENT also where it is none. */
int posix_sem_name_stat(const char *name, struct statx *out);
/* Whether a file of those attributes is a semaphore. */
bool posix_sem_is_object(const struct statx *stat);

#endif
