/* SPDX-License-Identifier: MIT */
/* What the files and the state of listening sockets need of them (backends/sock_table.c, backends/sock_listener.c). */
#ifndef IPCFS_BACKENDS_SOCK_LISTENERS_H
#define IPCFS_BACKENDS_SOCK_LISTENERS_H

#include "sock_endpoint.h"

#include <sys/queue.h>
#include <sys/socket.h>

/* The socket, counted; NULL where there is none. */
struct endpoint *listener_endpoint(struct ipcfs_objid id);

/* What is known of a connection from here: one end of a socket pair, so to speak. */
struct sock_end {
    bool accepted;     /* otherwise it is one that connected */
    pid_t caller;      /* the thread that opened the file */
    ino_t inode;       /* of this end's socket */
    struct ucred peer; /* of one accepted: as the kernel told when it was accepted */
};

/* An open connection. A listener has a list of its own until one of them goes. */
struct sock_member {
    LIST_ENTRY(sock_member) next;
    bool listed; /* the listeners' lock */
    struct sock_end end;
};

/* Puts it into the list of the listener, where that is still there; and takes it out again, where it still is in it. */
void listener_join(struct ipcfs_objid id, struct sock_member *member);
void listener_leave(struct sock_member *member);

struct listener_look {
    struct endpoint *endpoint; /* counted */
    unsigned backlog;
    size_t count;
    struct sock_end *ends; /* owned */
};
/* 0, −ENOMEM, or −ESTALE where there is no such listener. */
int listener_look(struct ipcfs_objid id, struct listener_look *out);

/* The sockets on which the daemon listens, and its ends of what is connected there: visits each with the number of the
 * listener. The listeners' lock is held: `visit` takes no other. Anything but 0 ends it, which returns that. */
int listeners_each_end(int (*visit)(void *data, uint64_t number, ino_t inode), void *data);

/* As what is written to the files says. −ESTALE; −EBUSY where somebody waits or is queued; −EINVAL; −EOPNOTSUPP. */
int listener_set_type(struct ipcfs_objid id, int type);
int listener_set_backlog(struct ipcfs_objid id, unsigned backlog);
/* As it is in force. */
int listener_backlog(struct ipcfs_objid id, unsigned *out);

#endif
