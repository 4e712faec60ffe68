/* SPDX-License-Identifier: MIT */
/* The tmpfs at /dev/shm, in which the C library keeps POSIX shared memory and semaphores. */
#ifndef IPCFS_BACKENDS_TMPFS_H
#define IPCFS_BACKENDS_TMPFS_H

#include "nodes.h"

#define IPCFS_SHM_DIRECTORY "/dev/shm"
/* What glibc puts before the name of a semaphore (sysdeps/pthread/sem_routines.h). */
#define TMPFS_SEMAPHORE_PREFIX "sem."

/* Each kind has it for itself, because each starts and stops by itself; what is shown is settled before. −ENOSYS where it
 * is not the file system that the C library takes. */
int tmpfs_open(struct nodes *nodes);

/*
 * Whether a regular file that a process has open or mapped lies there, in the directory itself, where names have no slash; and is
 * a semaphore by its name, or is none. It is told by the path that the process opened it by: that of a semaphore that was
 * just made is that of the C library's own temporary file, which begins alike.
 */
bool tmpfs_has(const struct nodes *nodes, const struct ipcfs_thing *thing, bool semaphore, uint64_t *number);

#endif
