/* SPDX-License-Identifier: MIT */
/* Nanoseconds of CLOCK_MONOTONIC, read without entering the kernel (vdso(7)). */
#ifndef IPCFS_FS_MONOTONIC_H
#define IPCFS_FS_MONOTONIC_H

#include <stdint.h>
#include <time.h>

static inline uint64_t monotonic_ns(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

#endif
