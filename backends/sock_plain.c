/* SPDX-License-Identifier: MIT */
#include "sock_plain.h"

#include "fd_file.h"
#include "place_room.h"
#include "refuse.h"

#include "ipcfs/cleanup.h"

#include <errno.h>

struct plain_file {
    struct ipcfs_file file; /* first */
    int fd;                 /* of the caller's access mode */
};

static int fd_of(const struct ipcfs_file *file)
{
    return ((const struct plain_file *)file)->fd;
}

static ssize_t try_read(struct ipcfs_file *file, char *buffer, size_t size, off_t offset, int flags,
                        struct ipcfs_wait *wait)
{
    (void)flags;
    return fd_file_read(fd_of(file), buffer, size, offset, wait);
}

static ssize_t try_write(struct ipcfs_file *file, const char *data, size_t size, off_t offset, int flags,
                         struct ipcfs_wait *wait)
{
    int error = place_room(fd_of(file), (off_t)size);
    return error ? error : fd_file_write(fd_of(file), data, size, offset, flags, wait);
}

static int poll_file(struct ipcfs_file *file, struct ipcfs_wait *wait)
{
    (void)file;
    return fd_file_poll(wait);
}

static void close_file(struct ipcfs_file *file)
{
    close(fd_of(file));
    free(file);
}

static const struct sock_file_ops plain_ops = {
    .try_read = try_read,
    .try_write = try_write,
    .poll = poll_file,
    .lane = refuse_lane,
    .close = close_file,
};

int sock_plain_new(int *fd, struct ipcfs_file **out)
{
    struct plain_file *plain = malloc(sizeof *plain);
    if (!plain)
        return -ENOMEM;
    *plain = (struct plain_file){.file.ops = &plain_ops, .fd = TAKE_FD(*fd)};
    *out = &plain->file;
    return 0;
}

int sock_plain_fd(const struct ipcfs_file *file)
{
    return file && file->ops == &plain_ops ? fd_of(file) : -1;
}
