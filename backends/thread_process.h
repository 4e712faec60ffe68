/* SPDX-License-Identifier: MIT */
#ifndef IPCFS_BACKENDS_THREAD_PROCESS_H
#define IPCFS_BACKENDS_THREAD_PROCESS_H

#include <sys/types.h>

/*
 * The process that a thread is of; 0, with errno, where it has ended, is out of sight, or there is no descriptor to look by. The
 * number of one that has ended may be another's by now.
 *
 * Not by /proc/TID/status, which tells it directly: with that the reader may become the last who has the process's memory, and
 * has to take it down (mmput()), for which a file system that does not answer keeps him (proc_pid_status(), Linux fs/proc/array.c).
 */
pid_t thread_process(pid_t thread);

#endif
