/* SPDX-License-Identifier: MIT */
/*
 * Requests that take long: those that look at all processes, or at all objects, which may be tenths of seconds. They wait for
 * nobody in particular, but a thread that answers requests must not be kept by them. So a job (fs/jobs.h) finds the answer,
 * while the request waits in the wait engine (fs/wait.h), as every request that waits, in a line of its own.
 *
 * Who wins. Request and job share a struct slow, which each of the two may leave first, and which the last of them frees. All that
 * the job does with the request is to set `done` under the line's lock, and to say that it did (wait_told()).
 *
 * Answered or interrupted. Whoever takes the waiter out of its line decides, and fs/wait.c says how: attempt() finds `done`,
 * then the job's result is the answer; or the interrupt, a limit on waits or the end of the daemon comes before, then that is,
 * and at once, because the job has no part in it: the engine's thread answers.
 *
 * Interrupted while the job is in the queue: the request, as it leaves, takes it back, and work() is never called. Interrupted
 * while it runs: it goes on to its end with what it has, counted or its own, and what it found is freed.
 *
 * Done before the request is in the line: then there is nobody to tell, but wait_park() makes an attempt of its own.
 *
 * Whose rights. The caller's groups are those of his thread, which may be gone when the job begins; so his identity is put
 * on and copied while the request is in hand, and the job puts on the copy.
 */
#ifndef IPCFS_FS_SLOW_H
#define IPCFS_FS_SLOW_H

#include "jobs.h"
#include "park.h"

#include "ipcfs/caller.h"

#include <stdatomic.h>

enum { SLOW_FIRM_MS = 5000 };

struct ipcfs;
struct ipcfs_identity;
struct slow;

struct slow_ops {
    /* In a job's thread, with the caller's identity: finds the answer. 0 or −errno. */
    int (*work)(struct slow *slow);
    /* Answers with the result of work(). With another error work() may not have been called, or may still run: then
     * nothing that it writes is looked at. Called once, in any thread, without any lock, with the daemon's identity. */
    void (*answer)(struct slow *slow, struct reply *reply, int result);
    /* After both. Frees it and what it has. */
    void (*free)(struct slow *slow);
    /* For calls of which no program expects that a signal ends them, as stat(2): none does, but after SLOW_FIRM_MS they end
     * with −ETIMEDOUT. */
    bool firm;
};

struct slow {
    struct parked parked; /* first */
    struct job job;
    const struct slow_ops *ops;
    struct ipcfs *fs;
    struct caller caller;

    /* Of fs/slow.c. */
    atomic_uint
        users; /* the request; and the job from when it is submitted until it has run or is taken back */
    struct ipcfs_identity *identity; /* owned */
    struct wait_line *line;          /* counted */
    bool done;                       /* the line's lock */
    int result;                      /* the job's before it is done */
};

/* Has the request answered, now or later. `slow` is malloc(3)ed, has its `ops` and is zero otherwise; it is taken over. */
void slow_run(struct slow *slow, struct ipcfs *fs, fuse_req_t req, struct reply *reply);

#endif
