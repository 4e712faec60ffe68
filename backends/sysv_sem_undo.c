/* SPDX-License-Identifier: MIT */
#include "sysv_sem_undo.h"

#include "sysv_sem.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>

/* Those who hold a unit, by semaphore, the youngest first. */
enum { BUCKETS = 256 };
static LIST_HEAD(bucket, sysv_sem_held) buckets[BUCKETS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

enum {
    /* SEMAEM of the kernel: an adjustment is between −SEMAEM − 1 and SEMAEM (perform_atomic_semop() in ipc/sem.c). */
    ADJUSTMENT_LEAST = -SYSV_SEM_VALUE_MAX - 1,
    /* How far one operation takes the adjustment and the value away and the next takes the value back. With a value of
     * HIGH both ends of the range are equally far. */
    STEP = 16384,
    HIGH = 8192,
    /* As many steps as the longest way down has, each of two operations and two back, and what is around them. */
    VECTOR_ROOM = 4 * (2 * (SYSV_SEM_VALUE_MAX + 1) / STEP) + 8,
    /* How often it is tried while others change the value far and fast. */
    ATTEMPTS = 1000,
};

static struct bucket *bucket_of(const struct sysv_sem_held *held)
{
    return &buckets[((unsigned)held->id * 31U + held->semnum) % BUCKETS];
}

/* ---- taking ---- */

static int take(const struct sysv_sem_held *held, int flags)
{
    struct sembuf operation = {held->semnum, -1, (short)(SEM_UNDO | flags)};
    return semop(held->id, &operation, 1) < 0 ? -errno : 0;
}

/* With the lock held. */
static int end_taking(struct sysv_sem_held *held, int error)
{
    held->state = error ? SYSV_SEM_FREE : SYSV_SEM_HELD;
    if (!error)
        LIST_INSERT_HEAD(bucket_of(held), held, next);
    return error;
}

int sysv_sem_hold_unit(struct sysv_sem_held *held, bool block)
{
    (void)pthread_mutex_lock(&lock);
    int error = 0;
    if (held->state == SYSV_SEM_TAKING) {
        error = -EBUSY;
    } else if (held->state == SYSV_SEM_FREE && !block) {
        error = end_taking(held, take(held, IPC_NOWAIT));
    } else if (held->state == SYSV_SEM_FREE) {
        held->state = SYSV_SEM_TAKING;
        (void)pthread_mutex_unlock(&lock);
        int taken = take(held, 0);
        (void)pthread_mutex_lock(&lock);
        error = end_taking(held, taken);
    }
    (void)pthread_mutex_unlock(&lock);
    return error;
}

/* ---- giving back ---- */

struct vector {
    struct sembuf operations[VECTOR_ROOM];
    size_t count;
    unsigned short semnum;
};

static void add(struct vector *vector, int amount, int flags)
{
    if (amount)
        vector->operations[vector->count++] =
            (struct sembuf){vector->semnum, (short)amount, (short)(IPC_NOWAIT | flags)};
}

/* Takes the adjustment down by `amount`, step by step, and with `back` up again. The value stays. */
static void move_adjustment(struct vector *vector, int amount, bool back)
{
    for (int left = amount; left > 0; left -= STEP) {
        int step = left < STEP ? left : STEP;
        add(vector, step, back ? 0 : SEM_UNDO);
        add(vector, -step, back ? SEM_UNDO : 0);
    }
}

/* Adds 1 to the value, which is about `value`, and takes 1 off the adjustment, if that is at least `least`. */
static int give_if(const struct sysv_sem_held *held, int value, int least)
{
    struct vector vector = {.semnum = held->semnum};
    int aside = value > HIGH ? value - HIGH : 0;
    bool full = value == SYSV_SEM_VALUE_MAX;
    add(&vector, -aside, 0);
    move_adjustment(&vector, least - ADJUSTMENT_LEAST, false);
    move_adjustment(&vector, least - ADJUSTMENT_LEAST, true);
    add(&vector, full ? aside - 1 : aside, 0);
    add(&vector, 1, SEM_UNDO);
    return semop(held->id, vector.operations, vector.count) < 0 ? -errno : 0;
}

/* Where it may not be read it is taken for a low one, as it mostly is. */
static int value_of(const struct sysv_sem_held *held)
{
    int value = semctl(held->id, held->semnum, GETVAL);
    return value < 0 ? 0 : value;
}

/* With the lock held. `followers`: how many of those who hold a unit took it later. That can be more than an adjustment can
 * say, where a SETVAL came in between: then none of it is left for this one. */
static void give_one(const struct sysv_sem_held *held, int followers)
{
    int error = -EAGAIN;
    if (followers >= SYSV_SEM_VALUE_MAX)
        return;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        int value = value_of(held);
        error = give_if(held, value, followers + 1);
        bool moved = error == -EAGAIN || (error == -ERANGE && value_of(held) != value);
        if (!moved)
            break;
    }
    struct sembuf plain = {held->semnum, 1, SEM_UNDO | IPC_NOWAIT};
    if (error == -E2BIG || error == -EAGAIN)
        (void)semop(held->id, &plain, 1);
}

/* With the lock held. */
static int count_followers(const struct sysv_sem_held *held)
{
    int count = 0;
    const struct sysv_sem_held *other = NULL;
    LIST_FOREACH(other, bucket_of(held), next)
    {
        if (other == held)
            break;
        count += other->id == held->id && other->semnum == held->semnum;
    }
    return count;
}

static void end_hold(struct sysv_sem_held *held, bool give)
{
    (void)pthread_mutex_lock(&lock);
    if (held->state == SYSV_SEM_HELD) {
        if (give)
            give_one(held, count_followers(held));
        LIST_REMOVE(held, next);
        held->state = SYSV_SEM_FREE;
    }
    (void)pthread_mutex_unlock(&lock);
}

void sysv_sem_give_back(struct sysv_sem_held *held)
{
    end_hold(held, true);
}

void sysv_sem_forget(struct sysv_sem_held *held)
{
    end_hold(held, false);
}
