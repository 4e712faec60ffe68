/* SPDX-License-Identifier: MIT */
/* Processes that have something open and do nothing. */
#ifndef BENCH_HOLDERS_H
#define BENCH_HOLDERS_H

#include <stddef.h>
#include <sys/types.h>

struct holders {
    pid_t *pids;
    size_t count;
};

/* Makes things and leaves them open: `count` of them. 0, or −1 with errno. */
typedef int holder_job(size_t count);

/* `total` things in all, `each` in one process. 0 when all are there, or −1 with errno. */
int holders_start(struct holders *holders, size_t total, size_t each, holder_job *job);
/* What they have goes with them. */
void holders_end(struct holders *holders);

#endif
