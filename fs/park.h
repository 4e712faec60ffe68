/* SPDX-License-Identifier: MIT */
/*
 * A request that waits: a waiter (fs/wait.h) with the reply it owes.
 *
 * libfuse tells of an interrupt by a callback that it may run under the request's lock; a reply there would free the
 * request under its feet. So the callback only ends the wait, and the engine's thread answers. Taking the callback back
 * waits for one that is running: finish() does that first, by park_end().
 */
#ifndef IPCFS_FS_PARK_H
#define IPCFS_FS_PARK_H

#include "reply.h"
#include "wait.h"

struct handle;
struct ipcfs;

struct parked {
    struct waiter waiter; /* first: a struct waiter * is a struct parked * */
    struct reply reply;
};

/*
 * `block` and `deliver` (struct waiter_ops) of waiters for whom one call of the backend is all there is: attempt() makes it,
 * with `wait->block` in a keeper, and its result stands as it is.
 */
ssize_t park_block(struct waiter *waiter);
ssize_t park_deliver(struct waiter *waiter, ssize_t blocked);

/* The line, counted, of those who wait for what `file`, which is of the handle's object, does. 0 or −ENOMEM. */
int park_line(struct ipcfs *fs, const struct handle *handle, struct ipcfs_file *file, bool writing,
              struct wait_line **out);

/* What a wait by the handle is: `call` is what the caller is in, `writes` whether it waits for room. */
struct wait_about park_about(const struct handle *handle, const char *call, bool writes);

/* Takes the reply over and parks the request. `parked` is the engine's from here on, until its finish(). */
void park(struct parked *parked, struct wait_line *line, struct reply *reply);
/* The same, and no interrupt ends it. */
void park_firmly(struct parked *parked, struct wait_line *line, struct reply *reply);
/* The first step of finish(): no interrupt will reach the waiter any more. */
void park_end(struct parked *parked);

#endif
