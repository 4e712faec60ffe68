/* SPDX-License-Identifier: MIT */
/*
 * The wait engine: all that blocks, blocks here.
 *
 * An operation that would have to wait becomes a *waiter* in a *line*. Everybody in a line waits for the same thing (to
 * read from one queue, say), and is served in the order of arrival. A waiter is memory, no thread. It leaves the line
 * in exactly one way: it is served, or interrupted, or its handle is closed, or it waited as long as the kernel lets a
 * request wait, or the daemon ends. fs/wait.c begins with the essay on who wins each race between these.
 *
 * How a line learns that its turn has come depends on the source (struct ipcfs_wait):
 *   IPCFS_WAIT_POLL    one thread, the engine's, waits for the descriptors of all lines in one epoll. A line whose first is
 *                      passed over by those who wait in native calls (`traffic`) gets a keeper as well;
 *   IPCFS_WAIT_KEEPER  a line that has waiters has a thread, its keeper, that makes the native call which blocks, for the
 *                      first in the line. It ends when nobody has waited for a while. There are at most KEEPERS_MAX of
 *                      them; lines beyond that are tried by the engine every now and then;
 *   IPCFS_WAIT_TOLD    somebody calls wait_told() when there is something to try.
 *
 * The line's lock also guards whatever the owners of waiters let depend on their order: attempt(), due() and deliver()
 * run under it.
 */
#ifndef IPCFS_FS_WAIT_H
#define IPCFS_FS_WAIT_H

#include "ipcfs/backend.h"

#include <signal.h>

enum { KEEPERS_MAX = 256, KEEPERS_SHARE = 64, KEEPER_LINGER_MS = 100 };

/* Wakes keepers: the process must have a handler for it that does nothing, without SA_RESTART. */
#define WAKE_SIGNAL SIGUSR1

struct wait_engine;
struct wait_line;
struct waiter;

/* Waiters that share something an earlier one may leave for the next, as the rest of a message. In their handle. */
struct wait_group {
    unsigned parked; /* the line's lock: how many of them are in the line */
};

struct waiter_ops {
    /* Does the operation if it need not wait. −EAGAIN: it would, and `wait` says for what. Under the line's lock. */
    ssize_t (*attempt)(struct waiter *waiter, struct ipcfs_wait *wait);
    /*
     * Whether an earlier one of its group left something for it: attempt() will not say −EAGAIN then, and it is served
     * before anybody else in the line. Under the line's lock. NULL where waiters have no group.
     */
    bool (*due)(const struct waiter *waiter);
    /*
     * For a source of IPCFS_WAIT_KEEPER: makes the native call that waits, without any lock, in the keeper's thread. It is
     * called after an attempt() that said −EAGAIN. −EINTR: a signal came and nothing has happened. What it got is kept
     * in the waiter; deliver() follows under the line's lock and gives the result, as attempt() does. Its −EAGAIN means
     * that it has to be tried again. NULL where the source never is a keeper.
     */
    ssize_t (*block)(struct waiter *waiter);
    ssize_t (*deliver)(struct waiter *waiter, ssize_t blocked);
    /*
     * The waiter is in no line any more: answers its request with `result` (0 or a count, −errno) and frees it. Called
     * once, without any lock, from any thread.
     */
    void (*finish)(struct waiter *waiter, ssize_t result);
};

/* What a wait is, for those who look (wait_look()). */
struct wait_about {
    pid_t tid;             /* of the thread that waits; 0: out of sight */
    const char *call;      /* "read", "open" …; constant. NULL: nobody's wait for an object */
    const char *part;      /* the file of the object by which; constant. NULL: the object itself */
    int member;            /* of it; −1: none */
    bool writes;           /* it waits for room, or to have something alone */
    struct timespec since; /* CLOCK_MONOTONIC: whatever is done to the time of day while it waits */
};

struct waiter {
    const struct waiter_ops *ops;
    struct wait_about about;
    struct wait_group *group; /* NULL: shares nothing */
    const void *owner;        /* who may end it by wait_end(): its handle */
    uid_t uid;         /* whose it is: no user but root may have more than KEEPERS_SHARE of the keepers */
    unsigned limit_ms; /* 0, or for how long it waits: then it ends with −EAGAIN */

