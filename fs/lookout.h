/* SPDX-License-Identifier: MIT */
/*
 * Who waits for requests, and how.
 *
 * To wake a thread that sleeps in read(2) costs more than most requests. So while requests come in quick succession one
 * worker, the lookout, polls the device instead, within its budget (fs/poll_budget.h). The device wakes a sleeping reader
 * for each request even then, so that meanwhile nobody else may sleep in read(2).
 *
 * QUIET: there is no lookout, the device's file blocks, and whoever has nothing to do sleeps in its read(2). The kernel
 * wakes one per request. A worker that has answered a request may become the lookout: it sets O_NONBLOCK on the file.
 *
 * POLLED: there is a lookout. To the others read(2) says EAGAIN, as it does to those who slept in it and are now woken by
 * a request that the lookout has taken: they rest, on a futex. The first to do so is the deputy, who looks every
 * DEPUTY_MS whether the lookout moves. When nothing has come for a while, or the budget is spent, the lookout clears
 * O_NONBLOCK, which makes it QUIET, and goes to sleep in read(2) as everybody did before.
 *
 * Stuck. A lookout that has not moved since the deputy looked last is in a request that takes long, or has no CPU. The
 * deputy makes it QUIET in its place and goes to read(2) itself. What was the lookout finds out when it comes back.
 *
 * Idle. Nobody rests with a timer for longer than DEPUTY_MS after it became QUIET: the deputy then goes to read(2), too.
 * The others rest on without one.
 *
 * No request is left lying. It is read as long as one of the awake, those who do not rest, is not busy with another: each
 * of them is asleep in read(2), or polls, or is on its way to either, and read(2) looks before it sleeps. A file that
 * changes under them does no harm: a reader turned away by EAGAIN comes back to find a lookout, or tries again. So
 * all that must not be is that all the awake are busy and stay so, while others rest without a deputy. Whoever becomes
 * busy, or leaves, looks whether that is now so, after it has been counted, and then wakes one who rests
 * (lookout_look_round()). The last to be counted sees all the others. Nobody begins to rest unless there is a lookout, and he
 * becomes the deputy if there is none; and a deputy ends to be one only to go and read. So from when anybody looked round and
 * saw one that is not busy, or a deputy, there is one until he, too, becomes busy and looks round.
 *
 * Crowds. A lookout that finds more than one request there again and again has nothing to poll for: requests queue. It
 * makes it QUIET, so that as many read as there is work for.
 */
#ifndef IPCFS_FS_LOOKOUT_H
#define IPCFS_FS_LOOKOUT_H

#include "fuse_api.h"
#include "lock.h"
#include "poll_budget.h"

#include <stdatomic.h>
#include <stdbool.h>

enum { DEPUTY_MS = 1 };

/* A worker's part in it. Zero at first. */
struct lookout_place {
    atomic_uint woken;          /* a futex: 1: to rest no longer */
    struct lookout_place *next; /* lock: of those who rest, without the deputy */
    bool answered;              /* own: a request since it last waited */
    unsigned queued;            /* own: requests in a row that were there at once */
};

struct lookout {
    struct fuse_session *session;
    int flags; /* of the device's file, without O_NONBLOCK */
    atomic_uint *threads;
    struct lock lock;
    struct poll_budget budget;              /* lock */
    struct lookout_place *resting;          /* lock */
    _Atomic(struct lookout_place *) holder; /* changed under the lock; NULL: QUIET */
    _Atomic(struct lookout_place *) deputy; /* the same */
    atomic_uint resting_count;              /* the same; with the deputy */
    atomic_uint busy;                       /* workers that answer a request; the caller's to count */
    char apart[64];                         /* on a cache line of its own: */
    atomic_uint moves;                      /* of the lookout */
};

/* `threads`: how many workers there are. 0 or −errno. */
int lookout_init(struct lookout *lookout, struct fuse_session *session, atomic_uint *threads,
                 unsigned percent);
void lookout_destroy(struct lookout *lookout);

/* As fuse_session_receive_buf(), with −EAGAIN where the worker has to look what has become of it and to come again. */
int lookout_receive(struct lookout *lookout, struct lookout_place *place, struct fuse_buf *buffer);

/* After `busy` has become more, or the number of threads less. */
void lookout_look_round(struct lookout *lookout);

#endif
