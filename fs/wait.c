/* SPDX-License-Identifier: MIT */
/*
 * Who wins.
 *
 * A waiter is in the list of its line, or it is not; the line's lock decides. Whoever takes it out of the list
 * (wait_take()) decides how it ends, and nobody else can any more: that is the only way out, and it writes the result
 * in the same step. All races are races for the lock.
 *
 * Served or interrupted. attempt() runs under the lock, for a waiter in the list, and takes it out in the same breath if
 * it succeeded. wait_interrupt() takes the lock too: it finds the waiter in the list, then nothing has been taken for it
 * and nothing will be; or it does not, then it was served, and the interrupt comes too late, as one that meets mq_receive(2)
 * just after it got its message. So no message is taken for a waiter that has been told EINTR.
 *
 * Served or interrupted, by a keeper. While the keeper is inside the native call for the first in the line, that waiter is
 * `in_service`: it stays in the list, and only the keeper takes it out. An interrupt sets its `verdict` and signals the
 * keeper. The native call ends with what it got, then this is the result; or with EINTR, then the native object says that
 * nothing was taken, and the verdict is the result. The kernel decides, as it does for a process of its own. A signal
 * that comes just before the native call begins wakes nobody: so it is sent again every millisecond until the keeper has
 * let go (wait_engine_nudge()).
 *
 * Interrupted before it is parked. wait_prepare() comes before the caller lets interrupts come, and wait_park() after: an
 * interrupt in between finds a waiter that is in no list, and leaves its verdict, which wait_park() honours. An interrupt
 * that finds a waiter in no list because it has been served leaves a verdict as well, which nobody reads.
 *
 * Who finishes. finish() is called once, by whoever took the waiter out, after the lock is released. But
 * wait_interrupt() may be called under a lock that finish() needs (libfuse's lock of the request): there the engine's
 * thread does it. The waiter lives until its finish(), so an interrupt that is running while it is served still finds
 * memory; finish() must therefore end the coming of interrupts before it frees.
 *
 * Passed over. A descriptor shows that there was something, not that it is still there, and shows nothing that native
 * programs hand to each other. Where the attempt tells of traffic, the engine's thread tries the line now and then; if it
 * fails again though there was traffic, or after the descriptor had shown something, a keeper takes the line's place among the
 * native waiters. The descriptor may stay armed: its event then finds a waiter in service, and does nothing.
 *
 * No wake-up is lost. Whenever the lock is released and the list is not empty, one of these holds: the line's
 * descriptor is armed in the epoll; it has a keeper; the engine's thread sweeps it; somebody will call wait_told(), after
 * what attempt() looks at has come; or the thread that holds a batch of finished waiters is about to take the lock again.
 * An epoll descriptor is armed after the attempt that said EAGAIN, and looks at the present state when it is: what came in
 * between shows at once.
 *
 * Order. New operations go to the end of the list and do not try before those in it, so nobody overtakes. There are two
 * exceptions. What is left of a message that somebody of a group has begun belongs to that group: who is due() goes first,
 * and takes nothing from anybody. And an operation that will not wait (`insist`) first has all served that can be, and then
 * tries: natively it would be given what nobody waits for, or EAGAIN.
 *
 * No message is given twice or lost between keeper and others: while a waiter is in service, no operation of its group is
 * tried, so that what the keeper brings meets the state it was sent out with.
 */
#include "wait.h"

#include "ipcfs/monotonic.h"
#include "wait_line.h"

#include <errno.h>
#include <utlist.h>

/* ---- lines ---- */

static void line_free(struct wait_line *line)
{
    wait_forget_descriptor(line->engine, &line->poll_fd);
    pthread_cond_destroy(&line->keeper_wanted);
    lock_destroy(&line->lock);
    free(line);
}

static struct wait_line *line_new(struct wait_engine *engine, const struct wait_key *key)
{
    struct wait_line *line = calloc(1, sizeof *line);
    if (!line)
        return NULL;
    line->engine = engine;
    line->key = *key;
    line->source.is_line = true;
    line->poll_fd = -1;
    if (lock_init(&line->lock, LOCK_LINE)) {
        free(line);
        return NULL;
    }
    if (lock_condition_init(&line->keeper_wanted)) {
        lock_destroy(&line->lock);
        free(line);
        return NULL;
    }
    return line;
}

/* With the engine's lock held. */
static bool insert(struct wait_engine *engine, struct wait_line *line)
{
    line->source.id = engine->next_id++;
    HASH_ADD(by_key, engine->lines, key, sizeof line->key, line);
    if (!line->by_key.tbl)
        return false;
    struct wait_source *source = &line->source;
    HASH_ADD(by_id, engine->sources, id, sizeof source->id, source);
    if (source->by_id.tbl)
        return true;
    HASH_DELETE(by_key, engine->lines, line);
    return false;
}

/* With the engine's lock held. */
static struct wait_line *find_or_make(struct wait_engine *engine, const struct wait_key *key)
{
    struct wait_line *line = NULL;
    HASH_FIND(by_key, engine->lines, key, sizeof *key, line);
    if (line)
        return line;
    line = line_new(engine, key);
    if (!line || insert(engine, line))
        return line;
    line_free(line);
    return NULL;
}

