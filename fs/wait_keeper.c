/* SPDX-License-Identifier: MIT */
/* Keepers: threads that make the native calls which can only block. See fs/wait.c for who wins. */
#include "wait_line.h"

#include <errno.h>

/* Enough for a native call and what a sanitizer adds; it is address space, not memory, until it is used. */
enum { KEEPER_STACK = 256 * 1024 };

/* Stays for a while when nobody waits, because who has just been served often comes again. */
static bool is_needed(struct wait_line *line)
{
    struct timespec end = lock_deadline(KEEPER_LINGER_MS);
    while (!line->first) {
        if (atomic_load(&line->engine->stop_error))
            return false;
        if (pthread_cond_timedwait(&line->keeper_wanted, &line->lock.mutex, &end) == ETIMEDOUT)
            return line->first != NULL;
    }
    return true;
}

/* Makes the native call for the first in the line. */
static void serve_natively(struct wait_line *line, struct wait_done *done)
{
    struct waiter *waiter = line->first;
    line->in_service = waiter;
    lock_release(&line->lock);
    ssize_t blocked = waiter->ops->block(waiter);
    lock_take(&line->lock);
    line->in_service = NULL;
    ssize_t result = blocked == -EINTR ? -EAGAIN : waiter->ops->deliver(waiter, blocked);
    if (result == -EAGAIN && !waiter->verdict)
        return; /* a signal meant for an earlier wait: it is tried again */
    if (result == -EAGAIN)
        result = waiter->verdict;
    const struct wait_group *group = waiter->group;
    wait_take(line, waiter, result, done);
    wait_serve_heirs(line, group, done);
}

static void turn(struct wait_line *line)
{
    struct wait_done done = {0};
    wait_serve(line, &done);
    if (!done.count && line->first)
        serve_natively(line, &done);
    lock_release(&line->lock);
    wait_finish(&done);
    lock_take(&line->lock);
}

/* Takes one of the keepers there may be, from the share of the first in the line, and counts the line for it. */
static bool take_place(struct wait_line *line)
{
    struct wait_engine *engine = line->engine;
    lock_take(&engine->lock);
    bool free = atomic_load(&engine->keepers) < KEEPERS_MAX;
    bool taken = free && share_take(&engine->keeper_shares, line->first->uid) == 0;
    if (taken) {
        line->keeper_uid = line->first->uid;
        line->users++;
        atomic_fetch_add(&engine->keepers, 1);
    }
    lock_release(&engine->lock);
    return taken;
}

/* The keeper that this place was for is no more, or never was. The line may be freed, or have a new keeper of somebody else's
 * share by now. */
static void give_place_back(struct wait_line *line, uid_t uid)
{
    struct wait_engine *engine = line->engine;
    lock_take(&engine->lock);
    share_give_back(&engine->keeper_shares, uid);
    lock_release(&engine->lock);
    wait_line_put(line);
    atomic_fetch_sub(&engine->keepers, 1); /* after this the engine may be gone */
}

static void *keep(void *argument)
{
    struct wait_line *line = argument;
    lock_take(&line->lock);
    while (is_needed(line))
        turn(line);
    uid_t uid = line->keeper_uid;
    line->has_keeper = false;
    lock_release(&line->lock);
    give_place_back(line, uid);
    return NULL;
}

static bool start_keeper(struct wait_line *line)
{
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes))
        return false;
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attributes, KEEPER_STACK);
    int error = pthread_create(&line->keeper, &attributes, keep, line);
    pthread_attr_destroy(&attributes);
    return !error;
}

bool wait_keeper_want(struct wait_line *line)
{
    if (line->has_keeper) {
        pthread_cond_signal(&line->keeper_wanted);
        return true;
    }
    if (!take_place(line))
        return false;
    line->has_keeper = start_keeper(line);
    if (!line->has_keeper)
        give_place_back(line, line->keeper_uid); /* the waiter counts the line as well */
    return line->has_keeper;
}

void wait_keeper_nudge(struct wait_line *line)
{
    /* It exists: it leaves its place only under the lock, and not while somebody is in service. */
    (void)pthread_kill(line->keeper, WAKE_SIGNAL);
    wait_engine_nudge(line);
}
