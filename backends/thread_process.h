/* SPDX-License-Identifier: MIT */
#ifndef IPCFS_BACKENDS_THREAD_PROCESS_H
#define IPCFS_BACKENDS_THREAD_PROCESS_H

#include <sys/types.h>

/* The process that a thread is of, as /proc/TID/status tells everybody; 0 where it has ended, or is out of sight. The number of
 * one that has ended may be another's by now. */
pid_t thread_process(pid_t thread);

#endif
