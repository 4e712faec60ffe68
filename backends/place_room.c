/* SPDX-License-Identifier: MIT */
#include "place_room.h"

#include <errno.h>
#include <stdint.h>
#include <sys/statvfs.h>
#include <unistd.h>

int place_room(int fd, off_t size)
{
    struct statvfs system;
    if (geteuid() == 0)
        return 0;
    if (fstatvfs(fd, &system) < 0)
        return -errno;
    /* tmpfs says 0 of what it was mounted without a limit of. */
    uint64_t wanted = ((uint64_t)size + system.f_frsize - 1) / system.f_frsize;
    if (system.f_blocks && system.f_bavail < system.f_blocks / 2 + wanted)
        return -ENOSPC;
    return system.f_files && system.f_favail < system.f_files / 2 ? -ENOSPC : 0;
}
