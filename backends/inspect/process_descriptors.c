/* SPDX-License-Identifier: MIT */
#include "process_reader.h"

#include "proc_fds.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>

struct gathering {
    struct process_reader *reader;
    const char *before; /* the last target */
};

/* What has a path is asked what it is, as its file system remembers it. It may be closed by now: then it is left out. */
static bool look(const struct proc_fd *fd, struct process_descriptor *out)
{
    struct statx stat;
    bool has_path = fd->target[0] == '/' || !fd->target[0];
    if (!proc_fd_access(fd, &out->reads, &out->writes))
        return false;
    if (!has_path || proc_fd_stat(fd, &stat))
        return true;
    out->device = makedev(stat.stx_dev_major, stat.stx_dev_minor);
    out->ino = stat.stx_ino;
    out->type = stat.stx_mode & S_IFMT;
    return true;
}

static int visit(void *data, const struct proc_fd *fd)
{
    struct gathering *gathering = data;
    struct process_reader *reader = gathering->reader;
    struct process_descriptor descriptor = {.fd = fd->fd};
    int error = reader_move(reader);
    if (error || !look(fd, &descriptor))
        return error;
    descriptor.target = arena_string(&reader->arena, fd->target, gathering->before);
    if (!descriptor.target)
        return -errno;
    gathering->before = descriptor.target;
    struct process_descriptor *row = rows_add(&reader->descriptors);
    if (!row)
        return -errno;
    *row = descriptor;
    return 0;
}

int read_descriptors(struct process_reader *reader, pid_t pid)
{
    struct gathering gathering = {.reader = reader};
    AUTO_FD directory = openat(reader_source(reader), "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return directory < 0 ? -errno : proc_fds_of(directory, pid, visit, &gathering);
}
