/* SPDX-License-Identifier: MIT */
#include "lookout.h"

#include "ipcfs/monotonic.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/*
 * Requests in a row that a lookout may find there at once before it is a crowd. A client that shares a CPU with the lookout
 * has its next request there each time, too, but only that one: so at every QUEUED_LOOK-th there must be yet another.
 */
enum { QUEUED_MAX = 256, QUEUED_LOOK = 16 };

int lookout_init(struct lookout *lookout, struct fuse_session *session, atomic_uint *threads,
                 unsigned percent)
{
    *lookout = (struct lookout){.session = session, .threads = threads};
    int flags = fcntl(fuse_session_fd(session), F_GETFL);
    lookout->flags = flags & ~O_NONBLOCK;
    poll_budget_init(&lookout->budget, flags < 0 ? 0 : percent, monotonic_ns()); /* it can do without */
    return lock_init(&lookout->lock, LOCK_TABLE);
}

void lookout_destroy(struct lookout *lookout)
{
    lock_destroy(&lookout->lock);
}

/* ---- who it is; all under the lock ---- */

static void set_holder(struct lookout *lookout, struct lookout_place *place)
{
    (void)fcntl(fuse_session_fd(lookout->session), F_SETFL, lookout->flags | (place ? O_NONBLOCK : 0));
    atomic_store(&lookout->holder, place);
}

/* After a request: becomes the lookout, if there is none and it may pay. */
static bool begin(struct lookout *lookout, struct lookout_place *place)
{
    if (!place->answered || atomic_load(&lookout->holder) || poll_budget_skips(&lookout->budget))
        return false;
    place->queued = 0;
    lock_take(&lookout->lock);
    if (!atomic_load(&lookout->holder) && poll_budget_begin(&lookout->budget, monotonic_ns()))
        set_holder(lookout, place);
    lock_release(&lookout->lock);
    return atomic_load(&lookout->holder) == place;
}

/* ---- polling ---- */

/* Within the budget, until a request comes. −EAGAIN: none has. */
static int poll_window(struct lookout *lookout, const struct lookout_place *place, struct fuse_buf *buffer)
{
    int count = -EAGAIN;
    uint64_t began = monotonic_ns();
    uint64_t time = began;
    while (count == -EAGAIN && time - began < POLL_WINDOW_NS && atomic_load(&lookout->holder) == place) {
        (void)sched_yield();
        atomic_fetch_add_explicit(&lookout->moves, 1, memory_order_relaxed);
        count = fuse_session_receive_buf(lookout->session, buffer);
        time = monotonic_ns();
    }
    lock_take(&lookout->lock);
    poll_budget_spent(&lookout->budget, began, time, count != -EAGAIN);
    if (atomic_load(&lookout->holder) == place &&
        (count == -EAGAIN || !poll_budget_go_on(&lookout->budget, time)))
        set_holder(lookout, NULL);
    lock_release(&lookout->lock);
    return count;
}

static bool is_more(const struct lookout *lookout)
{
    struct pollfd device = {.fd = fuse_session_fd(lookout->session), .events = POLLIN};
    return poll(&device, 1, 0) > 0;
}

static void end_by_crowd(struct lookout *lookout, const struct lookout_place *place)
{
    lock_take(&lookout->lock);
    if (atomic_load(&lookout->holder) == place) {
        poll_budget_crowded(&lookout->budget);
        set_holder(lookout, NULL);
    }
    lock_release(&lookout->lock);
}

static int receive_as_lookout(struct lookout *lookout, struct lookout_place *place, struct fuse_buf *buffer)
{
    atomic_fetch_add_explicit(&lookout->moves, 1, memory_order_relaxed);
    int count = fuse_session_receive_buf(lookout->session, buffer);
    if (count == -EAGAIN) {
        place->queued = 0;
        return poll_window(lookout, place, buffer);
    }
    if (++place->queued % QUEUED_LOOK == 0 && !is_more(lookout))
        place->queued = 0;
    if (place->queued >= QUEUED_MAX)
        end_by_crowd(lookout, place);
    return count;
}

