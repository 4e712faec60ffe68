/* SPDX-License-Identifier: MIT */
/*
 * A bound socket of the daemon's: one that listens, or takes datagrams. Counted: those who wait by it have its descriptor
 * until they let go of it, also when the object is gone by then.
 */
#ifndef IPCFS_BACKENDS_SOCK_ENDPOINT_H
#define IPCFS_BACKENDS_SOCK_ENDPOINT_H

#include "sock_kept.h"

#include <pthread.h>
#include <stdatomic.h>

struct endpoint {
    int fd; /* non-blocking */
    int type;
    unsigned backlog; /* as it is in force; of datagrams, how many may be queued. The listeners' lock */
    ino_t inode;
    atomic_uint users;
    atomic_bool removed;       /* whatever is tried from now on is −EIDRM */
    pthread_mutex_t receiving; /* a look at the next datagram, and taking it, are one */
};

/* Not bound yet; counted for the caller. −EINVAL for an unknown type. */
int endpoint_new(int type, struct endpoint **out);
/* Binds it at its number, in place of a node that is there, and has it listen. Has the daemon's identity on. */
int endpoint_bind(struct endpoint *endpoint, uint64_t number, const struct sock_owner *owner,
                  unsigned backlog);
/*
 * Makes the socket its owner's and has it listen, unless it takes datagrams. `backlog` 0: as much as net.core.somaxconn allows,
 * which listen(2) sees to. A client learns by SO_PEERCRED who called listen(2) (unix(7)): that is the owner, whoever changes
 * something here, so that nobody's socket ever seems to be another's. Has the daemon's identity on.
 */
int endpoint_listen(struct endpoint *endpoint, const struct sock_owner *owner, unsigned backlog);

struct endpoint *endpoint_get(struct endpoint *endpoint);
/* NULL is harmless. */
void endpoint_put(struct endpoint *endpoint);

static inline bool endpoint_is_removed(const struct endpoint *endpoint)
{
    return atomic_load(&endpoint->removed);
}

/* Whether somebody has it beside the one who asks, or something is queued. */
bool endpoint_is_busy(const struct endpoint *endpoint);

/* It is reached by nobody any more: all who wait by it are woken, here and elsewhere, and what is queued is dropped. */
void endpoint_remove(struct endpoint *endpoint);

#endif
