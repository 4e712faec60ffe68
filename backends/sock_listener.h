/* SPDX-License-Identifier: MIT */
/*
 * Listening sockets made by mkdir sock/NAME. The daemon has the socket; it is bound in "listen" of the runtime directory,
 * under the number of the object, where native clients reach it by the link `socket`. It follows the object: the
 * directory in the runtime directory keeps owner, mode and times, and a file beside the socket its type and backlog, so
 * that it is there again after a restart.
 */
#ifndef IPCFS_BACKENDS_SOCK_LISTENER_H
#define IPCFS_BACKENDS_SOCK_LISTENER_H

#include "ipcfs/backend.h"

struct listener_wish {
    int type;         /* SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM: sock_type_of() */
    unsigned backlog; /* 0: as much as net.core.somaxconn allows */
};

/* The type of that name, "stream", "seqpacket" or "dgram"; 0 for any other word. The name of a type; "" for any other. */
int sock_type_of(const char *word, size_t length);
const char *sock_type_name(int type);

/* Once, before all others; stop closes all. 0 or −errno. */
int listeners_start(void);
void listeners_stop(void);

/*
 * For a directory just made; acts as the caller. 0 or −errno, and then nothing is left of it. −EINVAL for a backlog over
 * listener_backlog_max(), which is net.core.somaxconn; −EDQUOT where the owner, if he is not root, has so many that their sockets
 * are an eighth of the descriptors that the daemon may have. Clients see by SO_PEERCRED the directory's owner, with the daemon's pid.
 */
unsigned listener_backlog_max(void);
int listener_make(const struct ipcfs_found *object, const struct listener_wish *wish);
/* For one that is there at start, as it was kept. The calling thread has the daemon's identity. On error it is there without
 * its socket, until it is removed or restored at another start. */
int listener_restore(const struct ipcfs_found *object);
/* After the last was restored: what was left behind by those that are gone is removed. */
void listeners_sweep(void);
/* It was removed: what waits by it ends with −EIDRM. What is connected stays so. Unknown ids are ignored. */
void listener_remove(struct ipcfs_objid id);
/* Owner or mode of the directory has changed. */
int listener_follow(const struct ipcfs_found *object);

/* The files in the directory: accept, connect, socket, type, backlog, send, recv. */
extern const struct ipcfs_verb listener_files[];

/* What ctl/ shows of it. */
extern const struct ipcfs_field listener_peer_fields[];
struct listener_state {
    int type;
    unsigned backlog; /* most that may wait to be accepted */
    bool queued_known;
    unsigned queued;      /* that wait to be accepted now (of datagrams: to be received) */
    unsigned connections; /* accepted through the mount, and open */
    ino_t inode;          /* of the socket */
    struct ipcfs_table
        *peers; /* owned by whoever has the state: a row per connection, with the peer's pid, uid, gid */
};
/* 0, or −ESTALE where there is no such listener. */
int listener_state(struct ipcfs_objid id, struct listener_state *out);

#endif
