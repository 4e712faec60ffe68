/* SPDX-License-Identifier: MIT */
#include "fd_lock.h"

#include <errno.h>
#include <sys/file.h>

static int whole_operation(short type)
{
    if (type == F_UNLCK)
        return LOCK_UN;
    return type == F_WRLCK ? LOCK_EX : LOCK_SH;
}

int fd_try_lock(int fd, const struct ipcfs_lock *lock, struct ipcfs_wait *wait)
{
    wait->source = IPCFS_WAIT_KEEPER;
    int done = 0;
    if (lock->whole) {
        done = flock(fd, whole_operation(lock->range.l_type) | (wait->block ? 0 : LOCK_NB));
    } else {
        struct flock range = lock->range;
        range.l_pid = 0; /* the kernel insists */
        done = fcntl(fd, wait->block ? F_OFD_SETLKW : F_OFD_SETLK, &range);
    }
    if (done == 0)
        return 0;
    return errno == EACCES ? -EAGAIN : -errno; /* POSIX lets fcntl(2) answer either */
}

int fd_get_lock(int fd, struct flock *range)
{
    range->l_pid = 0;
    return fcntl(fd, F_OFD_GETLK, range) < 0 ? -errno : 0;
}
