/* SPDX-License-Identifier: MIT */
/* Semaphores as objects: found, held, opened; and how their files look as directories. */
#ifndef IPCFS_BACKENDS_POSIX_SEM_OBJECT_H
#define IPCFS_BACKENDS_POSIX_SEM_OBJECT_H

#include "tmpfs.h"

/* Slots of the kind's table. */
int posix_sem_find(unsigned directory, const char *name, struct ipcfs_found *out, struct ipcfs_hold **hold);
int posix_sem_hold(const struct ipcfs_ref *ref, struct ipcfs_hold **out);
int posix_sem_stat(const struct ipcfs_ref *ref, struct statx *out);

/* Makes of a file's attributes those of the directory that the semaphore is here. */
void posix_sem_present(struct statx *stat);

/* An O_PATH descriptor of the semaphore, and its file's attributes. −ESTALE where the name is of something else. */
int posix_sem_path_descriptor(const char *name, struct statx *stat);
/* The same for what `ref` means by its name, also −ESTALE where that is gone. A hold is not looked at. */
int posix_sem_resolve(const struct ipcfs_ref *ref, struct statx *stat);

/* Opens the file of what `ref` means, by its hold or its name, with the calling thread's rights. `access`: O_RDONLY … */
int posix_sem_open_file(const struct ipcfs_ref *ref, int access);

#endif
