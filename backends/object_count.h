/* SPDX-License-Identifier: MIT */
#ifndef IPCFS_BACKENDS_OBJECT_COUNT_H
#define IPCFS_BACKENDS_OBJECT_COUNT_H

#include "ipcfs/backend.h"

/* The walk takes 130 ns for a name: this many, 13 ms. Whoever made more is not to keep a thread busy for as long as he likes. */
enum { OBJECT_COUNT_MAX = 100000 };

/* How many objects a kind shows in its first naming directory, as a walk through the names alone finds them: none of them
 * is looked at. Not known where the calling thread may not list them, or there are more than OBJECT_COUNT_MAX. 0 or
 * −errno. */
int object_count(const struct ipcfs_backend *kind, struct ipcfs_value *out);

#endif
