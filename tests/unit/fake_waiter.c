/* SPDX-License-Identifier: MIT */
#include "fake_waiter.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

static _Atomic(const char *) complained;

void fake_complain(const char *complaint)
{
    const char *none = NULL;
    (void)atomic_compare_exchange_strong(&complained, &none, complaint);
}

const char *fake_complaint(void)
{
    return atomic_load(&complained);
}

bool fake_finished(const struct fake_waiter *waiter)
{
    return atomic_load(&waiter->finished) > 0;
}

/* `calls` is not atomic: where the line's lock does not guard it, the thread sanitizer says so. */
static void enter(struct fake_waiter *waiter)
{
    if (atomic_exchange(&waiter->queue->in_call[waiter->writing], true))
        fake_complain("two calls at once that are to be under the line's lock");
    waiter->queue->calls[waiter->writing]++;
    if (atomic_load(&waiter->finished))
        fake_complain("called after finish()");
    if (waiter->taken)
        fake_complain("called after it was served");
}

static ssize_t leave(struct fake_waiter *waiter, ssize_t result)
{
    atomic_store(&waiter->queue->in_call[waiter->writing], false);
    return result;
}

static bool due(const struct waiter *waiter)
{
    const struct fake_waiter *fake = (const struct fake_waiter *)waiter;
    return fake->share && fake->share->rest > 0;
}

static ssize_t serve(struct fake_waiter *fake)
{
    if (fake->share && fake->from_rest) {
        fake->value = (struct fake_result){.value = fake->share->value};
        fake->share->rest--;
    } else if (fake->share) {
        fake->share->value = fake->value.value;
        fake->share->rest = fake->share->parts - 1;
    }
    fake->taken = true;
    atomic_store(&fake->served, true);
    return FAKE_OK;
}

static ssize_t attempt(struct waiter *waiter, struct ipcfs_wait *wait)
{
    struct fake_waiter *fake = (struct fake_waiter *)waiter;
    enter(fake);
    atomic_fetch_add(&fake->attempts, 1);
    if (fake->blocked_ok)
        fake_complain("tried again while deliver() was to come");
    fake->from_rest = due(waiter);
    int error = fake->from_rest ? 0 : fake_queue_try(fake->queue, fake->writing, &fake->value);
    if (!error)
        return leave(fake, serve(fake));
    if (error == -EAGAIN) {
        wait->source = fake->queue->source;
        wait->traffic = fake_queue_traffic(fake->queue);
        wait->fd = fake->fd >= 0 ? fake->fd : fake->queue->fd;
        wait->events = fake->writing ? POLLOUT : POLLIN;
    }
    return leave(fake, error);
}

static void probe_locks(const struct fake_waiter *fake)
{
    struct wait_stats stats;
    struct wait_engine *engine = atomic_load(&fake->probe);
    if (!engine)
        return;
    wait_stats(engine, &stats);
    if (fake->line) {
        wait_line_lock(fake->line);
        wait_line_unlock(fake->line);
    }
}

static ssize_t block(struct waiter *waiter)
{
    struct fake_waiter *fake = (struct fake_waiter *)waiter;
    probe_locks(fake);
    if (fake->again)
        return -E2BIG; /* as a message that is larger than the buffer */
    int error = fake_queue_block(fake->queue, fake->writing, &fake->value);
    fake->blocked_ok = error == 0;
    return error;
}

static ssize_t deliver(struct waiter *waiter, ssize_t blocked)
{
    struct fake_waiter *fake = (struct fake_waiter *)waiter;
    enter(fake);
    if (blocked == -EINTR || blocked == -EAGAIN)
        fake_complain("deliver() of nothing");
    if (blocked == 0 && !fake->blocked_ok)
        fake_complain("deliver() of what block() has not got");
    if (blocked == -E2BIG && fake->again) {
        fake->again = false;
        return leave(fake, -EAGAIN);
    }
    if (blocked < 0)
        return leave(fake, blocked);
    fake->blocked_ok = false;
    fake->from_rest = false;
    return leave(fake, serve(fake));
}

static void finish(struct waiter *waiter, ssize_t result)
{
    struct fake_waiter *fake = (struct fake_waiter *)waiter;
    probe_locks(fake);
    if (result == -EAGAIN && fake->queue->source != IPCFS_WAIT_NONE && !fake->waiter.limit_ms)
        fake_complain("finished with EAGAIN");
    if (result < 0 && (fake->taken || fake->blocked_ok))
        fake_complain("an error for one that was served");
    if (result >= 0 && !fake->taken)
        fake_complain("success for one that was not served");
    if (fake->fd >= 0)
        close(fake->fd);
    fake->result = result;
    void (*done)(struct fake_waiter *) = fake->done;
    if (atomic_fetch_add(&fake->finished, 1)) /* from here on the test may free it */
        fake_complain("finished twice");
    if (done)
        done(fake);
}

/* A source that can be polled needs no keeper's operations, and one that has no groups needs no due(). */
static const struct waiter_ops all_ops[2][2] = {
    {{.attempt = attempt, .finish = finish}, {.attempt = attempt, .due = due, .finish = finish}},
    {{.attempt = attempt, .block = block, .deliver = deliver, .finish = finish},
     {.attempt = attempt, .due = due, .block = block, .deliver = deliver, .finish = finish}},
};

static bool may_block(const struct fake_queue *queue)
{
    return queue->source == IPCFS_WAIT_KEEPER || queue->tells_traffic;
}

void fake_waiter_init(struct fake_waiter *waiter, struct fake_queue *queue, bool writing)
{
    memset(waiter, 0, sizeof *waiter);
    waiter->waiter.ops = &all_ops[may_block(queue)][0];
    waiter->queue = queue;
    waiter->writing = writing;
    waiter->fd = -1;
}

void fake_waiter_join(struct fake_waiter *waiter, struct fake_group *group)
{
    waiter->waiter.ops = &all_ops[may_block(waiter->queue)][1];
    waiter->waiter.group = &group->group;
    waiter->share = group;
}
