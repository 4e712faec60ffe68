/* SPDX-License-Identifier: MIT */
#ifndef IPCFS_BACKENDS_CALLER_LIMIT_H
#define IPCFS_BACKENDS_CALLER_LIMIT_H

#include "ipcfs/caller.h"

#include <sys/resource.h>

/*
 * A resource limit of the caller's process; the daemon's own where that is not to be seen. `resource` is RLIMIT_MSGQUEUE
 * or RLIMIT_MEMLOCK. 0 or −errno.
 */
int caller_limit(const struct caller *caller, int resource, struct rlimit *out);

#endif
