/* SPDX-License-Identifier: MIT */
/* What is read of the log, and who waits for more. Attempts run under the line's lock, and take that of the log. */
#include "events.h"

#include "ipcfs.h"
#include "park.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <fcntl.h>

struct reading {
    struct parked parked;
    struct ipcfs *fs;
    struct handle *handle; /* parked: counted */
    uint64_t offset;
    size_t size;
    char *answer; /* owned: what was read */
};

static ssize_t attempt_read(struct waiter *waiter, struct ipcfs_wait *wait)
{
    struct reading *reading = (struct reading *)waiter;
    struct event_use *use = reading->handle->events;
    AUTO_FREE char *answer = malloc(reading->size);
    if (!answer)
        return -ENOMEM;
    lock_take(&use->events->lock);
    ssize_t count = event_cursor_read(&use->reader->cursor, events_log_of(use->events, use->reader),
                                      reading->offset, answer, reading->size);
    if (count > 0)
        use->position = reading->offset + (uint64_t)count;
    lock_release(&use->events->lock);
    if (count > 0)
        reading->answer = TAKE_PTR(answer);
    if (count)
        return count;
    wait->source = IPCFS_WAIT_TOLD;
    return -EAGAIN;
}

static void answer(struct reading *reading, struct reply *reply, ssize_t result)
{
    if (result < 0)
        reply_error(reply, (int)result);
    else
        reply_buffer(reply, reading->answer, (size_t)result);
    free(reading->answer);
}

static void finish_read(struct waiter *waiter, ssize_t result)
{
    struct reading *reading = (struct reading *)waiter;
    park_end(&reading->parked);
    answer(reading, &reading->parked.reply, result);
    handle_put(&reading->fs->handles, reading->handle);
    free(reading);
}

static const struct waiter_ops reading_ops = {.attempt = attempt_read, .finish = finish_read};

static void wait_to_read(struct reply *reply, struct reading *reading)
{
    struct reading *parked = malloc(sizeof *parked);
    if (!parked) {
        answer(reading, reply, -ENOMEM);
        return;
    }
    *parked = *reading;
    handle_use(&parked->fs->handles, parked->handle);
    park(&parked->parked, parked->handle->events->line, reply);
}

void events_read(struct ipcfs *fs, struct reply *reply, struct handle *handle, size_t size, off_t offset,
                 int flags)
{
    if (!size) {
        reply_buffer(reply, NULL, 0);
        return;
    }
    bool patient = !(flags & O_NONBLOCK);
    struct reading reading = {
        .parked.waiter = {.ops = &reading_ops, .owner = handle, .uid = handle->uid},
        .fs = fs,
        .handle = handle,
        .offset = (uint64_t)offset,
        .size = ipcfs_is_piece(fs, size) ? size - 1 : size,
    };
    ssize_t result = wait_try(handle->events->line, &reading.parked.waiter, !patient);
    if (result == -EAGAIN && patient)
        wait_to_read(reply, &reading);
    else
        answer(&reading, reply, result);
}
