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

struct metrics {
    atomic_uint_fast64_t requests[METRIC_OP_COUNT];
    atomic_uint_fast64_t backing_ids; /* open now */
};

extern const char *const metric_op_names[METRIC_OP_COUNT];

static inline void metrics_count(struct metrics *metrics, enum metric_op op)
{
    atomic_fetch_add_explicit(&metrics->requests[op], 1, memory_order_relaxed);
}

#endif
