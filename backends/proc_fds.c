/* SPDX-License-Identifier: MIT */
#include "proc_fds.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <sys/syscall.h>

int proc_fd_take(pid_t pid, int fd)
{
    AUTO_FD process = (int)syscall(SYS_pidfd_open, pid, 0);
    if (process < 0)
        return -errno;
    int taken = (int)syscall(SYS_pidfd_getfd, process, fd, 0);
    return taken < 0 ? -errno : taken;
}
