/* SPDX-License-Identifier: MIT */
/* Watches: who is told, once, that something has changed, for poll(2). */
#include "wait_line.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/monotonic.h"

#include <errno.h>

/* What a kind does to look may take long, and the thread has others to serve. */
enum { LOOK_MS = 2 };

/* With the engine's lock held. */
static void unlist(struct wait_watch **place, const struct wait_watch *watch)
{
    while (*place && *place != watch)
        place = &(*place)->next_looking;
    if (*place)
        *place = watch->next_looking;
}

/* With the engine's lock held. */
static void stop_looking(struct wait_engine *engine, struct wait_watch *watch)
{
    if (!watch->looking)
        return;
    unlist(&engine->looking, watch);
    unlist(&engine->unseen, watch);
    watch->looking = false;
}

/* With the engine's lock held. */
static void start_looking(struct wait_engine *engine, struct wait_watch *watch)
{
    if (watch->looking)
        return;
    watch->looking = true;
    watch->next_looking = engine->looking;
    engine->looking = watch;
}

/* Calls out for a watch, which must not go meanwhile. With the engine's lock held, but for the call. */
static bool call(struct wait_engine *engine, struct wait_watch *watch, bool look)
{
    bool answer = true;
    engine->calling = watch;
    lock_release(&engine->lock);
    if (look)
        answer = watch->ops->look(watch->data);
    else
        watch->ops->ready(watch->data);
    lock_take(&engine->lock);
    engine->calling = NULL;
    pthread_cond_broadcast(&engine->changed);
    return answer;
}

/* With the engine's lock held. */
void wait_watch_ready(struct wait_engine *engine, struct wait_watch *watch)
{
    if (!watch->armed)
        return;
    watch->armed = false;
    (void)call(engine, watch, false);
}

/* Lists may change under each call: so what is still to be asked is a list as well. */
bool wait_watch_look(struct wait_engine *engine)
{
    int64_t end = monotonic_ms() + LOOK_MS;
    lock_take(&engine->lock);
    if (!engine->unseen)
        engine->unseen = TAKE_PTR(engine->looking);
    while (engine->unseen && monotonic_ms() < end) {
        struct wait_watch *watch = engine->unseen;
        stop_looking(engine, watch);
        bool ready = call(engine, watch, true);
        if (!watch->armed || watch->looking)
            continue; /* it is being freed, or was armed anew */
        if (ready)
            wait_watch_ready(engine, watch);
        else
            start_looking(engine, watch);
    }
    bool done = !engine->unseen;
    lock_release(&engine->lock);
    return done;
}

int wait_watch_new(struct wait_engine *engine, const struct wait_watch_ops *ops, void *data,
                   struct wait_watch **out)
{
    struct wait_watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return -ENOMEM;
    *watch = (struct wait_watch){.engine = engine, .ops = ops, .data = data, .poll_fd = -1};
    struct wait_source *source = &watch->source;
    lock_take(&engine->lock);
    source->id = engine->next_id++;
    HASH_ADD(by_id, engine->sources, id, sizeof source->id, source);
    bool added = source->by_id.tbl;
    lock_release(&engine->lock);
    if (added)
        *out = watch;
    else
        free(watch);
    return added ? 0 : -ENOMEM;
}

void wait_watch_arm(struct wait_watch *watch, const struct ipcfs_wait *wait, short events)
{
    struct wait_engine *engine = watch->engine;
    bool looking = wait->source != IPCFS_WAIT_POLL && wait->source != IPCFS_WAIT_TOLD;
    lock_take(&engine->lock);
    watch->armed = true;
    stop_looking(engine, watch);
    wait_forget_descriptor(engine, &watch->poll_fd);
    if (wait->source == IPCFS_WAIT_POLL)
        looking = wait_arm_descriptor(engine, watch->source.id, &watch->poll_fd, wait->fd, events) != 0;
    if (looking)
        start_looking(engine, watch);
    lock_release(&engine->lock);
    if (looking)
        wait_engine_wake(engine);
}

void wait_watch_free(struct wait_watch *watch)
{
    struct wait_engine *engine = watch->engine;
    struct wait_source *source = &watch->source;
    lock_take(&engine->lock);
    watch->armed = false;
    while (engine->calling == watch)
        pthread_cond_wait(&engine->changed, &engine->lock.mutex);
    stop_looking(engine, watch);
    HASH_DELETE(by_id, engine->sources, source);
    lock_release(&engine->lock);
    wait_forget_descriptor(engine, &watch->poll_fd);
    free(watch);
}
