/* SPDX-License-Identifier: MIT */
/*
 * Jobs: what takes long and waits for nobody, done beside the threads that answer requests.
 *
 * A few threads, started when there is something to do, which end when there was nothing for a while. Users take turns: each
 * has a queue of his own, the next job is that of the user who has had none for the longest time, and no user but root has
 * more than half of the threads. So who asks for one thing waits for one job of each other user, however many those want.
 */
#ifndef IPCFS_FS_JOBS_H
#define IPCFS_FS_JOBS_H

#include <stdbool.h>
#include <sys/types.h>

enum {
    JOBS_THREADS_MAX = 4,
    JOBS_RUN_SHARE = JOBS_THREADS_MAX / 2,
    JOBS_QUEUE_SHARE = 512,
    JOBS_LINGER_MS = 500
};

struct jobs;
struct job_user;

struct job {
    /* Called once, in a thread of its own, without any lock, with the daemon's identity. It may free the job. */
    void (*run)(struct job *job);
    uid_t uid; /* whose it is */

    /* The queue's. */
    struct job_user *user; /* whose queue it is in; NULL: none */
    struct job *prev;
    struct job *next;
};

/* 0 or −ENOMEM. */
int jobs_new(struct jobs **out);
/* −EAGAIN where the user has JOBS_QUEUE_SHARE in the queue, or there is no thread; −ENOMEM. The job is then the caller's. */
int jobs_submit(struct jobs *jobs, struct job *job);
/* Takes a job back that has not begun: then true, and run() is not called. The job must exist. */
bool jobs_cancel(struct jobs *jobs, struct job *job);
/* When nothing is submitted any more, and what was in the queue has been cancelled: ends the threads. False where a job goes
 * on for longer than that; it may still use all that it uses. Again is harmless. */
bool jobs_stop(struct jobs *jobs, unsigned milliseconds);
/* After jobs_stop() has said true. NULL is harmless. */
void jobs_free(struct jobs *jobs);

struct jobs_stats {
    unsigned threads, running, queued;
};
void jobs_stats(struct jobs *jobs, struct jobs_stats *out);

#endif
