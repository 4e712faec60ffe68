/* SPDX-License-Identifier: MIT */
/* The name in a path that /proc tells: proc_pid_fd(5) and proc_pid_maps(5) put " (deleted)" behind that of a file without a
 * name; but a name can end so, too. */
#ifndef IPCFS_BACKENDS_THING_NAME_H
#define IPCFS_BACKENDS_THING_NAME_H

#include <stdbool.h>
#include <stddef.h>

/* A part of a path, not terminated. */
struct thing_name {
    const char *text;
    size_t length;
};

/* What is behind the last slash, without " (deleted)". */
struct thing_name thing_name_of(const char *path);
bool thing_name_begins(const struct thing_name *name, const char *prefix);
/* Whether the path leads below a directory of `parent`, a path without a slash at its end: PARENT/DIRECTORY/NAME. */
bool thing_name_is_deeper(const char *path, const char *parent);

#endif
