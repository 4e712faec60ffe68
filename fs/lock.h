/* SPDX-License-Identifier: MIT */
/*
 * Locks, and the order in which they may be taken: a thread takes only locks of a higher rank than all it holds. No
 * lock is held over a reply, a notification to the kernel, or a call that may wait for another process.
 *
 * Builds with debug information check the order and log a violation ("lock order: …"), which the tests look for.
 */
#ifndef IPCFS_FS_LOCK_H
#define IPCFS_FS_LOCK_H

#include <pthread.h>
#include <time.h>

enum lock_rank {
    LOCK_HANDLE, /* struct handle: its text or its place in a directory; held over the backend's list calls */
    LOCK_LINE,   /* struct wait_line; held over try_read, try_write and try_lock of the backend */
    LOCK_OWNER,  /* struct lock_owner; held over try_lock of the backend */
    LOCK_EVENTS, /* struct events */
    LOCK_PINS,   /* struct pins */
    LOCK_TOLD,   /* struct ipcfs: told */
    LOCK_ENGINE, /* struct wait_engine */
    LOCK_JOBS,   /* struct jobs */
    LOCK_WALKS,  /* struct walks */
    LOCK_TABLE,  /* struct node_shard, handle_shard, lock_table, …: nothing is taken under these */
};

struct lock {
    pthread_mutex_t mutex;
    enum lock_rank rank;
};

/* 0 or −errno. */
int lock_init(struct lock *lock, enum lock_rank rank);
void lock_destroy(struct lock *lock);
void lock_take(struct lock *lock);
void lock_release(struct lock *lock);

/* A condition for waits with a deadline: by CLOCK_MONOTONIC, whatever is done to the machine's time. 0 or −errno. */
int lock_condition_init(pthread_cond_t *condition);
/* So many milliseconds from now. */
struct timespec lock_deadline(unsigned milliseconds);

#endif
