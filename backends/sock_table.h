/* SPDX-License-Identifier: MIT */
/* The table of listening sockets. Its lock is held over system calls, but over none that waits for anybody: the files of the
 * runtime directory and the sockets are the daemon's own. No other lock is taken under it. */
#ifndef IPCFS_BACKENDS_SOCK_TABLE_H
#define IPCFS_BACKENDS_SOCK_TABLE_H

#include "sock_listeners.h"

struct listener {
    LIST_ENTRY(listener) next;
    struct ipcfs_objid id;
    struct sock_owner owner;
    struct listener_wish wish; /* as it is kept */
    /* Counted. NULL: it could not be made at start. What is kept of it stays then, for the next start. */
    struct endpoint *endpoint;
    LIST_HEAD(sock_members, sock_member) members;
};

void sock_table_lock(void);
void sock_table_unlock(void);

/* All that follows: with the lock held. */

struct listener *sock_table_find(struct ipcfs_objid id);
/* One that has its socket. */
struct listener *sock_table_find_working(struct ipcfs_objid id);
/* One of that number; of any, NULL where there is none. */
struct listener *sock_table_find_number(uint64_t number);
struct listener *sock_table_any(void);
/* How many that user has. */
size_t sock_table_count(uid_t uid);
/* Puts it in. What it returns, or NULL, had the number before, and is in the table no more: its object went without a word, by
 * the hand of an administrator. */
struct listener *sock_table_put_in(struct listener *listener);
/* Takes it out. Its connections stay as they are. */
void sock_table_take_out(struct listener *listener);

#endif
