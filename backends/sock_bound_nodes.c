/* SPDX-License-Identifier: MIT */
#include "sock_node.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/place.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

struct sock_bound_nodes {
    bool sure;          /* everything could be looked into */
    struct timespec at; /* when it was begun */
    size_t count, room;
    uint32_t inodes[]; /* low 32 bits, in order */
};

struct reading {
    dev_t device;
    struct sock_bound_nodes *nodes; /* owned */
};

static int make_room(struct sock_bound_nodes **nodes)
{
    size_t room = *nodes ? 2 * (*nodes)->room : 256;
    struct sock_bound_nodes *larger = realloc(*nodes, sizeof *larger + room * sizeof larger->inodes[0]);
    if (!larger)
        return -ENOMEM;
    if (!*nodes)
        *larger = (struct sock_bound_nodes){.sure = true};
    larger->room = room;
    *nodes = larger;
    return 0;
}

static int add(void *data, const struct diag_socket *socket)
{
    struct reading *reading = data;
    if (!socket->bound || !socket->reachable || socket->node_device != reading->device)
        return 0;
    int error = reading->nodes->count == reading->nodes->room ? make_room(&reading->nodes) : 0;
    if (!error)
        reading->nodes->inodes[reading->nodes->count++] = socket->node_inode;
    return error;
}

/* What cannot be looked into only makes it unsure. */
static int walk(struct reading *reading)
{
    int (*const walks[])(diag_visit *, void *) = {diag_walk_here, diag_walk_elsewhere};
    for (size_t i = 0; i < sizeof walks / sizeof *walks; i++) {
        int error = walks[i](add, reading);
        if (error && !sock_node_is_blind(error))
            return error;
        reading->nodes->sure = reading->nodes->sure && !error;
    }
    return 0;
}

static int compare(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

int sock_bound_nodes_read(struct sock_bound_nodes **out)
{
    struct reading reading = {.device = place_device()};
    int error = make_room(&reading.nodes);
    if (error)
        return error;
    (void)clock_gettime(CLOCK_REALTIME, &reading.nodes->at);
    for (int i = 0; !error && reading.device && i < 2; i++)
        error = walk(&reading);
    if (error) {
        free(reading.nodes);
        return error;
    }
    reading.nodes->sure = reading.nodes->sure && reading.device;
    qsort(reading.nodes->inodes, reading.nodes->count, sizeof reading.nodes->inodes[0], compare);
    *out = reading.nodes;
    return 0;
}

enum sock_node_state sock_bound_nodes_state(const struct sock_bound_nodes *bound, const struct statx *stat)
{
    const uint32_t inode = (uint32_t)stat->stx_ino;
    if (bsearch(&inode, bound->inodes, bound->count, sizeof inode, compare))
        return SOCK_NODE_BOUND;
    return sock_node_state_unbound_since(stat, &bound->at, bound->sure);
}
