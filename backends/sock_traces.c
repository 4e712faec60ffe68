/* SPDX-License-Identifier: MIT */
/* What is left of sockets: nodes to which nothing is bound. Whoever looks at many of them looks at the sockets once. */
#include "sock_show.h"

#include "sock.h"
#include "sock_node.h"
#include "sock_nodes.h"
#include "tmpfs_show.h"

#include "ipcfs/cleanup.h"

#include <errno.h>

static int state_of(const struct statx *stat, void **kept, enum sock_node_state *out)
{
    AUTO_FREE void *own = NULL;
    void **nodes = kept ? kept : &own;
    struct sock_bound_nodes *bound = *nodes;
    int error = bound ? 0 : sock_bound_nodes_read(&bound);
    if (error)
        return error;
    *nodes = bound;
    *out = sock_bound_nodes_state(bound, stat);
    return 0;
}

/* One that was just made is about to be used. */
int sock_traces(const struct ipcfs_ref *ref, void **kept, struct ipcfs_traces *out)
{
    struct statx stat;
    enum sock_node_state state = SOCK_NODE_UNKNOWN;
    int error = sock_stat(ref, &stat);
    if (!error)
        error = S_ISSOCK(stat.stx_mode) ? state_of(&stat, kept, &state) : -EOPNOTSUPP;
    if (error)
        return error;
    tmpfs_traces(&stat, out);
    out->holds_counted = state != SOCK_NODE_UNKNOWN;
    out->holds = state != SOCK_NODE_UNKNOWN && state != SOCK_NODE_STALE;
    out->out_of_reach = state == SOCK_NODE_STALE;
    out->content_known = out->holds_counted;
    return 0;
}
