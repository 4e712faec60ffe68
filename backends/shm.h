/* SPDX-License-Identifier: MIT */
/*
 * POSIX shared memory: the regular files of the tmpfs at /dev/shm, which is where shm_open(3) keeps its objects (glibc
 * sysdeps/posix/shm-directory.h; shm_overview(7)).
 *
 * That directory is world-writable, so anything may lie there. Only regular files are objects. A symbolic link, FIFO,
 * socket, device or directory is answered as if it were not there, and nothing is ever opened to find out what it is:
 * a name is first resolved with O_PATH | O_NOFOLLOW, which opens nothing, and the object is opened through that.
 *
 * "sem.*" is glibc's naming of POSIX named semaphores (sem_overview(7)) and ".ipcfs.*" is this program's own; neither
 * shows here, nor can be made here.
 */
#ifndef IPCFS_BACKENDS_SHM_H
#define IPCFS_BACKENDS_SHM_H

#include "ipcfs/backend.h"

extern const struct ipcfs_backend ipcfs_shm_backend;

#endif
