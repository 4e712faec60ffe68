/* SPDX-License-Identifier: MIT */
#ifndef IPCFS_LACK_H
#define IPCFS_LACK_H

#include <errno.h>
#include <stdbool.h>

/* Whether an error speaks of the daemon, which is out of memory or descriptors, and not of what was asked about. `error` is
 * −errno. */
static inline bool is_lack(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOMEM;
}

/* The daemon's own lack as it is; any other error as `other`. */
static inline int lack_or(int error, int other)
{
    return is_lack(error) ? error : other;
}

#endif
