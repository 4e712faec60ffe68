/* SPDX-License-Identifier: MIT */
/*
 * A kind of the test's own, "link", of whose objects there is one, "one", a directory of connections:
 *   pair     connected at once; the other end is the test's
 *   packets  the same, of packets
 *   accept   connected when somebody connects to the listening socket
 *   connect  connected to that; where too many wait to be accepted, by a keeper
 *   refused  never connected: ECONNREFUSED
 *   never    never connected, and nothing to wait for
 * and ctl/link/one/pair. They are real sockets.
 */
#ifndef IPCFS_TESTS_SESSION_STREAM_KIND_H
#define IPCFS_TESTS_SESSION_STREAM_KIND_H

#include "later.h"

enum { SOCKET_ROOM = 4096 }; /* what SO_SNDBUF is set to; the kernel doubles it */

/* What the kind did and was told. */
struct links {
    int listener; /* AF_UNIX, non-blocking */
    atomic_int holds, files;
    atomic_int blocking; /* threads in the native call that waits */
    atomic_int wrong;    /* calls that no kind should get */
    atomic_int connects; /* calls of try_connect */
    atomic_int shut_reading, shut_writing;
    atomic_int end; /* the test's end of what `pair` or `packets` opened last; the test's to close */
    _Atomic uid_t opener;
    atomic_int flags;                /* of the last open */
    void (*_Atomic meanwhile)(void); /* done once, while an open has its file, and nobody knows of it */
    atomic_int stalled;              /* try_write sends nothing: it gets no further */
};
extern struct links links;

extern const struct ipcfs_backend link_kind;

/* At the begin and the end of a test. A listener with room for `backlog` more than one. */
void links_start(int backlog);
void links_stop(void);
/* A native client: connected, or waiting to be accepted. Closed on execve(2); the test's to close. */
int links_connect(void);
/* What is accepted natively of those that `connect` connects. */
int links_accept(void);
/* The end of the last pair. */
int links_take_end(void);

#endif
