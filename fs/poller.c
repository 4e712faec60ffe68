/* SPDX-License-Identifier: MIT */
#include "poller.h"

#include "ipcfs/cleanup.h"
#include "reply.h"

#include <poll.h>

int poller_init(struct poller *poller, struct wait_engine *waits, const struct handle *handle,
                poller_look *look)
{
    *poller = (struct poller){.waits = waits, .handle = handle, .look = look};
    return lock_init(&poller->lock, LOCK_HANDLE);
}

void poller_destroy(struct poller *poller)
{
    if (poller->watch)
        wait_watch_free(poller->watch);
    if (poller->told)
        fuse_pollhandle_destroy(poller->told);
    lock_destroy(&poller->lock);
}

static short look(const struct poller *poller, struct ipcfs_wait *wait)
{
    return poller->look(poller->handle, wait);
}

static void tell(void *data)
{
    struct poller *poller = data;
    lock_take(&poller->lock);
    struct fuse_pollhandle *told = TAKE_PTR(poller->told);
    lock_release(&poller->lock);
    if (!told)
        return;
    (void)fuse_lowlevel_notify_poll(told);
    fuse_pollhandle_destroy(told);
}

static bool is_worth_telling(void *data)
{
    struct poller *poller = data;
    struct ipcfs_wait wait = {0};
    short events = look(poller, &wait);
    lock_take(&poller->lock);
    bool worth = events & (poller->watched | POLLERR | POLLHUP);
    lock_release(&poller->lock);
    return worth;
}

void poller_tell(struct poller *poller)
{
    tell(poller);
}

static const struct wait_watch_ops watch_ops = {.ready = tell, .look = is_worth_telling};

/* With the lock held. */
static int watch(struct poller *poller, short events, const struct ipcfs_wait *wait)
{
    int error = poller->watch ? 0 : wait_watch_new(poller->waits, &watch_ops, poller, &poller->watch);
    if (error)
        return error;
    poller->watched = events;
    wait_watch_arm(poller->watch, wait, events);
    return 0;
}

/* Has `told` told of the next change, instead of who was to be told before. */
static int watch_for(struct poller *poller, short events, short now, const struct ipcfs_wait *wait,
                     struct fuse_pollhandle *told)
{
    int error = 0;
    lock_take(&poller->lock);
    struct fuse_pollhandle *earlier = poller->told;
    poller->awaited = earlier ? poller->awaited | events : events;
    poller->told = told;
    short missing = poller->awaited & ~now;
    if (missing && !(now & (POLLERR | POLLHUP)))
        error = watch(poller, missing, wait);
    lock_release(&poller->lock);
    if (earlier)
        fuse_pollhandle_destroy(earlier);
    return error;
}

void poller_watch_again(struct poller *poller, short events)
{
    lock_take(&poller->lock);
    short wanted = poller->told ? (short)(poller->awaited & events) : 0;
    lock_release(&poller->lock);
    if (!wanted)
        return;
    struct ipcfs_wait wait = {0};
    short now = look(poller, &wait);
    lock_take(&poller->lock);
    /* Without memory or descriptors for it the caller waits until it asks again. */
    if (poller->told)
        (void)watch(poller, (short)(wanted | (poller->awaited & ~now)), &wait);
    lock_release(&poller->lock);
}

/* After the watch is armed it is looked once more: what changed in between was seen by neither. */
void poller_poll(struct poller *poller, struct reply *reply, short events, struct fuse_pollhandle *told)
{
    struct ipcfs_wait wait = {0};
    short now = look(poller, &wait);
    int error = 0;
    if (told) {
        error = watch_for(poller, events, now, &wait, told);
        now |= look(poller, &wait);
    }
    if (error)
        reply_error(reply, error);
    else
        reply_poll(reply, (unsigned)now);
}
