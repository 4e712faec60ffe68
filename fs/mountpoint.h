/* SPDX-License-Identifier: MIT */
#ifndef IPCFS_FS_MOUNTPOINT_H
#define IPCFS_FS_MOUNTPOINT_H

#include <sys/types.h>

/*
 * Makes `path` fit to be mounted on: a mount whose daemon died ("Transport endpoint is not connected") is taken away.
 * −EBUSY where a live ipcfs is mounted there already, −ENOTDIR where it is no directory, or another −errno.
 */
int mountpoint_prepare(const char *path);

/* The device number of what is mounted on `path`. Asks no daemon. 0 or −errno. */
int mountpoint_device(const char *path, dev_t *out);

/* Takes away a mount on `path` whose daemon is gone. 0 also where there is none. */
int mountpoint_clear(const char *path);

#endif