    /* The engine's. `line` is fixed from wait_prepare() on; the rest is guarded by the line's lock. */
    struct wait_line *line; /* counted */
    struct waiter *prev;
    struct waiter *next;
    bool parked; /* in the line's list */
    int verdict; /* 0, or the −errno that ends it as soon as the keeper lets go of it, or it would be parked */
    ssize_t result;   /* once it is out of the list: what finish() will be told */
    int64_t since;    /* when it was parked: milliseconds, CLOCK_MONOTONIC */
    uint64_t traffic; /* that the object had when it was first tried as the first in the line; 0: not told */
};

/* What tells lines apart. */
struct wait_key {
    const struct ipcfs_backend *kind;
    struct ipcfs_objid object;
    uint64_t lane;
};

struct wait_stats {
    size_t lines;
    size_t parked;
    size_t keepers;
};

/*
 * Starts the engine's thread. `time_max_ms`: waits that last longer end with −EINTR; 0: none does. 0 or −errno.
 *
 * wait_engine_stop() ends every wait with `error`, and then all threads; no operation may begin after it has.
 * wait_engine_free() follows when all lines have been put back and all watches freed.
 */
int wait_engine_start(struct wait_engine **out, unsigned time_max_ms);
void wait_engine_stop(struct wait_engine *engine, int error);
void wait_engine_free(struct wait_engine *engine);

/* The line of that key, counted, made where there is none. 0 or −ENOMEM. */
int wait_line_get(struct wait_engine *engine, const struct wait_key *key, struct wait_line **out);
void wait_line_put(struct wait_line *line);

/*
 * One operation. If others wait in the line already, it would be unfair to try before them: then, and where the attempt
 * says −EAGAIN, the answer is −EAGAIN. `waiter` need not outlive the call and may lie on the stack; finish() is not
 * called for it. Others of its group who get what this one left are served before this returns.
 *
 * With `insist`, for callers that will not wait (O_NONBLOCK): those in the line are served first, as far as can be, and
 * then it is tried all the same.
 */
ssize_t wait_try(struct wait_line *line, struct waiter *waiter, bool insist);

/*
 * In two steps, so that an interrupt between them finds the line. wait_prepare() names the line, which it counts.
 * wait_park() puts the waiter at the line's end, where it may be served before this returns. From here on it is the
 * engine's, until finish(). One that wait_interrupt() met before is finished at once.
 */
void wait_prepare(struct wait_line *line, struct waiter *waiter);
void wait_park(struct waiter *waiter);

/*
 * Ends the wait with −EINTR, unless it has been served by now. From wait_prepare() on, and only while finish() can not
 * have returned (the request that is interrupted keeps the waiter alive). finish() is called by another thread, never
 * from here: the caller may hold a lock that finish() needs.
 */
void wait_interrupt(struct waiter *waiter);

/* Ends all waits in the line whose `owner` is this with `error`; finish() may be called from here. */
void wait_end(struct wait_line *line, const void *owner, int error);

/* What those in the line wait for may have come (IPCFS_WAIT_TOLD): serves them. Without any lock. */
void wait_told(struct wait_line *line);

/* For a look at what the line's lock guards for the owners of waiters. Nothing else here may be called in between. */
void wait_line_lock(struct wait_line *line);
void wait_line_unlock(struct wait_line *line);

/*
 * Watching, for poll(2). wait_watch_arm() has `ready` called, once, in the engine's thread and without any lock, when the
 * descriptor of `wait` shows one of `events`, or, where there is nothing to poll or no descriptor to be had, when `look`
 * says so, which is asked every now and then in the same thread; or never, where others tell (IPCFS_WAIT_TOLD). Armed again, it forgets what it was armed for before. After
 * wait_watch_free() has returned neither is called any more; not to be called from `ready`.
 */
struct wait_watch;
struct wait_watch_ops {
    void (*ready)(void *data);
    bool (*look)(void *data);
};
int wait_watch_new(struct wait_engine *engine, const struct wait_watch_ops *ops, void *data,
                   struct wait_watch **out);
void wait_watch_arm(struct wait_watch *watch, const struct ipcfs_wait *wait, short events);
void wait_watch_free(struct wait_watch *watch);

void wait_stats(struct wait_engine *engine, struct wait_stats *out);

/* Who waits for an object: in a line of a kind, and `about.call` is not NULL. */
struct wait_seen {
    const struct ipcfs_backend *kind;
    uint64_t number; /* the object's */
    struct wait_about about;
};
/* A copy of all, so that no lock is held over what is done with it: *out is the caller's to free(). 0 or −ENOMEM. */
int wait_look(struct wait_engine *engine, struct wait_seen **out, size_t *count);

#endif
