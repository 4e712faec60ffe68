/* SPDX-License-Identifier: MIT */
/* Descriptors of other processes; who has which is inspect/process.h's to tell. */
#ifndef IPCFS_BACKENDS_PROC_FDS_H
#define IPCFS_BACKENDS_PROC_FDS_H

#include <sys/types.h>

/*
 * A duplicate of that descriptor of another process (pidfd_getfd(2)): the same open file, so neither readers nor writers
 * of a pipe get more by it, and nobody who waits in open(2) is let in. The calling thread must have the daemon's own
 * identity, and must have checked the caller's rights before. It may be of something else by now: look. −errno.
 *
 * It waits for a process in the middle of an execve(2), until that is done (exec_update_lock, __pidfd_fget() in Linux
 * kernel/pid.c).
 */
int proc_fd_take(pid_t pid, int fd);

#endif
