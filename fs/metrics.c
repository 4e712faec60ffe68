/* SPDX-License-Identifier: MIT */
#include "metrics.h"

#include "ipcfs/monotonic.h"

const char *const metric_op_names[METRIC_OP_COUNT] = {
#define X(op) #op,
    METRIC_OPS(X)
#undef X
};

const uint64_t metric_bounds[METRIC_BUCKETS - 1] = {10000,  20000,   50000,    100000,    200000,
                                                    500000, 1000000, 10000000, 100000000, 1000000000};

static void add(atomic_uint_fast64_t *counter, uint64_t number)
{
    atomic_fetch_add_explicit(counter, number, memory_order_relaxed);
}

struct metric_timer metrics_begin(struct metrics *metrics, enum metric_op op)
{
    struct metric_requests *requests = &metrics->requests[op];
    add(&requests->count, 1);
    return (struct metric_timer){.requests = requests, .began = monotonic_ns()};
}

unsigned metrics_bucket(uint64_t nanoseconds)
{
    unsigned bucket = 0;
    while (bucket < METRIC_BUCKETS - 1 && nanoseconds > metric_bounds[bucket])
        bucket++;
    return bucket;
}

void metrics_end(struct metric_timer *timer)
{
    uint64_t took = monotonic_ns() - timer->began;
    add(&timer->requests->nanoseconds, took);
    add(&timer->requests->buckets[metrics_bucket(took)], 1);
}
