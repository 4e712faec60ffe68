/* SPDX-License-Identifier: MIT */
#include "clients.h"
#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct op *inner;
static unsigned count;

struct clients {
    unsigned number; /* of the client that is being started */
    struct peer peers[CLIENTS_MAX];
};

/* ---- a client ---- */

/* Owned by the caller; NULL: no memory. */
static char *numbered(const char *path, unsigned number)
{
    char *text = malloc(2 * strlen(path) + 1);
    char *end = text;
    for (; text && *path; path++) {
        if (*path == '%')
            end += sprintf(end, "%02u", number % 100);
        else
            *end++ = *path;
    }
    if (text)
        *end = '\0';
    return text;
}

/* The first job, of nothing, is to open the way. It stays open until the process ends. */
static int be_client(struct way *way, uint64_t n)
{
    static struct way self;
    if (!self.path) {
        self = *way;
        self.path = numbered(way->path, way->clients->number);
        if (!self.path)
            return way_failed(way, "memory");
        if (way_open(&self, inner) == -1)
            return way_wrong(way, self.why);
    }
    return n > 0 && inner->run(&self, n) == -1 ? way_wrong(way, self.why) : 0;
}

/* ---- all of them ---- */

static int run_clients(struct way *way, uint64_t n)
{
    const struct peer *peers = way->clients->peers;
    for (unsigned i = 0; i < count; i++)
        if (peer_begin(way, &peers[i], n / count + (i < n % count)) == -1)
            return -1;
    for (unsigned i = 0; i < count; i++)
        if (peer_wait(way, &peers[i]) == -1)
            return -1;
    return 0;
}

static int prepare_clients(struct way *way)
{
    struct clients *clients = way->clients = calloc(1, sizeof *clients);
    if (!clients)
        return way_failed(way, "memory");
    for (unsigned i = 0; i < count; i++)
        clients->peers[i] = PEER_NONE;
    for (; clients->number < count; clients->number++)
        if (peer_start(way, &clients->peers[clients->number], be_client) == -1)
            return -1;
    return run_clients(way, 0);
}

static void finish_clients(struct way *way)
{
    if (!way->clients)
        return;
    for (unsigned i = 0; i < count; i++)
        peer_end(&way->clients->peers[i]);
    free(way->clients);
    way->clients = NULL;
}

struct op clients_op(const struct op *op, unsigned wanted)
{
    inner = op;
    count = wanted;
    return (struct op){.name = op->name,
                       .help = op->help,
                       .takes_size = op->takes_size,
                       .once = op->once,
                       .prepare = prepare_clients,
                       .run = run_clients,
                       .finish = finish_clients};
}
