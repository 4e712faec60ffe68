/* SPDX-License-Identifier: MIT */
/* uthash, told to report a lack of memory instead of ending the process: after HASH_ADD the element's handle has a
 * NULL `tbl` where it could not be added. */
#ifndef IPCFS_FS_HASH_H
#define IPCFS_FS_HASH_H

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#endif
