/* SPDX-License-Identifier: MIT */
/* The daemon's own counters, as ctl/metrics shows them. */
#ifndef IPCFS_FS_METRICS_H
#define IPCFS_FS_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

/* The requests the daemon answers, in the order of ctl/metrics. */
#define METRIC_OPS(X)                                                                                        \
    X(lookup)                                                                                                \
    X(forget)                                                                                                \
    X(getattr)                                                                                               \
    X(statx)                                                                                                 \
    X(setattr)                                                                                               \
    X(readlink)                                                                                              \
    X(mknod)                                                                                                 \
    X(mkdir)                                                                                                 \
    X(unlink)                                                                                                \
    X(rmdir)                                                                                                 \
    X(symlink)                                                                                               \
    X(rename)                                                                                                \
    X(link)                                                                                                  \
    X(open)                                                                                                  \
    X(create)                                                                                                \
    X(read)                                                                                                  \
    X(write)                                                                                                 \
    X(flush)                                                                                                 \
    X(release)                                                                                               \
    X(opendir)                                                                                               \
    X(readdir)                                                                                               \
    X(releasedir)                                                                                            \
    X(statfs)                                                                                                \
    X(getxattr)                                                                                              \
    X(listxattr)                                                                                             \
    X(setxattr)                                                                                              \
    X(removexattr)                                                                                           \
    X(fallocate)                                                                                             \
    X(lseek)                                                                                                 \
    X(poll)                                                                                                  \
    X(getlk)                                                                                                 \
    X(setlk)                                                                                                 \
    X(flock)

enum metric_op {
#define X(op) METRIC_##op,
    METRIC_OPS(X)
#undef X
        METRIC_OP_COUNT
};

/*
 * How long requests took, in buckets: each counts those that took no longer than its bound and longer than the one before,
 * the last all others. A thread that reads the device answers a request or parks it; waiting for another process is not in it.
 */
enum { METRIC_BUCKETS = 11 };
/* Nanoseconds, for all but the last bucket. */
extern const uint64_t metric_bounds[METRIC_BUCKETS - 1];
unsigned metrics_bucket(uint64_t nanoseconds);

/* Of one kind of request. */
struct metric_requests {
    atomic_uint_fast64_t count;       /* that have come */
    atomic_uint_fast64_t errors;      /* answered with one, whenever */
    atomic_uint_fast64_t nanoseconds; /* that those in the buckets took together */
    atomic_uint_fast64_t buckets[METRIC_BUCKETS];
};

struct metrics {
    struct metric_requests requests[METRIC_OP_COUNT];
    atomic_uint_fast64_t backing_ids; /* open now */
};

extern const char *const metric_op_names[METRIC_OP_COUNT];

/* A request that a thread has begun to work on. */
struct metric_timer {
    struct metric_requests *requests;
    uint64_t began; /* CLOCK_MONOTONIC, nanoseconds */
};

/* Counts the request. */
struct metric_timer metrics_begin(struct metrics *metrics, enum metric_op op);
void metrics_end(struct metric_timer *timer);
#define METRIC_TIMER __attribute__((cleanup(metrics_end))) struct metric_timer

#endif
