/* SPDX-License-Identifier: MIT */
#include "sock_show.h"

#include "sock.h"
#include "sock_holders.h"
#include "sock_node.h"
#include "sock_nodes.h"

#include <errno.h>
#include <string.h>

/* Says who it is, as far as the caller may see it. */
static int refuse_used(const struct sock_node *node, struct text *reason)
{
    AUTO_HOLDERS holders = {0};
    int error = sock_holders_read(node->inode, &holders);
    if (error)
        return error;
    text_string(reason, node->state == SOCK_NODE_LISTEN ? "somebody listens" : "a socket is bound to it");
    if (holders.count)
        text_printf(reason, ": pid %d", holders.rows[0].pid);
    return -EBUSY;
}

static int refuse(const struct sock_node *node, struct text *reason)
{
    switch (node->state) {
    case SOCK_NODE_STALE:
        return 0;
    case SOCK_NODE_NEW:
        text_string(reason, "just made");
        return -EBUSY;
    case SOCK_NODE_UNKNOWN:
        text_string(reason, "whether somebody listens cannot be seen");
        return -EBUSY;
    case SOCK_NODE_LISTEN:
    case SOCK_NODE_BOUND:
        break;
    }
    return refuse_used(node, reason);
}

/* A look may miss a socket (sock_diag.h), so what it does not see is looked for again. */
static int check_stale(const struct statx *stat, struct text *reason)
{
    int error = 0;
    for (int look = 0; !error && look < 2; look++) {
        struct sock_node node;
        error = sock_node_look(stat, &node);
        if (!error)
            error = refuse(&node, reason);
    }
    return error;
}

static int check_type(const struct statx *stat, struct text *reason)
{
    if (S_ISSOCK(stat->stx_mode))
        return 0;
    text_string(reason, "not a socket made by bind");
    return -EINVAL;
}

/* As the caller, who needs the right to remove the name. No socket is ever bound to a node that is there (bind(2) makes its
 * own), so one that is stale stays so; and another of the name is not meant. */
static int write_reclaim(const struct ipcfs_ref *ref, int64_t number, const struct ipcfs_written *written)
{
    (void)number;
    struct statx stat;
    if (strcmp(written->data, "1") != 0) {
        text_string(written->reason, "write 1");
        return -EINVAL;
    }
    int error = sock_stat(ref, &stat);
    if (!error)
        error = check_type(&stat, written->reason);
    if (!error)
        error = check_stale(&stat, written->reason);
    if (error)
        return error;
    struct ipcfs_ref meant = *ref;
    meant.id = nodes_object_id(&stat);
    return sock_remove_meant(&meant);
}

const struct ipcfs_verb sock_verbs[] = {
    {.name = "reclaim",
     .type = IPCFS_VERB_TEXT,
     .mode = 0200,
     .help = "write 1: removes a socket's node if it is stale",
     .write = write_reclaim},
    {0},
};
