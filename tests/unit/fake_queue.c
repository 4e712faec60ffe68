/* SPDX-License-Identifier: MIT */
#include "fake_queue.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int fake_queue_init(struct fake_queue *queue, enum ipcfs_wait_source source, unsigned room)
{
    memset(queue, 0, sizeof *queue);
    queue->source = source;
    queue->room = room;
    queue->fd = -1;
    if (source == IPCFS_WAIT_POLL) {
        queue->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (queue->fd < 0)
            return -errno;
    }
    return -pthread_mutex_init(&queue->lock, NULL);
}

void fake_queue_destroy(struct fake_queue *queue)
{
    if (queue->fd >= 0)
        close(queue->fd);
    pthread_mutex_destroy(&queue->lock);
}

/* An eventfd is readable unless its counter is 0, and writable unless it is the highest. */
static void show(struct fake_queue *queue)
{
    uint64_t count = queue->put - queue->taken;
    uint64_t level = count == 0 ? 0 : count < queue->room ? 1 : UINT64_MAX - 1;
    uint64_t old = 0;
    if (queue->error)
        level = 1;
    if (level == queue->shown)
        return;
    if (queue->shown && read(queue->fd, &old, sizeof old) != sizeof old)
        abort();
    if (level && write(queue->fd, &level, sizeof level) != sizeof level)
        abort();
    queue->shown = level;
}

static void tell(struct fake_queue *queue)
{
    if (queue->fd >= 0)
        show(queue);
    if (queue->source == IPCFS_WAIT_POLL && !queue->tells_traffic)
        return;
    atomic_fetch_add(&queue->changes, 1);
    (void)syscall(SYS_futex, &queue->changes, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static int try_locked(struct fake_queue *queue, bool writing, struct fake_result *result)
{
    uint64_t count = queue->put - queue->taken;
    if (queue->error)
        return queue->error;
    if (writing ? count == queue->room : count == 0)
        return -EAGAIN;
    result->index = writing ? queue->put++ : queue->taken++;
    uint64_t *slot = &queue->ring[result->index % queue->room];
    if (writing)
        *slot = result->value;
    else
        result->value = *slot;
    return 0;
}

int fake_queue_try_silently(struct fake_queue *queue, bool writing, struct fake_result *result)
{
    pthread_mutex_lock(&queue->lock);
    int error = try_locked(queue, writing, result);
    pthread_mutex_unlock(&queue->lock);
    return error;
}

int fake_queue_try(struct fake_queue *queue, bool writing, struct fake_result *result)
{
    pthread_mutex_lock(&queue->lock);
    int error = try_locked(queue, writing, result);
    if (!error)
        tell(queue);
    pthread_mutex_unlock(&queue->lock);
    return error;
}

void fake_queue_hand_over(struct fake_queue *queue)
{
    struct fake_result result = {0};
    pthread_mutex_lock(&queue->lock);
    if (try_locked(queue, true, &result) || try_locked(queue, false, &result))
        abort();
    pthread_mutex_unlock(&queue->lock);
}

uint64_t fake_queue_traffic(struct fake_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    uint64_t traffic = queue->tells_traffic ? queue->put + queue->taken + 1 : 0;
    pthread_mutex_unlock(&queue->lock);
    return traffic;
}

void fake_queue_tell(struct fake_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    tell(queue);
    pthread_mutex_unlock(&queue->lock);
}

static int64_t now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* In user space, so that a signal that comes now is over before the system call begins. */
static void wait_in_window(struct fake_queue *queue)
{
    unsigned time = atomic_load(&queue->window_us);
    for (int64_t end = time ? now_us() + time : 0; end && now_us() < end;)
        sched_yield();
    while (atomic_load(&queue->window)) {
        atomic_store(&queue->in_window, true);
        sched_yield();
    }
    atomic_store(&queue->in_window, false);
}

int fake_queue_block(struct fake_queue *queue, bool writing, struct fake_result *result)
{
    int error = 0;
    atomic_fetch_add(&queue->blocked, 1);
    do {
        unsigned seen = atomic_load(&queue->changes);
        error = fake_queue_try(queue, writing, result);
        if (error != -EAGAIN)
            break;
        wait_in_window(queue);
        if (syscall(SYS_futex, &queue->changes, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0) < 0 &&
            errno == EINTR)
            error = -EINTR;
    } while (error != -EINTR);
    atomic_fetch_sub(&queue->blocked, 1);
    return error;
}

void fake_queue_put(struct fake_queue *queue, uint64_t value)
{
    struct fake_result result = {.value = value};
    while (fake_queue_try(queue, true, &result) == -EAGAIN)
        sched_yield();
}

void fake_queue_break(struct fake_queue *queue, int error)
{
    pthread_mutex_lock(&queue->lock);
    queue->error = error;
    tell(queue);
    pthread_mutex_unlock(&queue->lock);
}

unsigned fake_queue_count(struct fake_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    unsigned count = (unsigned)(queue->put - queue->taken);
    pthread_mutex_unlock(&queue->lock);
    return count;
}
