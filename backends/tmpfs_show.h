/* SPDX-License-Identifier: MIT */
/* What ctl/ shows alike of files in the tmpfs, and of the tmpfs itself: runs of fields that a kind has in this order. */
#ifndef IPCFS_BACKENDS_TMPFS_SHOW_H
#define IPCFS_BACKENDS_TMPFS_SHOW_H

#include "ipcfs/backend.h"

enum {
    TMPFS_MODE,
    TMPFS_UID,
    TMPFS_GID,
    TMPFS_NLINK,
    TMPFS_INO,
    TMPFS_ATIME,
    TMPFS_MTIME,
    TMPFS_CTIME,
    TMPFS_BTIME,
};
void tmpfs_show_attributes(const struct statx *stat, struct ipcfs_value *values);
/* What a file's times tell of an object's past, where content is changed by write(2): who maps it leaves no time. */
void tmpfs_traces(const struct statx *stat, struct ipcfs_traces *out);

/* Unknown is what has no limit. */
enum {
    TMPFS_SIZE,
    TMPFS_USED,
    TMPFS_AVAILABLE,
    TMPFS_INODES,
    TMPFS_INODES_USED,
    TMPFS_INODES_AVAILABLE,
};
void tmpfs_show_limits(const struct statvfs *system, struct ipcfs_value *values);

#endif
