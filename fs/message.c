/* SPDX-License-Identifier: MIT */
/* The life of a file of messages. */
#include "message.h"

#include "handle.h"
#include "ipcfs.h"
#include "ipcfs/monotonic.h"
#include "park.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>

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
    int error = poller_init(&messages->poller, fs->waits, handle, possible);
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
    poller_destroy(&messages->poller);
    if (messages->readers)
        wait_line_put(messages->readers);
    if (messages->writers)
        wait_line_put(messages->writers);
    free(messages->rest.data);
    text_reset(&messages->unfinished);
    free(messages);
}

enum { MOMENT_NS = 500 };

/* On this processor, or on another one without a fight for the queue's lock. */
void messages_leave_alone(void)
{
    (void)sched_yield();
    uint64_t begin = monotonic_ns();
    while (monotonic_ns() - begin < MOMENT_NS)
        ;
}
