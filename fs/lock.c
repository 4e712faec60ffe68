/* SPDX-License-Identifier: MIT */
#include "lock.h"

#include "ipcfs/log.h"

int lock_init(struct lock *lock, enum lock_rank rank)
{
    lock->rank = rank;
    return -pthread_mutex_init(&lock->mutex, NULL);
}

void lock_destroy(struct lock *lock)
{
    pthread_mutex_destroy(&lock->mutex);
}

#ifdef IPCFS_CHECK_LOCKS
static _Thread_local unsigned held; /* a bit per rank */

static void note_taken(enum lock_rank rank)
{
    if (held >> rank)
        log_error("lock order: rank %d is taken under ranks %#x", (int)rank, held);
    held |= 1U << rank;
}

static void note_released(enum lock_rank rank)
{
    held &= ~(1U << rank);
}
#else
static void note_taken(enum lock_rank rank)
{
    (void)rank;
}

static void note_released(enum lock_rank rank)
{
    (void)rank;
}
#endif

void lock_take(struct lock *lock)
{
    note_taken(lock->rank);
    pthread_mutex_lock(&lock->mutex);
}

void lock_release(struct lock *lock)
{
    enum lock_rank rank = lock->rank; /* once it is released, another thread may free it */
    pthread_mutex_unlock(&lock->mutex);
    note_released(rank);
}
