/* SPDX-License-Identifier: MIT */
/* Reading: what is there, or a wait until there is something. attempt() runs under the readers' lock. */
#include "stream.h"

#include "handle.h"
#include "ipcfs.h"
#include "park.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>

struct reading {
    struct parked parked;
    struct ipcfs *fs;
    struct handle *handle; /* parked: counted */
    size_t size;
    int flags;
    char *answer; /* owned: what the reply will give */
};

/* A reader that waits has no buffer: it may be many, and large. */
static ssize_t attempt(struct waiter *waiter, struct ipcfs_wait *wait)
{
    struct reading *reading = (struct reading *)waiter;
    const struct handle *handle = reading->handle;
    size_t room = reading->size - ipcfs_is_piece(reading->fs, reading->size);
    char *buffer = malloc(room);
    if (!buffer)
        return -ENOMEM;
    ssize_t count = handle->node.kin.backend->try_read(handle->stream_use->stream->file, buffer, room, 0,
                                                       reading->flags, wait);
    if (count > 0)
        reading->answer = buffer;
    else
        free(buffer);
    return count;
}

/* Less than was asked for is as much a lack as none: nobody has to try once more to see it (epoll(7)). The end stays. */
static void answer(struct reading *reading, struct reply *reply, ssize_t result)
{
    bool lack = result == -EAGAIN || (result > 0 && (size_t)result < reading->size);
    if (result < 0)
        reply_error(reply, (int)result);
    else
        reply_buffer(reply, reading->answer, (size_t)result);
    free(reading->answer);
    if (lack)
        poller_watch_again(&reading->handle->stream_use->poller, POLLIN | POLLRDNORM);
}

static void finish(struct waiter *waiter, ssize_t result)
{
    struct reading *reading = (struct reading *)waiter;
    park_end(&reading->parked);
    answer(reading, &reading->parked.reply, result);
    handle_put(&reading->fs->handles, reading->handle);
    free(reading);
}

static const struct waiter_ops reading_ops = {.attempt = attempt, .finish = finish};

static void wait_to_read(struct reply *reply, const struct reading *reading)
{
    struct reading *parked = malloc(sizeof *parked);
    if (!parked) {
        reply_error(reply, -ENOMEM);
        return;
    }
    *parked = *reading;
    handle_use(&parked->fs->handles, parked->handle);
    parked->parked.waiter.about = park_about(parked->handle, "read", false);
    park(&parked->parked, parked->handle->stream_use->readers, reply);
}

void stream_read(struct ipcfs *fs, struct reply *reply, struct handle *handle, size_t size, int flags)
{
    if (!stream_is_ready(handle) || !handle->stream_use->readers) {
        reply_error(reply, -EBADF);
        return;
    }
    if (!size) {
        reply_buffer(reply, NULL, 0);
        return;
    }
    bool patient = !(flags & O_NONBLOCK);
    struct reading reading = {
        .parked.waiter = {.ops = &reading_ops, .owner = handle, .uid = handle->uid},
        .fs = fs,
        .handle = handle,
        .size = size,
        .flags = flags,
    };
    ssize_t result = wait_try(handle->stream_use->readers, &reading.parked.waiter, !patient);
    if (result == -EAGAIN && patient)
        wait_to_read(reply, &reading);
    else
        answer(&reading, reply, result);
}
