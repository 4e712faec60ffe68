/* SPDX-License-Identifier: MIT */
/* Writing: all of it, however long that takes, or what fits at once. attempt() runs under the writers' lock. */
#include "stream.h"

#include "handle.h"
#include "ipcfs.h"
#include "park.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

struct writing {
    struct parked parked;
    struct ipcfs *fs;
    struct handle *handle; /* parked: counted */
    const char *data;      /* what is left to send */
    size_t size;
    size_t done; /* so much has been sent */
    char *copy;  /* owned; parked: what `data` points into */
    int flags;
};

static ssize_t attempt(struct waiter *waiter, struct ipcfs_wait *wait)
{
    struct writing *writing = (struct writing *)waiter;
    const struct handle *handle = writing->handle;
    while (writing->size) {
        ssize_t count = handle->node.kin.backend->try_write(handle->stream_use->stream->file, writing->data,
                                                            writing->size, 0, writing->flags, wait);
        if (count <= 0)
            return count;
        writing->data += count;
        writing->size -= (size_t)count;
        writing->done += (size_t)count;
    }
    return 0;
}

/* As write(2): an error is one only where nothing was sent. */
static void answer(struct writing *writing, struct reply *reply, ssize_t result)
{
    bool lack = result == -EAGAIN;
    if (result < 0 && !writing->done)
        reply_error(reply, (int)result);
    else
        reply_write(reply, writing->done);
    free(writing->copy);
    if (lack)
        poller_watch_again(&writing->handle->stream_use->poller, POLLOUT | POLLWRNORM);
}

static void finish(struct waiter *waiter, ssize_t result)
{
    struct writing *writing = (struct writing *)waiter;
    park_end(&writing->parked);
    answer(writing, &writing->parked.reply, result);
    handle_put(&writing->fs->handles, writing->handle);
    free(writing);
}

static const struct waiter_ops writing_ops = {.attempt = attempt, .finish = finish};

/* The data lie in the buffer of the session: what waits needs its own, of what is left. */
static void wait_to_write(struct reply *reply, struct writing *writing)
{
    struct writing *parked = malloc(sizeof *parked);
    char *copy = malloc(writing->size);
    if (!parked || !copy) {
        free(parked);
        free(copy);
        answer(writing, reply, -ENOMEM);
        return;
    }
    memcpy(copy, writing->data, writing->size);
    *parked = *writing;
    parked->copy = copy;
    parked->data = copy;
    handle_use(&parked->fs->handles, parked->handle);
    parked->parked.waiter.about = park_about(parked->handle, "write", true);
    park(&parked->parked, parked->handle->stream_use->writers, reply);
}

void stream_write(struct ipcfs *fs, struct reply *reply, struct handle *handle, const char *data, size_t size,
                  int flags)
{
    if (!stream_is_ready(handle) || !handle->stream_use->writers) {
        reply_error(reply, -EBADF);
        return;
    }
    if (!size) {
        reply_write(reply, 0);
        return;
    }
    bool patient = !(flags & O_NONBLOCK);
    struct writing writing = {
        .parked.waiter = {.ops = &writing_ops, .owner = handle, .uid = handle->uid},
        .fs = fs,
        .handle = handle,
        .data = data,
        .size = size,
        .flags = flags,
    };
    ssize_t result = wait_try(handle->stream_use->writers, &writing.parked.waiter, !patient);
    if (result == -EAGAIN && patient)
        wait_to_write(reply, &writing);
    else
        answer(&writing, reply, result);
}
