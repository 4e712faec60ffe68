/* SPDX-License-Identifier: MIT */
/*
 * POSIX named semaphores: the files "sem.NAME" of the tmpfs at /dev/shm, which is where sem_open(3) keeps them (glibc
 * sysdeps/pthread/sem_open.c; sem_overview(7)). What the file contains is a sem_t: backends/sem_word.h.
 *
 * That directory is world-writable, so anything may lie there under such a name. Only regular files that have room for a
 * sem_t are semaphores; as with shared memory (backends/shm.h), nothing else is shown, opened or removed. What is in the
 * file may be anything as well, and it may be cut off while it is in use: then what waits for it or takes from it ends
 * with EIDRM, within SEM_WORD_LOOK_MS.
 *
 * An object is a directory (the files in it: backends/posix_sem_files.c). Its permission bits are those that the file has
 * for reading and writing, with the right to search for whom any of them is. As sem_open(3) opens the file for both, most
 * files in it take both.
 *
 * What `hold` has taken is given back at its close, whatever ended the process that had it. When this program itself ends
 * without a chance to close (SIGKILL), what it holds for others is lost to the semaphore, as it is when a native process
 * dies between sem_wait(3) and sem_post(3).
 */
#ifndef IPCFS_BACKENDS_POSIX_SEM_H
#define IPCFS_BACKENDS_POSIX_SEM_H

#include "ipcfs/backend.h"

extern const struct ipcfs_backend ipcfs_posix_sem_backend;

#endif
