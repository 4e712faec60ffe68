/* SPDX-License-Identifier: MIT */
/* What becomes of a socket node of the mount: what is bound to it. */
#ifndef IPCFS_BACKENDS_SOCK_NODE_H
#define IPCFS_BACKENDS_SOCK_NODE_H

#include "sock_diag.h"

#include <sys/stat.h>
#include <time.h>

enum sock_node_state {
    SOCK_NODE_UNKNOWN, /* nothing is mounted, or not every network name space could be looked into */
    SOCK_NODE_LISTEN,
    SOCK_NODE_BOUND, /* datagrams can be sent to it, or it does not listen yet */
    SOCK_NODE_NEW,   /* just made: what it is made for is bound to it in a moment */
    SOCK_NODE_STALE, /* nothing is bound to it: as bind(2) always makes a node, nothing will ever be */
};

struct sock_node {
    enum sock_node_state state;
    /* Of the socket, where the state is LISTEN or BOUND. Constant, and numbers. */
    const char *kind; /* as of struct diag_socket */
    uint32_t inode;
    uint32_t receive;
    uint32_t send;
    /* Streams that were accepted from it, or bound to it and then connected; of those whose clients are in the network name
     * space of the daemon, or else in that of the first process from which it can be seen. */
    uint32_t connected;
};

/* Of the node, whose attributes in the runtime directory are these. 0 or −errno. */
int sock_node_look(const struct statx *stat, struct sock_node *out);

/* Whether that −errno says that sockets cannot be looked for, there or anywhere; not that something went wrong. */
bool sock_node_is_blind(int error);
/* The state of a socket that is bound. */
enum sock_node_state sock_node_state_of(const struct diag_socket *socket);
/* The state of a node that nothing is bound to. `sure`: everything could be looked into. */
enum sock_node_state sock_node_state_unbound(const struct statx *stat, bool sure);
/* The same where it was looked for at that time (CLOCK_REALTIME), or later. */
enum sock_node_state sock_node_state_unbound_since(const struct statx *stat, const struct timespec *looked,
                                                   bool sure);
/* NULL: unknown. */
const char *sock_node_state_name(enum sock_node_state state);

/*
 * The nodes of the mount that sockets are bound to, as two walks over all sockets have met them: one may miss a socket
 * (sock_diag.h). One malloc(3)ed piece. −errno.
 */
struct sock_bound_nodes;
int sock_bound_nodes_read(struct sock_bound_nodes **out);
/* BOUND stands for LISTEN too. A node that was made later, or just before, is NEW. */
enum sock_node_state sock_bound_nodes_state(const struct sock_bound_nodes *bound, const struct statx *stat);

#endif
