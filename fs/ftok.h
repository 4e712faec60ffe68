/* SPDX-License-Identifier: MIT */
/*
 * sysv/ftok: the System V key that ftok(3) makes of a path and a number.
 *
 * The daemon walks the path itself, a name at a time, as the caller. It has to see each directory before it looks into
 * it: a lookup in its own mount would be a request to itself, and when every worker waits for such an answer there is
 * nobody left to give one. And no automounter is woken: that happens only when the kernel walks on from a name.
 *
 * A file system that does not answer holds up whoever looks into it. One walk at a time may wait for one; others then see
 * only names that the kernel has in its cache (openat2(2), RESOLVE_CACHED), which is nearly all, and never wait.
 */
#ifndef IPCFS_FS_FTOK_H
#define IPCFS_FS_FTOK_H

#include "ipcfs/text.h"

#include <stdint.h>
#include <sys/types.h>

/*
 * The key of the file at `path`, which is absolute, with the calling thread's rights. `own` is the device of the mount; 0:
 * there is none. −errno: `reason` says why where the errno alone does not.
 */
int ftok_key(const char *path, unsigned char project, dev_t own, uint32_t *key, struct text *reason);

#endif
