/* SPDX-License-Identifier: MIT */
#include "tmpfs.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <linux/magic.h>
#include <sys/statfs.h>

int tmpfs_open(struct nodes *nodes)
{
    AUTO_FD fd = open(IPCFS_SHM_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct statfs system;
    if (fd < 0 || fstatfs(fd, &system) < 0)
        return -errno;
    /* The same test as glibc's: anything else is not what shm_open(3) and sem_open(3) use. */
    if (system.f_type != TMPFS_MAGIC && (unsigned long)system.f_type != RAMFS_MAGIC)
        return -ENOSYS;
    return nodes_open(nodes, TAKE_FD(fd));
}