int wait_line_get(struct wait_engine *engine, const struct wait_key *key, struct wait_line **out)
{
    lock_take(&engine->lock);
    struct wait_line *line = find_or_make(engine, key);
    if (line)
        line->users++;
    lock_release(&engine->lock);
    *out = line;
    return line ? 0 : -ENOMEM;
}

void wait_line_use(struct wait_line *line)
{
    lock_take(&line->engine->lock);
    line->users++;
    lock_release(&line->engine->lock);
}

void wait_line_put(struct wait_line *line)
{
    struct wait_engine *engine = line->engine;
    lock_take(&engine->lock);
    bool last = --line->users == 0;
    if (last) {
        if (line->doubted)
            DL_DELETE(engine->doubted, line);
        struct wait_source *source = &line->source;
        HASH_DELETE(by_key, engine->lines, line);
        HASH_DELETE(by_id, engine->sources, source);
    }
    lock_release(&engine->lock);
    if (last)
        line_free(line);
}

void wait_line_lock(struct wait_line *line)
{
    lock_take(&line->lock);
}

void wait_line_unlock(struct wait_line *line)
{
    lock_release(&line->lock);
}

/* ---- the list ---- */

static void append(struct wait_line *line, struct waiter *waiter)
{
    DL_APPEND(line->first, waiter);
    waiter->parked = true;
    waiter->since = monotonic_ms();
    waiter->traffic = 0;
    if (waiter->group)
        waiter->group->parked++;
    struct wait_engine *engine = line->engine;
    bool first = atomic_fetch_add(&engine->parked, 1) == 0;
    if (waiter->limit_ms)
        atomic_fetch_add(&engine->limited, 1);
    if (waiter->limit_ms || (first && engine->time_max_ms))
        wait_engine_wake(engine); /* it looks at no clock while nobody's wait has a limit */
}

void wait_take(struct wait_line *line, struct waiter *waiter, ssize_t result, struct wait_done *done)
{
    DL_DELETE(line->first, waiter);
    waiter->parked = false;
    waiter->result = result;
    if (waiter->group)
        waiter->group->parked--;
    waiter->next = NULL;
    if (done->last)
        done->last->next = waiter;
    else
        done->first = waiter;
    done->last = waiter;
    done->count++;
    atomic_fetch_sub(&line->engine->parked, 1);
    if (waiter->limit_ms)
        atomic_fetch_sub(&line->engine->limited, 1);
}

void wait_finish(struct wait_done *done)
{
    struct waiter *waiter = done->first;
    *done = (struct wait_done){0};
    while (waiter) {
        struct waiter *next = waiter->next;
        struct wait_line *line = waiter->line;
        waiter->ops->finish(waiter, waiter->result);
        wait_line_put(line);
        waiter = next;
    }
}

/* ---- serving ---- */

static bool is_due(const struct waiter *waiter)
{
    return waiter->group && waiter->ops->due(waiter);
}

/* The line's own duplicate of the descriptor is in the epoll, so that the waiter it came from may go. */
static bool arm(struct wait_line *line, const struct ipcfs_wait *wait)
{
    if (!line->armed)
        line->armed =
            wait_arm_descriptor(line->engine, line->source.id, &line->poll_fd, wait->fd, wait->events) == 0;
    return line->armed;
}

/* Whether, since it was tried as the first, something went in or out, or was there, and somebody else had it. */
static bool is_passed_over(const struct wait_line *line, const struct ipcfs_wait *wait)
{
    uint64_t before = line->first->traffic;
    return before && !wait->moved && (line->woken || before != wait->traffic);
}

/* How long a line that was passed over is taken for one that will be again. */
enum { PASSED_MS = 10000 };

static bool wants_keeper(struct wait_line *line, const struct ipcfs_wait *wait)
{
    if (!wait->traffic)
        return false;
    int64_t now = monotonic_ms();
    if (is_passed_over(line, wait))
        line->passed_until = now + PASSED_MS;
    return line->has_keeper || now < line->passed_until;
}

static bool settle_for_descriptor(struct wait_line *line, const struct ipcfs_wait *wait)
{
    bool wants = wants_keeper(line, wait);
    line->woken = false;
    if (wants && wait_keeper_want(line))
        return true;
    if (!arm(line, wait))
        return false;
    if (wait->traffic)
        wait_engine_doubt(line, !line->first->traffic);
    line->first->traffic = wait->traffic;
    return true;
}

/* The line has waiters, and its first has to wait for this. */
static void settle(struct wait_line *line, const struct ipcfs_wait *wait)
{
    bool settled = false;
    if (wait->source == IPCFS_WAIT_POLL)
        settled = settle_for_descriptor(line, wait);
    else
        settled = wait->source == IPCFS_WAIT_TOLD || wait_keeper_want(line);
    if (!settled)
        wait_engine_sweep(line);
}

