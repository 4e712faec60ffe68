/* SPDX-License-Identifier: MIT */
/* The lanes in which those wait who want something of one socket (`lane` of include/ipcfs/backend.h). */
#ifndef IPCFS_BACKENDS_SOCK_LANES_H
#define IPCFS_BACKENDS_SOCK_LANES_H

#include <stdatomic.h>
#include <stdint.h>

enum { SOCK_LANE_ACCEPT, SOCK_LANE_CONNECT, SOCK_LANE_RECEIVE, SOCK_LANE_SEND, SOCK_LANES_SHARED };

/* A pair that nobody else has: the number, and the next. */
static inline uint64_t sock_lanes_own(void)
{
    static atomic_uint_fast64_t next = SOCK_LANES_SHARED;
    return atomic_fetch_add(&next, 2);
}

#endif
