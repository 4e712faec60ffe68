/* SPDX-License-Identifier: MIT */
/* Who asks: the identity that the kernel tells with a request. */
#ifndef IPCFS_CALLER_H
#define IPCFS_CALLER_H

#include <sys/types.h>

struct caller {
    uid_t uid;
    gid_t gid;
    pid_t
        pid; /* thread id; 0 where it is not visible from here. It authorises nothing: it may have been used again */
};

#endif
