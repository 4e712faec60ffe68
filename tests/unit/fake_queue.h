/* SPDX-License-Identifier: MIT */
/*
 * A bounded queue of numbers in memory, which stands for an IPC object: its functions are the native API, used by the
 * test's threads as well as by the waiters of the engine under test.
 *
 *   IPCFS_WAIT_POLL    its descriptor shows POLLIN while there is something to take and POLLOUT while there is room, as that
 *                      of a POSIX message queue does (an eventfd can be given the three states). If it tells_traffic, it
 *                      can be waited for in fake_queue_block() too, and what is handed from one native program to another
 *                      (fake_queue_hand_over()) does not show;
 *   IPCFS_WAIT_KEEPER  there is nothing to poll: fake_queue_block() sleeps in a system call, and −EINTR ends it. A signal
 *                      that comes just before that call is lost, as it is with msgrcv(2).
 */
#ifndef IPCFS_TESTS_FAKE_QUEUE_H
#define IPCFS_TESTS_FAKE_QUEUE_H

#include "ipcfs/backend.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { FAKE_ROOM_MAX = 8 };

struct fake_queue {
    enum ipcfs_wait_source source;
    unsigned room;
    bool tells_traffic; /* set before there are waiters */
    pthread_mutex_t lock;
    uint64_t ring[FAKE_ROOM_MAX]; /* lock */
    uint64_t taken;               /* lock: how many ever were … */
    uint64_t put;                 /* lock: … */
    int error;                    /* lock: what all calls answer from now on, as a removed object */
    int fd;                       /* -1: a keeper's */
    uint64_t shown;               /* lock: the eventfd's counter */
    unsigned calls[2]; /* the lock of the line of readers, of writers: calls of attempt() and deliver() */
    atomic_bool in_call[2]; /* one of them is there */
    atomic_uint changes;    /* what those in fake_queue_block() sleep on */
    atomic_int blocked;     /* how many are in fake_queue_block() */
    atomic_bool window;     /* true: hold them just before the system call … */
    atomic_bool in_window;  /* … one of them is there */
    atomic_uint window_us;  /* or for so long, each time */
};

/* What came of a call: the number taken, and which in the order of all that were ever taken (or put). */
struct fake_result {
    uint64_t value;
    uint64_t index;
};

/* 0 or −errno. `room`: at most FAKE_ROOM_MAX. */
int fake_queue_init(struct fake_queue *queue, enum ipcfs_wait_source source, unsigned room);
void fake_queue_destroy(struct fake_queue *queue);

/* 0, −EAGAIN, or the queue's error. For writing, `result->value` is what to put. */
int fake_queue_try(struct fake_queue *queue, bool writing, struct fake_result *result);
/* The same without a word to anybody who sleeps: what a wake-up on its way looks like. */
int fake_queue_try_silently(struct fake_queue *queue, bool writing, struct fake_result *result);
/* Wakes for all that was done silently. */
void fake_queue_tell(struct fake_queue *queue);
/* Something is put and taken at once, and nobody who polls is woken. */
void fake_queue_hand_over(struct fake_queue *queue);
/* A number that changes with all that is put or taken, 0 where it is not told. */
uint64_t fake_queue_traffic(struct fake_queue *queue);
/* 0, −EINTR, or the queue's error. Of a queue with a keeper. */
int fake_queue_block(struct fake_queue *queue, bool writing, struct fake_result *result);
/* Puts, as a native program that waits while the queue is full. */
void fake_queue_put(struct fake_queue *queue, uint64_t value);
/* As if the object were removed. */
void fake_queue_break(struct fake_queue *queue, int error);
unsigned fake_queue_count(struct fake_queue *queue);

#endif
