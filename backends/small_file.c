/* SPDX-License-Identifier: MIT */
#include "small_file.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

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

int small_file_number(const char *path, const char *label, uint64_t *out)
{
    char text[256];
    int error = small_file_read(AT_FDCWD, path, text, sizeof text);
    if (error)
        return error;
    const char *found = strstr(text, label);
    if (!found)
        return -ENODATA;
    *out = strtoull(found + strlen(label), NULL, 10);
    return 0;
}