/* ---- resting ---- */

/* `milliseconds` 0: for as long as it takes. A signal ends it, too. */
static void sleep_until_woken(struct lookout_place *place, unsigned milliseconds)
{
    const struct timespec time = {.tv_nsec = milliseconds * 1000000L};
    (void)syscall(SYS_futex, &place->woken, FUTEX_WAIT_PRIVATE, 0, milliseconds ? &time : NULL, NULL, 0);
}

/* Whether it now rests: there is a lookout. */
static bool lie_down(struct lookout *lookout, struct lookout_place *place)
{
    lock_take(&lookout->lock);
    bool polled = atomic_load(&lookout->holder) != NULL;
    if (polled) {
        atomic_store(&place->woken, 0);
        atomic_fetch_add(&lookout->resting_count, 1);
        if (!atomic_load(&lookout->deputy)) {
            atomic_store(&lookout->deputy, place);
        } else {
            place->next = lookout->resting;
            lookout->resting = place;
        }
    }
    lock_release(&lookout->lock);
    return polled;
}

static void be_deputy(struct lookout *lookout, struct lookout_place *place)
{
    unsigned moves = 0;
    bool stuck = false;
    do {
        moves = atomic_load(&lookout->moves);
        sleep_until_woken(place, DEPUTY_MS);
        stuck = atomic_load(&lookout->moves) == moves;
    } while (atomic_load(&lookout->holder) && !stuck && !fuse_session_exited(lookout->session));
    lock_take(&lookout->lock);
    atomic_store(&lookout->deputy, NULL);
    atomic_fetch_sub(&lookout->resting_count, 1);
    if (stuck && atomic_load(&lookout->holder))
        set_holder(lookout, NULL);
    lock_release(&lookout->lock);
}

/* Takes it from the list, where nobody else has. */
static void rise(struct lookout *lookout, struct lookout_place *place)
{
    lock_take(&lookout->lock);
    for (struct lookout_place **link = &lookout->resting; *link; link = &(*link)->next) {
        if (*link != place)
            continue;
        *link = place->next;
        atomic_fetch_sub(&lookout->resting_count, 1);
        break;
    }
    lock_release(&lookout->lock);
}

static bool rest(struct lookout *lookout, struct lookout_place *place)
{
    if (!atomic_load(&lookout->holder) || !lie_down(lookout, place))
        return false;
    if (atomic_load(&lookout->deputy) == place) {
        be_deputy(lookout, place);
        return true;
    }
    while (!atomic_load(&place->woken) && !fuse_session_exited(lookout->session))
        sleep_until_woken(place, 0);
    rise(lookout, place);
    return true;
}

static void wake_one(struct lookout *lookout)
{
    lock_take(&lookout->lock);
    struct lookout_place *place = atomic_load(&lookout->deputy) ? NULL : lookout->resting;
    if (place) {
        lookout->resting = place->next;
        atomic_fetch_sub(&lookout->resting_count, 1);
        atomic_store(&place->woken, 1);
    }
    lock_release(&lookout->lock);
    if (place)
        (void)syscall(SYS_futex, &place->woken, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void lookout_look_round(struct lookout *lookout)
{
    unsigned resting = atomic_load(&lookout->resting_count);
    if (resting > 0 && !atomic_load(&lookout->deputy) &&
        atomic_load(&lookout->busy) + resting >= atomic_load(lookout->threads))
        wake_one(lookout);
}

/* ---- the worker ---- */

int lookout_receive(struct lookout *lookout, struct lookout_place *place, struct fuse_buf *buffer)
{
    int count = -EAGAIN;
    if (atomic_load(&lookout->holder) == place || begin(lookout, place))
        count = receive_as_lookout(lookout, place, buffer);
    else if (!rest(lookout, place))
        count = fuse_session_receive_buf(lookout->session, buffer);
    place->answered = count > 0;
    return count;
}
