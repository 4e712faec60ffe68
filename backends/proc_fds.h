/* SPDX-License-Identifier: MIT */
/*
 * Who has what open: a walk over /proc/PID/fd of all processes that the calling thread may look into (proc(5): ptrace
 * access mode PTRACE_MODE_READ_FSCREDS), but the daemon's own. Nothing of what is open is asked or opened: the links are
 * read, and a file system that does not answer holds nothing up. Processes and descriptors come and go meanwhile; who was
 * there all the time is met once.
 *
 * What is not met: descriptors that are on their way in a message (unix(7), SCM_RIGHTS) or have become the kernel's
 * (io_uring(7)), and those of a thread with a table of its own (unshare(2), CLONE_FILES). Who still waits in open(2) has
 * none yet.
 */
#ifndef IPCFS_BACKENDS_PROC_FDS_H
#define IPCFS_BACKENDS_PROC_FDS_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

struct proc_fd {
    pid_t pid;
    int fd;
    /* Borrowed: the link's text, "pipe:[1234]", "socket:[1234]", an absolute path (only that begins with '/'); "" where
     * the path is too long to be told. */
    const char *target;
    int directory;    /* borrowed: a descriptor of /proc/PID/fd */
    const char *name; /* borrowed: the link in it */
};

/* Anything but 0 ends the walk, which returns it. */
typedef int proc_fd_visit(void *data, const struct proc_fd *fd);
/* 0 or −errno. */
int proc_fds_walk(proc_fd_visit *visit, void *data);
/* Those of one process, whose directory "fd" that descriptor is of. */
int proc_fds_of(int directory, pid_t pid, proc_fd_visit *visit, void *data);

/* Whether it is open for reading, and for writing (the link's own mode); of O_PATH neither. False where it is closed by
 * now. */
bool proc_fd_access(const struct proc_fd *fd, bool *reads, bool *writes);
/* The number in "KIND:[NUMBER]"; false for any other target. */
bool proc_fd_number(const struct proc_fd *fd, const char *kind, ino_t *number);
/* Type, mode, owners and inode of what is open, as its file system remembers them: it is not asked
 * (AT_STATX_DONT_SYNC). −errno. */
int proc_fd_stat(const struct proc_fd *fd, struct statx *out);

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
