/* SPDX-License-Identifier: MIT */
#ifndef IPCFS_BACKENDS_SMALL_FILE_H
#define IPCFS_BACKENDS_SMALL_FILE_H

#include <stddef.h>

/* The beginning of a small file of /proc, terminated. `path` is below `directory`, as of openat(2). 0 or −errno. */
int small_file_read(int directory, const char *path, char *buffer, size_t room);

#endif
