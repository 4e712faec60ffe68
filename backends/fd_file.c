/* SPDX-License-Identifier: MIT */
#include "fd_file.h"

#include "fd_path.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <poll.h>
#include <sys/uio.h>

int fd_file_open(int path_fd, int flags)
{
    struct fd_path path = fd_path(path_fd);
    /* O_NONBLOCK: where somebody has a lease on the file (fcntl(2), F_SETLEASE), open(2) would wait for him. */
    int fd = open(path.text, (flags & (FD_FILE_FLAGS | O_TRUNC)) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

/* For writing, because a lock for writing takes that. Who is refused it has nobody with such a lock to serve. */
int fd_file_open_to_lock(int path_fd)
{
    int fd = fd_file_open(path_fd, O_RDWR);
    if (fd == -EACCES || fd == -EPERM || fd == -ETXTBSY || fd == -EROFS)
        fd = fd_file_open(path_fd, O_RDONLY);
    return fd;
}

/* truncate(2) would wait for a lease. */
int fd_file_resize(int path_fd, int fd, off_t size)
{
    AUTO_FD own_fd = fd < 0 ? fd_file_open(path_fd, O_WRONLY) : -1;
    if (fd < 0)
        fd = own_fd;
    if (fd < 0)
        return fd;
    return ftruncate(fd, size) < 0 ? -errno : 0;
}

ssize_t fd_file_read(int fd, char *buffer, size_t size, off_t offset, struct ipcfs_wait *wait)
{
    wait->source = IPCFS_WAIT_NONE;
    ssize_t count = pread(fd, buffer, size, offset);
    return count < 0 ? -errno : count;
}

ssize_t fd_file_write(int fd, const char *data, size_t size, off_t offset, int flags, struct ipcfs_wait *wait)
{
    wait->source = IPCFS_WAIT_NONE;
    struct iovec vector = {.iov_base = (void *)data, .iov_len = size};
    ssize_t count = pwritev2(fd, &vector, 1, offset, flags & O_APPEND ? RWF_APPEND : 0);
    return count < 0 ? -errno : count;
}

int fd_file_poll(struct ipcfs_wait *wait)
{
    wait->source = IPCFS_WAIT_NONE;
    return POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM;
}

int fd_file_allocate(int fd, int mode, off_t offset, off_t length)
{
    return fallocate(fd, mode, offset, length) < 0 ? -errno : 0;
}

off_t fd_file_seek(int fd, off_t offset, int whence)
{
    off_t position = lseek(fd, offset, whence);
    return position < 0 ? -errno : position;
}
