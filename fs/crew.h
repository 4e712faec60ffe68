/* SPDX-License-Identifier: MIT */
/*
 * The workers of a session: a few threads, each of which receives a request (fs/lookout.h), answers it, and receives the
 * next. All functions but the workers themselves are the main thread's.
 *
 * How many there are. A request is answered in microseconds, so a few do. But a native call may have to wait for the lock
 * of an inode that another process holds for as long as it likes (a write(2) whose data do not come), so that in the end
 * every worker could be stuck. Therefore, when all are busy and for CREW_BUSY_MS none has finished, one more is started;
 * one that has nothing to do ends itself again.
 */
#ifndef IPCFS_FS_CREW_H
#define IPCFS_FS_CREW_H

#include "fuse_api.h"

#include <stdatomic.h>
#include <stdbool.h>

enum { CREW_BUSY_MS = 20 };

struct crew;

struct crew_options {
    struct fuse_session *session;
    unsigned threads;      /* wanted */
    unsigned poll_percent; /* of one CPU, that may be spent in polling the device; 0: none */
    atomic_uint *count;    /* where to tell how many threads there are */
};

/* Owned: crew_end(). 0 or −errno; fewer threads than wanted are only logged. */
int crew_start(const struct crew_options *options, struct crew **out);

/* Readable once the session has ended. */
int crew_ended_fd(const struct crew *crew);
/* Readable when all workers have become busy: crew_told(). */
int crew_crowded_fd(const struct crew *crew);
void crew_told(struct crew *crew);
/* Whether crew_help() is to be called in CREW_BUSY_MS from now, if nothing else happens until then. */
bool crew_is_crowded(const struct crew *crew);
void crew_help(struct crew *crew);

/* Ends the session and the workers, whom WAKE_SIGNAL (fs/wait.h) reaches, and frees the crew. False where a worker is stuck
 * in a native call: then nothing is freed, and it still uses the session. */
bool crew_end(struct crew *crew);

#endif
