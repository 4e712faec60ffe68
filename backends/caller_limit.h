/* SPDX-License-Identifier: MIT */
#ifndef IPCFS_BACKENDS_CALLER_LIMIT_H
#define IPCFS_BACKENDS_CALLER_LIMIT_H

#include "ipcfs/caller.h"
#include "ipcfs/fields.h"

#include <sys/resource.h>

/*
 * A resource limit of the caller's process; the daemon's own where that is not to be seen. `resource` is
 * RLIMIT_MSGQUEUE, RLIMIT_MEMLOCK or RLIMIT_NOFILE. 0 or −errno.
 */
int caller_limit(const struct caller *caller, int resource, struct rlimit *out);

/* How many descriptors the caller's process has, where the kernel tells. */
struct ipcfs_value caller_descriptors(const struct caller *caller);

#endif
