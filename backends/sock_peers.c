/* SPDX-License-Identifier: MIT */
/* What ctl/ shows of a listening socket, and of who is connected to it. */
#include "sock_listeners.h"

#include "sock_datagram.h"
#include "sock_diag.h"
#include "thread_process.h"

#include "ipcfs/cleanup.h"

#include <errno.h>

enum { PEER_ACCEPTED_BY, PEER_PID, PEER_UID, PEER_GID, PEER_VIA };

const struct ipcfs_field listener_peer_fields[] = {
    [PEER_ACCEPTED_BY] = {"accepted_by", IPCFS_UNSIGNED, "", "pid of the process that accepted it"},
    [PEER_PID] = {"pid", IPCFS_UNSIGNED, "", "pid of the process that connected"},
    [PEER_UID] = {"uid", IPCFS_UNSIGNED, "", "its user (SO_PEERCRED)"},
    [PEER_GID] = {"gid", IPCFS_UNSIGNED, "", "its group (SO_PEERCRED)"},
    [PEER_VIA] = {"via", IPCFS_STRING, "", "native, or mount where it connected through the mount"},
    {0},
};

/* ---- processes ---- */

/* A thread that has ended, or is out of sight, is shown by its own number. */
static struct ipcfs_value shown_process(pid_t thread)
{
    pid_t process = thread_process(thread);
    return thread > 0 ? ipcfs_number((uint64_t)(process ? process : thread)) : (struct ipcfs_value){0};
}

/* ---- peers ---- */

static int by_inode(const void *a, const void *b)
{
    const struct sock_end *one = a;
    const struct sock_end *other = b;
    return (one->inode > other->inode) - (one->inode < other->inode);
}

/* Who connected through the mount: to the kernel that is the daemon. The socket's other end tells which file it was. */
static pid_t caller_at(const struct listener_look *look, ino_t inode)
{
    struct diag_socket socket = {0};
    if (diag_find_unix((uint32_t)inode, &socket))
        return 0;
    const struct sock_end key = {.inode = socket.peer};
    const struct sock_end *found = bsearch(&key, look->ends, look->count, sizeof key, by_inode);
    return found ? found->caller : 0;
}

static void show_peer(const struct listener_look *look, const struct sock_end *end, struct ipcfs_value *row)
{
    bool through_mount = end->peer.pid == getpid();
    row[PEER_ACCEPTED_BY] = shown_process(end->caller);
    row[PEER_PID] = shown_process(through_mount ? caller_at(look, end->inode) : end->peer.pid);
    row[PEER_UID] = ipcfs_number(end->peer.uid);
    row[PEER_GID] = ipcfs_number(end->peer.gid);
    row[PEER_VIA] = ipcfs_string(through_mount ? "mount" : "native");
}

static int show_peers(struct listener_look *look, struct listener_state *out)
{
    size_t row = 0;
    for (size_t i = 0; i < look->count; i++)
        out->connections += look->ends[i].accepted;
    out->peers = ipcfs_table_new(listener_peer_fields, out->connections);
    if (!out->peers)
        return -ENOMEM;
    qsort(look->ends, look->count, sizeof *look->ends, by_inode);
    for (size_t i = 0; i < look->count; i++)
        if (look->ends[i].accepted)
            show_peer(look, &look->ends[i], ipcfs_table_row(out->peers, row++));
    return 0;
}

/* ---- the state ---- */

/* Where the kernel has no sock_diag, it stays unknown. */
static int show_queued(struct endpoint *endpoint, struct listener_state *out)
{
    struct diag_socket socket = {0};
    int error = 0;
    if (endpoint->type == SOCK_DGRAM)
        out->queued = datagrams_queued(endpoint);
    else
        error = diag_find_unix((uint32_t)endpoint->inode, &socket);
    if (!error && endpoint->type != SOCK_DGRAM)
        out->queued = socket.receive;
    out->queued_known = !error;
    return error == -ENOMEM ? error : 0;
}

int listener_state(struct ipcfs_objid id, struct listener_state *out)
{
    struct listener_look look;
    *out = (struct listener_state){0};
    int error = listener_look(id, &look);
    if (!error)
        error = show_peers(&look, out);
    if (!error) {
        out->type = look.endpoint->type;
        out->backlog = look.backlog;
        out->inode = look.endpoint->inode;
        error = show_queued(look.endpoint, out);
    }
    endpoint_put(look.endpoint);
    free(look.ends);
    return error;
}
