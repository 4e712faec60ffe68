/* SPDX-License-Identifier: MIT */
#include "sock_node.h"

#include "ipcfs/place.h"

#include <errno.h>
#include <string.h>
#include <time.h>

/* bind(2) makes the node, and ties the socket to it when the file system has answered. */
enum { NEW_S = 2 };

static int64_t age_ns(const struct statx *stat, const struct timespec *then)
{
    const struct statx_timestamp *made = stat->stx_mask & STATX_BTIME ? &stat->stx_btime : &stat->stx_ctime;
    return (then->tv_sec - made->tv_sec) * INT64_C(1000000000) + then->tv_nsec - made->tv_nsec;
}

/* When it was looked for its socket. A clock that is set back a little must not make it old. */
static bool is_new(const struct statx *stat, const struct timespec *looked)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return age_ns(stat, looked) < NEW_S * INT64_C(1000000000) &&
           age_ns(stat, &now) > -NEW_S * INT64_C(1000000000);
}

enum sock_node_state sock_node_state_of(const struct diag_socket *socket)
{
    return strcmp(socket->state, "listen") == 0 ? SOCK_NODE_LISTEN : SOCK_NODE_BOUND;
}

enum sock_node_state sock_node_state_unbound_since(const struct statx *stat, const struct timespec *looked,
                                                   bool sure)
{
    if (is_new(stat, looked))
        return SOCK_NODE_NEW;
    return sure ? SOCK_NODE_STALE : SOCK_NODE_UNKNOWN;
}

enum sock_node_state sock_node_state_unbound(const struct statx *stat, bool sure)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return sock_node_state_unbound_since(stat, &now, sure);
}

const char *sock_node_state_name(enum sock_node_state state)
{
    static const char *const names[] = {
        [SOCK_NODE_LISTEN] = "listen",
        [SOCK_NODE_BOUND] = "bound",
        [SOCK_NODE_NEW] = "new",
        [SOCK_NODE_STALE] = "stale",
    };
    return names[state];
}

bool sock_node_is_blind(int error)
{
    return error == -EPERM || error == -EOPNOTSUPP || error == -ENOSYS;
}

static int look_at(void *data, const struct diag_socket *socket)
{
    struct sock_node *node = data;
    if (!socket->reachable) {
        node->connected++;
        return 0;
    }
    node->state = sock_node_state_of(socket);
    node->kind = socket->kind;
    node->inode = socket->inode;
    node->receive = socket->receive;
    node->send = socket->send;
    return 0;
}

int sock_node_look(const struct statx *stat, struct sock_node *out)
{
    dev_t device = place_device();
    *out = (struct sock_node){.state = SOCK_NODE_UNKNOWN};
    if (!device)
        return 0;
    int error = diag_walk_bound(device, stat->stx_ino, look_at, out);
    if (error && !sock_node_is_blind(error))
        return error;
    if (out->state == SOCK_NODE_UNKNOWN)
        out->state = sock_node_state_unbound(stat, !error);
    return 0;
}
