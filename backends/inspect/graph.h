/* SPDX-License-Identifier: MIT */
/*
 * Processes and what they use, as a picture for dot(1).
 *
 * Shown are the objects of the tree that somebody uses, and those who use them; of pipes, sockets and memory without a name those
 * that connect two of these. Several uses of an object by a process are one edge; both ends of a connection are one
 * object; and processes with the same parent and command that use the same objects in the same way are one node.
 */
#ifndef IPCFS_BACKENDS_INSPECT_GRAPH_H
#define IPCFS_BACKENDS_INSPECT_GRAPH_H

#include "inspection.h"

struct graph_edge {
    size_t process, object; /* indices of the inspection's */
    bool reads, writes, maps, attaches, waits;
    const char *call; /* of one that waits */
    const char *part; /* a file of the mount by which it is used ("hold"); NULL: itself, or several */
};

/* Processes that are one node. */
struct graph_group {
    const size_t *processes; /* indices, in the order of the pids */
    size_t count;
    const struct graph_edge *edges; /* those of the first, which are those of all */
    size_t edge_count;
};

struct graph {
    const struct inspection *inspection; /* borrowed */
    struct graph_group *groups;
    size_t group_count;
    bool *shown; /* by object, whether it is a node */
    void *memory[3];
};

/* 0 or −ENOMEM, and then there is nothing to be freed. */
int graph_make(const struct inspection *inspection, struct graph *out);
void graph_free(struct graph *graph);
#define AUTO_GRAPH __attribute__((cleanup(graph_free))) struct graph

/* The graph of an inspection that included those who wait, in the language of dot(1). Sizes are asked of the objects, as
 * the calling thread (`traces`). 0 or −errno. */
int graph_dot(const struct inspection *inspection, struct text *out);

/* Appends what stands between quotation marks there for these bytes: dot(1) takes backslashes and the entities of HTML for
 * more than they are. */
void graph_quote(struct text *out, const char *bytes, size_t length);

#endif
