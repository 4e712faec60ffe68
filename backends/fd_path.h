/* SPDX-License-Identifier: MIT */
/*
 * Reaching a file by a descriptor where the kernel takes only a path: "/proc/self/fd/N" (open(2), O_PATH). The calling
 * thread's own rights count, those with which the descriptor was opened do not.
 */
#ifndef IPCFS_BACKENDS_FD_PATH_H
#define IPCFS_BACKENDS_FD_PATH_H

#include "ipcfs/backend.h"

struct fd_path {
    char text[sizeof "/proc/self/fd/" + 3 * sizeof(int)];
};

struct fd_path fd_path(int fd);

/* Owner, group, mode and times of a change; its size is not looked at. O_PATH will do. 0 or −errno. */
int fd_path_change(int fd, const struct ipcfs_change *change);

#endif
