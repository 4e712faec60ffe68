/* SPDX-License-Identifier: MIT */
#include "fd_path.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

struct fd_path fd_path(int fd)
{
    struct fd_path path;
    (void)snprintf(path.text, sizeof path.text, "/proc/self/fd/%d", fd);
    return path;
}

/* Modes after owners: chown(2) clears set-user-ID bits that the mode may set again. */
int fd_path_change(int fd, const struct ipcfs_change *change)
{
    if (change->mask & (IPCFS_CHANGE_UID | IPCFS_CHANGE_GID)) {
        uid_t uid = change->mask & IPCFS_CHANGE_UID ? change->uid : (uid_t)-1;
        gid_t gid = change->mask & IPCFS_CHANGE_GID ? change->gid : (gid_t)-1;
        if (fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0)
            return -errno;
    }
    if (change->mask & IPCFS_CHANGE_MODE && chmod(fd_path(fd).text, change->mode & 07777) < 0)
        return -errno;
    if (change->mask & IPCFS_CHANGE_TIMES && utimensat(AT_FDCWD, fd_path(fd).text, change->times, 0) < 0)
        return -errno;
    return 0;
}
