/* SPDX-License-Identifier: MIT */
/*
 * Scope-bound ownership.
 *
 * A variable marked with one of these owns what it holds until the scope ends. To hand the thing over, use
 * TAKE_FD() or TAKE_PTR(): the variable is emptied in the same expression that passes the value on, so at every
 * moment exactly one place owns it. All cleaners preserve errno.
 */
#ifndef IPCFS_CLEANUP_H
#define IPCFS_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void ipcfs_cleanup_fd(const int *fd)
{
    if (*fd < 0)
        return;
    int saved = errno;
    close(*fd);
    errno = saved;
}

static inline void ipcfs_cleanup_free(void *pointer_to_pointer)
{
    int saved = errno;
    free(*(void **)pointer_to_pointer);
    errno = saved;
}

#define AUTO_FD __attribute__((cleanup(ipcfs_cleanup_fd))) int
#define AUTO_FREE __attribute__((cleanup(ipcfs_cleanup_free)))

static inline int ipcfs_take_fd(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

#define TAKE_FD(fd) ipcfs_take_fd(&(fd))
#define TAKE_PTR(pointer)                                                                                    \
    __extension__({                                                                                          \
        __typeof__(pointer) taken_ = (pointer);                                                              \
        (pointer) = NULL;                                                                                    \
        taken_;                                                                                              \
    })

#endif
