/* SPDX-License-Identifier: MIT */
#ifndef IPCFS_BACKENDS_SMALL_FILE_H
#define IPCFS_BACKENDS_SMALL_FILE_H

#include <stddef.h>
#include <stdint.h>

/* The beginning of a small file of /proc, terminated. `path` is below `directory`, as of openat(2). 0 or −errno. */
int small_file_read(int directory, const char *path, char *buffer, size_t room);

/* The decimal number behind `label` in the first bytes of one; with "" at its start, as in /proc/sys. −ENODATA: no label. */
int small_file_number(const char *path, const char *label, uint64_t *out);

#endif