/* False where it has to wait for what is then in `wait`. */
static bool serve_one(struct wait_line *line, struct waiter *waiter, struct ipcfs_wait *wait,
                      struct wait_done *done)
{
    *wait = (struct ipcfs_wait){0};
    ssize_t result = waiter->ops->attempt(waiter, wait);
    if (result == -EAGAIN && wait->source != IPCFS_WAIT_NONE)
        return false;
    wait_take(line, waiter, result, done);
    return true;
}

static struct waiter *first_due(struct wait_line *line, const struct wait_group *group)
{
    if (!group || !group->parked)
        return NULL;
    struct waiter *waiter = NULL;
    DL_FOREACH(line->first, waiter) {
        if (waiter->group == group)
            return is_due(waiter) ? waiter : NULL;
    }
    return NULL;
}

void wait_serve_heirs(struct wait_line *line, const struct wait_group *group, struct wait_done *done)
{
    struct ipcfs_wait wait;
    struct waiter *heir = NULL;
    while ((heir = first_due(line, group))) {
        if (!serve_one(line, heir, &wait, done))
            return;
    }
}

void wait_serve(struct wait_line *line, struct wait_done *done)
{
    while (line->first && done->count < WAIT_BATCH) {
        const struct wait_group *group = line->first->group;
        struct ipcfs_wait wait;
        if (!serve_one(line, line->first, &wait, done)) {
            settle(line, &wait);
            return;
        }
        wait_serve_heirs(line, group, done);
    }
}

void wait_serve_line(struct wait_line *line, bool disarmed)
{
    unsigned served = 0;
    do {
        struct wait_done done = {0};
        lock_take(&line->lock);
        if (disarmed)
            line->armed = false;
        line->woken |= disarmed;
        if (!line->in_service)
            wait_serve(line, &done);
        lock_release(&line->lock);
        served = done.count;
        disarmed = false;
        wait_finish(&done);
    } while (served >= WAIT_BATCH);
}

void wait_told(struct wait_line *line)
{
    wait_serve_line(line, false);
}

/* ---- operations ---- */

/* Whether an operation may be tried now, in front of those who wait. */
static bool may_try(struct wait_line *line, const struct waiter *waiter, bool insist)
{
    if (!line->first || is_due(waiter))
        return true;
    bool sent_out = line->in_service && waiter->group && line->in_service->group == waiter->group;
    return insist && !sent_out;
}

ssize_t wait_try(struct wait_line *line, struct waiter *waiter, bool insist)
{
    struct wait_done done = {0};
    ssize_t result = -EAGAIN;
    lock_take(&line->lock);
    if (insist && line->first && !line->in_service)
        wait_serve(line, &done);
    if (may_try(line, waiter, insist)) {
        struct ipcfs_wait wait = {0};
        result = waiter->ops->attempt(waiter, &wait);
        wait_serve_heirs(line, waiter->group, &done);
    }
    bool more = done.count >= WAIT_BATCH;
    lock_release(&line->lock);
    wait_finish(&done);
    if (more)
        wait_serve_line(line, false);
    return result;
}

void wait_prepare(struct wait_line *line, struct waiter *waiter)
{
    wait_line_use(line);
    waiter->line = line;
    waiter->parked = false;
    waiter->verdict = 0;
}

/* With the line's lock held; the waiter is the last of the list. */
static void begin_wait(struct wait_line *line, struct waiter *waiter, struct wait_done *done)
{
    struct ipcfs_wait wait;
    if (line->first == waiter)
        wait_serve(line, done);
    else if (is_due(waiter) && serve_one(line, waiter, &wait, done))
        wait_serve_heirs(line, waiter->group, done);
}

void wait_park(struct waiter *waiter)
{
    struct wait_line *line = waiter->line;
    struct wait_done done = {0};
    lock_take(&line->lock);
    int verdict = waiter->verdict ? waiter->verdict : atomic_load(&line->engine->stop_error);
    append(line, waiter);
    if (verdict)
        wait_take(line, waiter, verdict, &done);
    else
        begin_wait(line, waiter, &done);
    lock_release(&line->lock);
    wait_finish(&done);
}

/* ---- ends that are not service ---- */

void wait_dismiss(struct wait_line *line, struct waiter *waiter, int error, struct wait_done *done)
{
    if (line->in_service != waiter) {
        wait_take(line, waiter, error, done);
    } else if (!waiter->verdict) {
        waiter->verdict = error;
        wait_keeper_nudge(line);
    }
}

void wait_interrupt(struct waiter *waiter)
{
    struct wait_line *line = waiter->line;
    struct wait_done done = {0};
    lock_take(&line->lock);
    if (waiter->parked)
        wait_dismiss(line, waiter, -EINTR, &done);
    else
        waiter->verdict = -EINTR;
    lock_release(&line->lock);
    if (done.first)
        wait_engine_hand_over(line->engine, &done);
}

void wait_end(struct wait_line *line, const void *owner, int error)
{
    struct wait_done done = {0};
    struct waiter *waiter = NULL;
    struct waiter *next = NULL;
    lock_take(&line->lock);
    DL_FOREACH_SAFE(line->first, waiter, next) {
        if (waiter->owner == owner)
            wait_dismiss(line, waiter, error, &done);
    }
    lock_release(&line->lock);
    wait_finish(&done);
}
