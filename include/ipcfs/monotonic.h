/* SPDX-License-Identifier: MIT */
/* CLOCK_MONOTONIC in one number, read without entering the kernel (vdso(7)). */
#ifndef IPCFS_MONOTONIC_H
#define IPCFS_MONOTONIC_H

#include <stdint.h>
#include <time.h>

/* Nanoseconds. */
static inline uint64_t monotonic_ns(void)
{
    struct timespec time = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* Milliseconds. */
static inline int64_t monotonic_ms(void)
{
    return (int64_t)(monotonic_ns() / 1000000);
}

#endif
