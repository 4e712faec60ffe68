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

int lock_condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    int error = pthread_condattr_init(&attributes);
    if (error)
        return -error;
    error = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    if (!error)
        error = pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
    return -error;
}

struct timespec lock_deadline(unsigned milliseconds)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    time.tv_sec += milliseconds / 1000;
    time.tv_nsec += (long)(milliseconds % 1000) * 1000000;
    time.tv_sec += time.tv_nsec / 1000000000;
    time.tv_nsec %= 1000000000;
    return time;
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
