/* SPDX-License-Identifier: MIT */
/*
 * poll(2), select(2) and epoll(7) on a handle.
 *
 * Who is told, and of what. A caller that has been told that it can read is told again only when it may have found that
 * it cannot any more: an edge-triggered epoll does not ask in between. So whom to tell is kept, and the watch armed for what
 * is not possible now, and for the rest as soon as an operation of the handle has met its lack, up to which such a
 * caller has to go on (epoll(7)). Level-triggered callers ask again by themselves. The kernel has one number for all who
 * poll a file, so what they await adds up until they have been told.
 */
#ifndef IPCFS_FS_POLLER_H
#define IPCFS_FS_POLLER_H

#include "fuse_api.h"
#include "lock.h"
#include "wait.h"

struct handle;
struct reply;

/* Which of POLLIN, POLLOUT … hold now, for those who have this handle; `wait` is for the rest. */
typedef short poller_look(const struct handle *handle, struct ipcfs_wait *wait);

struct poller {
    struct wait_engine *waits;
    const struct handle *handle; /* whose it is */
    poller_look *look;
    struct lock lock; /* guards what follows */
    struct wait_watch *watch;
    struct fuse_pollhandle *told; /* owned: who is told when something changes */
    short awaited;                /* the events he waits for */
    short watched;                /* of these, what the watch is to tell of */
};

/* 0 or −errno. */
int poller_init(struct poller *poller, struct wait_engine *waits, const struct handle *handle,
                poller_look *look);
/* While the handle still is what `look` needs. */
void poller_destroy(struct poller *poller);

/* Answers the request. Takes `told` over, which may be NULL. */
void poller_poll(struct poller *poller, struct reply *reply, short events, struct fuse_pollhandle *told);
/* Something has changed, of which no watch tells (IPCFS_WAIT_TOLD). */
void poller_tell(struct poller *poller);
/* After an operation that met the lack of one of `events`. */
void poller_watch_again(struct poller *poller, short events);

#endif
