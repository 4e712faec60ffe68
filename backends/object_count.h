/* SPDX-License-Identifier: MIT */
#ifndef IPCFS_BACKENDS_OBJECT_COUNT_H
#define IPCFS_BACKENDS_OBJECT_COUNT_H

#include "ipcfs/backend.h"

/* How many objects a kind shows in its first naming directory, as a walk through the names alone finds them: none of them
 * is looked at. Not known where the calling thread may not list them. 0 or −errno. */
int object_count(const struct ipcfs_backend *kind, struct ipcfs_value *out);

#endif
