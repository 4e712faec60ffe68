/* SPDX-License-Identifier: MIT */
#include "small_file.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <fcntl.h>

int small_file_read(int directory, const char *path, char *buffer, size_t room)
{
    AUTO_FD fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t count = read(fd, buffer, room - 1);
    if (count < 0)
        return -errno;
    buffer[count] = '\0';
    return 0;
}
