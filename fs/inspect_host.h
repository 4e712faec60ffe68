/* SPDX-License-Identifier: MIT */
/* What the FUSE side tells a look at all processes (struct inspection_host): whose the mount's own files are, who waits here,
 * and who has locks by it. Each is a copy of what was at one moment; no lock is held while it is told. */
#ifndef IPCFS_FS_INSPECT_HOST_H
#define IPCFS_FS_INSPECT_HOST_H

#include "inspect/inspection.h"

struct ipcfs;

/* As long as `fs`. */
struct inspection_host inspect_host(struct ipcfs *fs);

#endif
