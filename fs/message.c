/* SPDX-License-Identifier: MIT */
/* The life of a file of messages, and poll(2). */
#include "message.h"

#include "handle.h"
#include "ipcfs.h"
#include "ipcfs/cleanup.h"
#include "park.h"
#include "reply.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <time.h>

/* ---- life ---- */

static int get_lines(struct ipcfs *fs, const struct handle *handle, struct messages *messages, int flags)
{
    int mode = flags & O_ACCMODE;
    int error = 0;
    if (mode != O_WRONLY)
        error = park_line(fs, handle, handle->file, false, &messages->readers);
    if (!error && mode != O_RDONLY)
        error = park_line(fs, handle, handle->file, true, &messages->writers);
    return error;
}

int messages_new(struct ipcfs *fs, struct handle *handle, enum message_style style, int flags)
{
    struct messages *messages = calloc(1, sizeof *messages);
    if (!messages)
        return -ENOMEM;
    messages->style = style;
    int error = lock_init(&messages->lock, LOCK_HANDLE);
    if (error) {
        free(messages);
        return error;
    }
    error = get_lines(fs, handle, messages, flags);
    if (error)
        messages_free(messages);
    else
        handle->messages = messages;
    return error;
}

/* Whether anybody waits by the handle is looked up first: a line may be long. */
static void end_waits(struct wait_line *line, const struct wait_group *group, const struct handle *handle)
{
    if (!line)
        return;
    wait_line_lock(line);
    bool some = group->parked > 0;
    wait_line_unlock(line);
    if (some)
        wait_end(line, handle, -EBADF);
}

void messages_end(struct ipcfs *fs, struct handle *handle)
{
    struct messages *messages = handle->messages;
    end_waits(messages->readers, &messages->reading, handle);
    end_waits(messages->writers, &messages->writing, handle);
    if (messages->writers && messages->style == MESSAGE_LINES)
        messages_end_writing(fs, handle);
}

void messages_free(struct messages *messages)
{
    if (!messages)
        return;
    if (messages->watch)
        wait_watch_free(messages->watch);
    if (messages->poller)
        fuse_pollhandle_destroy(messages->poller);
    if (messages->readers)
        wait_line_put(messages->readers);
    if (messages->writers)
        wait_line_put(messages->writers);
    free(messages->rest.data);
    text_reset(&messages->unfinished);
    lock_destroy(&messages->lock);
    free(messages);
}

enum { MOMENT_NS = 500 };

/* On this processor, or on another one without a fight for the queue's lock. */
void messages_leave_alone(void)
{
    struct timespec begin;
    struct timespec now;
    (void)sched_yield();
    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    do
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
    while ((now.tv_sec - begin.tv_sec) * 1000000000 + now.tv_nsec - begin.tv_nsec < MOMENT_NS);
}

/* ---- poll(2) ---- */

/* What can be done with the file now without waiting; `wait` is for the rest. */
static short possible(const struct handle *handle, struct ipcfs_wait *wait)
{
    const struct messages *messages = handle->messages;
    int events = handle->node.kin.backend->poll(handle->file, wait);
    if (events < 0)
        return POLLERR;
    if (messages->readers) {
        wait_line_lock(messages->readers);
        if (messages->rest.data || messages->end_due)
            events |= POLLIN | POLLRDNORM;
        wait_line_unlock(messages->readers);
    } else {
        events &= ~(POLLIN | POLLRDNORM);
    }
    if (!messages->writers)
        events &= ~(POLLOUT | POLLWRNORM);
    return (short)events;
}

static void tell_poller(void *data)
{
    struct handle *handle = data;
    struct messages *messages = handle->messages;
    lock_take(&messages->lock);
    struct fuse_pollhandle *poller = TAKE_PTR(messages->poller);
    lock_release(&messages->lock);
    if (!poller)
        return;
    (void)fuse_lowlevel_notify_poll(poller);
    fuse_pollhandle_destroy(poller);
}

static bool is_worth_telling(void *data)
{
    struct handle *handle = data;
    struct ipcfs_wait wait = {0};
    short events = possible(handle, &wait);
    lock_take(&handle->messages->lock);
    bool worth = events & (handle->messages->watched | POLLERR | POLLHUP);
    lock_release(&handle->messages->lock);
    return worth;
}

static const struct wait_watch_ops watch_ops = {.ready = tell_poller, .look = is_worth_telling};

/*
 * Who is told, and of what. A caller that has been told that it can read is told again only when it may have found that
 * it cannot any more: an edge-triggered epoll does not ask in between. So its poller is kept, and the watch armed for what
 * is not possible now, and for the rest as soon as an operation of the handle has answered EAGAIN, up to which such a
 * caller has to go on (epoll(7)). Level-triggered callers ask again by themselves. One poller speaks for all who poll the
 * file, so what they await adds up until they have been told.
 */

/* With the lock of the messages held. */
static int watch(struct ipcfs *fs, struct handle *handle, short events, const struct ipcfs_wait *wait)
{
    struct messages *messages = handle->messages;
    int error = messages->watch ? 0 : wait_watch_new(fs->waits, &watch_ops, handle, &messages->watch);
    if (error)
        return error;
    messages->watched = events;
    wait_watch_arm(messages->watch, wait, events);
    return 0;
}

/* Has `poller` told of the next change, instead of who was to be told before. */
static int watch_for(struct ipcfs *fs, struct handle *handle, short events, short now,
                     const struct ipcfs_wait *wait, struct fuse_pollhandle *poller)
{
    struct messages *messages = handle->messages;
    int error = 0;
    lock_take(&messages->lock);
    struct fuse_pollhandle *earlier = messages->poller;
    messages->awaited = earlier ? messages->awaited | events : events;
    messages->poller = poller;
    short missing = messages->awaited & ~now;
    if (missing && !(now & (POLLERR | POLLHUP)))
        error = watch(fs, handle, missing, wait);
    lock_release(&messages->lock);
    if (earlier)
        fuse_pollhandle_destroy(earlier);
    return error;
}

void messages_watch_again(struct ipcfs *fs, struct handle *handle, short events)
{
    struct messages *messages = handle->messages;
    lock_take(&messages->lock);
    short wanted = messages->poller ? (short)(messages->awaited & events) : 0;
    lock_release(&messages->lock);
    if (!wanted)
        return;
    struct ipcfs_wait wait = {0};
    short now = possible(handle, &wait);
    lock_take(&messages->lock);
    /* Without memory or descriptors for it the caller waits until it asks again. */
    if (messages->poller)
        (void)watch(fs, handle, (short)(wanted | (messages->awaited & ~now)), &wait);
    lock_release(&messages->lock);
}

/* After the watch is armed it is looked once more: what changed in between was seen by neither. */
void messages_poll(struct ipcfs *fs, struct reply *reply, struct handle *handle, short events,
                   struct fuse_pollhandle *poller)
{
    struct ipcfs_wait wait = {0};
    short now = possible(handle, &wait);
    int error = 0;
    if (poller) {
        error = watch_for(fs, handle, events, now, &wait, poller);
        now |= possible(handle, &wait);
    }
    if (error)
        reply_error(reply, error);
    else
        reply_poll(reply, (unsigned)now);
}
