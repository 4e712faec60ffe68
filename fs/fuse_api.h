/* SPDX-License-Identifier: MIT */
/* libfuse's low-level interface, at the version this program is written for. */
#ifndef IPCFS_FS_FUSE_API_H
#define IPCFS_FS_FUSE_API_H

#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 17)
#include <fuse_lowlevel.h>

/* The STATX request came with libfuse 3.18. */
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 18)
#define IPCFS_HAVE_STATX 1
#endif

#endif
