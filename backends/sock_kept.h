/* SPDX-License-Identifier: MIT */
/*
 * The directory "listen" of the runtime directory: for each listening socket its node, under the object's number, where
 * connect(2) reaches it, and beside it a file NUMBER.conf with what is to be known to make it again. The directory is
 * the daemon's: whatever changes something here has the daemon's own identity on. Each function: 0 or −errno.
 */
#ifndef IPCFS_BACKENDS_SOCK_KEPT_H
#define IPCFS_BACKENDS_SOCK_KEPT_H

#include "sock_listener.h"

#include <sys/un.h>

int sock_kept_start(void);
void sock_kept_stop(void);

/* Who owns an object, and its permission bits: the node has the same. */
struct sock_owner {
    uid_t uid;
    gid_t gid;
    mode_t mode;
};

/* The path of the node as others reach it, terminated. −ENAMETOOLONG. */
int sock_kept_path(uint64_t number, char *path, size_t room);
/* An address to bind to, which all can see later: that path where it fits (unix(7): 108 bytes). */
void sock_kept_bind_address(uint64_t number, struct sockaddr_un *out);
/* The same node by a way on which no right counts but those to the directory and to the node. */
void sock_kept_address(uint64_t number, struct sockaddr_un *out);

/* Gives the node owner and permissions, those that connect(2) asks for. −ENOENT where somebody has taken it away. */
int sock_kept_own(uint64_t number, const struct sock_owner *owner);
/* Moves the node out of the way, so that nobody reaches its socket any more; and back, in place of what is there by now. */
int sock_kept_set_aside(uint64_t number);
int sock_kept_put_back(uint64_t number);
/* What was set aside goes for good. */
void sock_kept_forget_aside(uint64_t number);
/* The node goes, or all there is of that number. */
void sock_kept_remove_node(uint64_t number);
void sock_kept_remove(uint64_t number);

/* Type and backlog, written whole or not at all. −EINVAL: what is there makes no sense. */
int sock_kept_write(uint64_t number, const struct listener_wish *wish);
int sock_kept_read(uint64_t number, struct listener_wish *out);

/* Removes all that is of no number that is known. */
void sock_kept_sweep(bool (*is_known)(uint64_t number));

#endif
