/* SPDX-License-Identifier: MIT */
/*
 * Waiters on a fake queue, which note what becomes of them, and what the tests of the wait engine share: an engine, a
 * queue and its two lines. What must never be, whatever the test is about, is looked for here all the time:
 * two calls under one line's lock at once, a lock held over finish() or block(), a waiter finished twice or never, one
 * that got something but was told an error, or the reverse.
 */
#ifndef IPCFS_TESTS_FAKE_WAITER_H
#define IPCFS_TESTS_FAKE_WAITER_H

#include "fake_queue.h"
#include "wait.h"

#include <stdatomic.h>

/* Readers who share the pieces of a message: a handle. All but `parts` is guarded by the line's lock. */
struct fake_group {
    struct wait_group group;
    unsigned parts; /* in how many pieces a message is read */
    unsigned rest;  /* pieces left */
    uint64_t value; /* of what message */
};

struct fake_waiter {
    struct waiter waiter; /* the first member */
    struct fake_queue *queue;
    struct fake_group *share; /* or NULL */
    bool writing;
    int fd;                                   /* its own, closed when it is finished; −1: the queue's */
    bool again;                               /* its deliver() will once say −EAGAIN */
    struct fake_result value;                 /* to put, or taken */
    _Atomic(struct wait_engine *) probe;      /* NULL, or finish() calls the engine … */
    struct wait_line *line;                   /* … and takes this line's lock, and block() does */
    void (*done)(struct fake_waiter *waiter); /* NULL, or the last that finish() calls */
    void *data;

    bool taken;      /* the line's lock: it has been served, … */
    bool from_rest;  /* … by what another one left, … */
    bool blocked_ok; /* … or will be by deliver() */
    atomic_bool served;
    atomic_uint attempts;
    atomic_uint finished;
    ssize_t result;
};

/* What all results look like that are not errors. */
enum { FAKE_OK = 1 };

void fake_waiter_init(struct fake_waiter *waiter, struct fake_queue *queue, bool writing);
void fake_waiter_join(struct fake_waiter *waiter, struct fake_group *group);
bool fake_finished(const struct fake_waiter *waiter);
/* What must never be and was seen, or NULL. */
const char *fake_complaint(void);
void fake_complain(const char *complaint);

/* ---- the fixture ---- */

struct wait_fixture {
    struct wait_engine *engine;
    struct fake_queue queue;
    struct wait_line *lines[2]; /* of readers, of writers */
    struct fake_waiter *waiters;
    size_t count;
    size_t threads; /* of the process, before the engine was there */
    long live;
    bool stopped;
};

enum { READERS, WRITERS };
/* How long a test waits for what must come: more than ever is needed. */
enum { BOUND_MS = 15000 };

int wait_set_up(void **state, enum ipcfs_wait_source source, unsigned time_max_ms);
int wait_set_up_poll(void **state);
int wait_set_up_keeper(void **state);
int wait_tear_down(void **state);
/* Before any test: the signal's handler, and what the process makes once. 0 or −errno. */
int wait_tests_start(void);

/* `count` more or less empty waiters on the fixture's queue, none of an earlier call is used any more. */
struct fake_waiter *wait_readers(struct wait_fixture *fixture, size_t count);
struct fake_waiter *wait_writers(struct wait_fixture *fixture, size_t count);
/* Parks it in the line of its direction. */
void wait_in_line(struct wait_fixture *fixture, struct fake_waiter *waiter);
/* A line of another object than the fixture's. */
struct wait_line *wait_other_line(struct wait_fixture *fixture, uint64_t number, uint64_t lane);
struct wait_stats stats_now(struct wait_fixture *fixture);
void wait_put(struct wait_fixture *fixture, uint64_t value);

/* How often WAKE_SIGNAL has come. */
unsigned count_signals(void);
size_t count_threads(void);
int64_t now_ms(void);
void sleep_ms(unsigned time);
/* Prints who is finished and who is not. */
void wait_describe(const struct wait_fixture *fixture);

/* Fails, and tells where the waiters stand, if it does not become true. */
#define EVENTUALLY(fixture, condition)                                                                       \
    do {                                                                                                     \
        for (int64_t until = now_ms() + BOUND_MS; !(condition); sleep_ms(1))                                 \
            if (now_ms() > until) {                                                                          \
                wait_describe(fixture);                                                                      \
                fail_msg("never came: %s", #condition);                                                      \
            }                                                                                                \
    } while (0)

#define FINISHES(fixture, waiter, expected)                                                                  \
    do {                                                                                                     \
        EVENTUALLY(fixture, fake_finished(waiter));                                                          \
        assert_int_equal((waiter)->result, expected);                                                        \
    } while (0)

/* A test with both kinds of source. */
#define BOTH(test)                                                                                           \
    {#test " (poll)", test, wait_set_up_poll, wait_tear_down, NULL},                                         \
    {                                                                                                        \
#test " (keeper)", test, wait_set_up_keeper, wait_tear_down, NULL                                    \
    }
#define POLL(test)                                                                                           \
    {                                                                                                        \
#test, test, wait_set_up_poll, wait_tear_down, NULL                                                  \
    }
#define KEEPER(test)                                                                                         \
    {                                                                                                        \
#test, test, wait_set_up_keeper, wait_tear_down, NULL                                                \
    }

#endif
