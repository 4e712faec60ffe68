/* SPDX-License-Identifier: MIT */
/* What the parts of the wait engine share: lines and parking (fs/wait.c), keepers (fs/wait_keeper.c), the thread
 * (fs/wait_engine.c). Nobody else includes this. */
#ifndef IPCFS_FS_WAIT_LINE_H
#define IPCFS_FS_WAIT_LINE_H

#include "hash.h"
#include "lock.h"
#include "share.h"
#include "wait.h"

#include <pthread.h>
#include <stdatomic.h>

/* What epoll knows by a number: never a pointer, so that an event that comes late finds nothing instead of a wrong one. */
struct wait_source {
    uint64_t id;
    bool is_line; /* otherwise it is a watch */
    UT_hash_handle by_id;
};

struct wait_line {
    struct wait_source source;
    struct wait_engine *engine;
    struct wait_key key;
    UT_hash_handle by_key;         /* engine->lock */
    unsigned users;                /* engine->lock: handles, waiters, its keeper, the lists below */
    bool swept;                    /* engine->lock: in engine->swept */
    bool nudged;                   /* engine->lock: in engine->nudged */
    bool doubted;                  /* engine->lock: in engine->doubted */
    struct wait_line *next_swept;  /* engine->lock */
    struct wait_line *next_nudged; /* engine->lock */
    struct wait_line *prev, *next; /* engine->lock: in engine->doubted */

    struct lock lock; /* guards what follows */
    struct waiter *first;
    struct waiter *in_service; /* the first, while the keeper makes its native call */
    int poll_fd;               /* a duplicate of a waiter's, in the epoll; −1: not yet */
    bool armed;
    bool woken;           /* the descriptor showed something, and nobody has been tried since */
    int64_t passed_until; /* the line was passed over not long before this: milliseconds, CLOCK_MONOTONIC */
    bool has_keeper;
    pthread_t keeper;
    uid_t keeper_uid; /* whose share of the keepers it is from */
    pthread_cond_t keeper_wanted;
};

struct wait_watch {
    struct wait_source source;
    struct wait_engine *engine;
    const struct wait_watch_ops *ops;
    void *data;
    int poll_fd;  /* engine->lock; −1: none */
    bool armed;   /* engine->lock */
    bool looking; /* engine->lock: in engine->looking or engine->unseen */
    struct wait_watch *next_looking;
};

struct wait_engine {
    pthread_t thread;
    int epoll_fd;
    int wake_fd; /* eventfd: a list below has something new */
    unsigned time_max_ms;
    atomic_size_t parked;
    atomic_size_t limited; /* of the parked: who have a limit of their own */
    atomic_size_t keepers;
    atomic_int stop_error; /* 0, or what every wait ends with from now on */
    atomic_bool quit;

    struct lock lock; /* guards what follows */
    pthread_cond_t changed;
    struct shares keeper_shares;
    struct wait_line *lines;
    struct wait_source *sources;
    uint64_t next_id;
    struct waiter *ended;       /* out of their lines, to be finished by the thread */
    struct wait_line *nudged;   /* their keepers have to let go of a waiter */
    struct wait_line *swept;    /* have waiters, and neither a descriptor nor a keeper */
    struct wait_line *doubted;  /* poll, but may be passed over. They are not counted by being here */
    int64_t next_doubt;         /* when all these are tried: milliseconds, CLOCK_MONOTONIC */
    int64_t doubt_floor;        /* not before, whoever comes */
    int64_t doubt_ms;           /* the pause after that: the longer, the longer nobody new waits */
    struct wait_watch *looking; /* armed, and have no descriptor */
    struct wait_watch *unseen;  /* of these, those that the sweep under way has still to ask */
    struct wait_watch *calling; /* whose ready() or look() runs */
};

/* Waiters taken out of their line, to be finished when its lock has been released. */
struct wait_done {
    struct waiter *first;
    struct waiter *last;
    unsigned count;
};

/* How many are served before the lock is released in between. */
enum { WAIT_BATCH = 64 };

/* ---- fs/wait.c; the first four with the line's lock held ---- */

/* Takes a waiter out of its line, with its result. */
void wait_take(struct wait_line *line, struct waiter *waiter, ssize_t result, struct wait_done *done);
/* Serves as many as can be, the first first, up to a batch; those left wait as their source demands. */
void wait_serve(struct wait_line *line, struct wait_done *done);
/* Serves those of the group for whom something was left. */
void wait_serve_heirs(struct wait_line *line, const struct wait_group *group, struct wait_done *done);
/* Ends one wait: at once, or as soon as the keeper lets go of it. */
void wait_dismiss(struct wait_line *line, struct waiter *waiter, int error, struct wait_done *done);
/* Without locks. wait_serve_line() serves all that can be, a batch at a time; `disarmed`: an event used up its arming. */
void wait_serve_line(struct wait_line *line, bool disarmed);
void wait_finish(struct wait_done *done);
void wait_line_use(struct wait_line *line);

/* ---- fs/wait_keeper.c; with the line's lock held ---- */

/* Sees to it that a keeper serves the line. False where none is to be had. */
bool wait_keeper_want(struct wait_line *line);
/* Has the keeper let go of the waiter in service. */
void wait_keeper_nudge(struct wait_line *line);

/* ---- fs/wait_watch.c ---- */

/* With the engine's lock held, which is released for the call. */
void wait_watch_ready(struct wait_engine *engine, struct wait_watch *watch);
/* Without locks: asks those that have no descriptor, for LOOK_MS at most. False where some are left for the next time. */
bool wait_watch_look(struct wait_engine *engine);

/* ---- fs/wait_engine.c; whatever locks are held ---- */

void wait_engine_wake(struct wait_engine *engine);
/*
 * Puts a duplicate of `fd` into the epoll, kept in *own for the next time, for one event of the source `id`. 0 or −errno.
 * wait_forget_descriptor() takes it out: closing alone does not, where other duplicates are open (epoll(7)).
 */
int wait_arm_descriptor(struct wait_engine *engine, uint64_t id, int *own, int fd, short events);
void wait_forget_descriptor(struct wait_engine *engine, int *own);
/* Has the thread finish the waiters, sweep the line, or nudge its keeper until it lets go. */
void wait_engine_hand_over(struct wait_engine *engine, struct wait_done *done);
void wait_engine_sweep(struct wait_line *line);
/* Has the thread see whether the line is passed over; `soon`, if its first has not been tried as such before. */
void wait_engine_doubt(struct wait_line *line, bool soon);
void wait_engine_nudge(struct wait_line *line);
/* Every line there is, counted, NULL-terminated; NULL without memory. */
struct wait_line **wait_engine_lines(struct wait_engine *engine);

#endif
