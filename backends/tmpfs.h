/* SPDX-License-Identifier: MIT */
/* The tmpfs at /dev/shm, in which the C library keeps POSIX shared memory and semaphores. */
#ifndef IPCFS_BACKENDS_TMPFS_H
#define IPCFS_BACKENDS_TMPFS_H

#include "nodes.h"

#define IPCFS_SHM_DIRECTORY "/dev/shm"

/* Each kind has it for itself, because each starts and stops by itself; what is shown is settled before. −ENOSYS where it
 * is not the file system that the C library takes. */
int tmpfs_open(struct nodes *nodes);

#endif
