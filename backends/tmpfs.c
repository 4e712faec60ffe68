/* SPDX-License-Identifier: MIT */
#include "tmpfs.h"

#include "thing_name.h"

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

bool tmpfs_has(const struct nodes *nodes, const struct ipcfs_thing *thing, bool semaphore, uint64_t *number)
{
    if (nodes->fd < 0 || thing->device != nodes->device ||
        thing_name_is_deeper(thing->path, IPCFS_SHM_DIRECTORY))
        return false;
    struct thing_name name = thing_name_of(thing->path);
    if (!name.length || thing_name_begins(&name, ".ipcfs.") ||
        thing_name_begins(&name, TMPFS_SEMAPHORE_PREFIX) != semaphore)
        return false;
    *number = nodes_number(thing->ino);
    return true;
}
