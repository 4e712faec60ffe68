/* SPDX-License-Identifier: MIT */
/* The files in a semaphore's directory: value, post, wait, hold. */
#ifndef IPCFS_BACKENDS_POSIX_SEM_FILES_H
#define IPCFS_BACKENDS_POSIX_SEM_FILES_H

#include "ipcfs/backend.h"

extern const struct ipcfs_verb posix_sem_files[];

/* Slots of the kind's table that have to do with open files. */
void posix_sem_close(struct ipcfs_file *file);
ssize_t posix_sem_try_read(struct ipcfs_file *file, char *buffer, size_t size, off_t offset, int flags,
                           struct ipcfs_wait *wait);
ssize_t posix_sem_try_write(struct ipcfs_file *file, const char *data, size_t size, off_t offset, int flags,
                            struct ipcfs_wait *wait);
size_t posix_sem_message_room(struct ipcfs_file *file);
uint64_t posix_sem_lane(struct ipcfs_file *file, bool writing);
int posix_sem_poll(struct ipcfs_file *file, struct ipcfs_wait *wait);
int posix_sem_try_lock(struct ipcfs_file *file, const struct ipcfs_lock *lock, struct ipcfs_wait *wait);

#endif
