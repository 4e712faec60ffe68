/* SPDX-License-Identifier: MIT */
#include "talk.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* ---- life ---- */

static int parse_ends(struct way *way)
{
    struct talk *talk = way->talk;
    char *copy = strdup(way->path);
    char *rest = copy;
    char *text;
    if (!copy)
        return way_failed(way, "memory");
    int rc = 0;
    while (rc == 0 && talk->count < ENDS_MAX && (text = strsep(&rest, ",")))
        rc = endpoint_parse(&talk->ends[talk->count++], text);
    free(copy);
    return rc == 0 ? 0 : way_failed(way, "memory");
}

int talk_prepare(struct way *way, unsigned ends)
{
    if (way->size > MESSAGE_MAX)
        return way_wrong(way, "too large for a message");
    struct talk *talk = way->talk = calloc(1, sizeof *talk);
    if (!talk)
        return way_failed(way, "memory");
    talk->peer = PEER_NONE;
    talk->envelope.type = 1;
    memset(talk->envelope.text, 'x', sizeof talk->envelope.text);
    if (parse_ends(way) == -1)
        return -1;
    if (talk->count < ends)
        return way_wrong(way, "too few endpoints");
    talk->self = &talk->ends[0];
    talk->queue = &talk->ends[1];
    return 0;
}

int talk_open(struct way *way, struct endpoint *end, int flags)
{
    if (endpoint_open(end, flags) == 0)
        return 0;
    return way_failed(way, end->name);
}

/* The queue first: it makes what the other then finds. */
int talk_open_both(struct way *way, int flags)
{
    struct talk *talk = way->talk;
    if (talk_open(way, talk->queue, O_RDWR) == -1)
        return -1;
    int capacity = endpoint_capacity(talk->queue, way->size);
    if (capacity <= 0)
        return way_failed(way, "capacity");
    talk->capacity = (uint64_t)capacity;
    return flags == -1 ? 0 : talk_open(way, talk->self, flags);
}

void talk_finish(struct way *way)
{
    struct talk *talk = way->talk;
    if (!talk)
        return;
    peer_end(&talk->peer);
    for (unsigned i = 0; i < talk->count; i++)
        endpoint_free(&talk->ends[i]);
    free(talk);
    way->talk = NULL;
}

/* ---- messages ---- */

int talk_send(struct way *way, const struct endpoint *end, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        if (endpoint_send(end, &way->talk->envelope, way->size) == -1)
            return way_failed(way, "send");
    return 0;
}

int talk_receive(struct way *way, const struct endpoint *end, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        if (endpoint_receive(end, &way->talk->envelope, way->size) == -1)
            return way_failed(way, "receive");
    return 0;
}
