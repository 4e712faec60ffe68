/* SPDX-License-Identifier: MIT */
/* What the operations on messages share: the endpoints of a way, and a process at the other end. */
#ifndef BENCH_TALK_H
#define BENCH_TALK_H

#include "endpoint.h"
#include "ops.h"
#include "peer.h"

#define ENDS_MAX 4
#define LINES_SIZE 65536 /* bytes per write or read of lines */

struct talk {
    struct endpoint ends[ENDS_MAX];
    unsigned count;
    struct endpoint *self;  /* what is timed */
    struct endpoint *queue; /* what is behind it */
    struct envelope envelope;
    uint64_t capacity; /* messages the queue holds */
    size_t line_size;
    char lines[LINES_SIZE];
    struct peer peer;
};

/* All of these: 0, or -1 with the reason in way->why. */

/* Parses the way's path, a list of at least so many endpoints. */
int talk_prepare(struct way *way, unsigned ends);
int talk_open(struct way *way, struct endpoint *end, int flags);
/* Opens the queue, and, unless the flags are -1, what is timed. */
int talk_open_both(struct way *way, int flags);
void talk_finish(struct way *way);

/* So many messages of the way's size. */
int talk_send(struct way *way, const struct endpoint *end, uint64_t n);
int talk_receive(struct way *way, const struct endpoint *end, uint64_t n);

#endif
