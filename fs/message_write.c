/* SPDX-License-Identifier: MIT */
/* Sending: messages and lines. attempt() runs under the writers' lock. */
#include "message.h"

#include "handle.h"
#include "ipcfs.h"
#include "ipcfs/cleanup.h"
#include "ipcfs/log.h"
#include "ipcfs/monotonic.h"
#include "park.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <poll.h>
#include <string.h>

/* For how long a line that its writer left unfinished waits for room in the queue, and how many may. */
enum { LINGER_MS = 5000, LINGERING_MAX = 64 };
/* Of lines that wait so much is copied, whatever the size of the write(2): it then gives a smaller count. */
enum { PARKED_LINES_MAX = 64 * 1024 };
/* How often a sender of lines looks again for room. */
enum { LOOKS = 20 };

struct writing {
    struct parked parked;
    struct ipcfs *fs;
    struct handle *handle; /* parked: counted */
    const char *data;
    size_t size;
    size_t done;   /* MESSAGE_LINES: so much has been sent, or kept as unfinished */
    size_t before; /* and so much before `data` */
    char *copy;    /* owned; parked: what `data` points to */
    char *joined;  /* owned: the line the keeper sends, where it is not all in `data` */
    size_t joined_length;
    int flags;
    bool flush; /* no data: the unfinished line is to be sent as it is */
};

static struct writing *writing_of(struct waiter *waiter)
{
    return (struct writing *)waiter;
}

static ssize_t send_message(struct writing *writing, const char *data, size_t size, struct ipcfs_wait *wait)
{
    struct handle *handle = writing->handle;
    return handle->node.kin.backend->try_write(handle->file, data, size, 0, writing->flags, wait);
}

/* ---- lines ---- */

/* The next line to send: where it is, how long, and how much of the data it uses up. */
struct line {
    const char *data;
    size_t length;
    size_t used;
};

/* The end of the line that begins at the data not yet done; NULL where there is none. */
static const char *line_end(const struct writing *writing)
{
    return memchr(writing->data + writing->done, '\n', writing->size - writing->done);
}

/* Keeps what has no newline yet. */
static int keep_unfinished(struct writing *writing)
{
    struct messages *messages = writing->handle->messages;
    size_t length = writing->size - writing->done;
    size_t room = writing->handle->node.kin.backend->message_room(writing->handle->file);
    if (length > room || messages->unfinished.length > room - length) {
        text_reset(&messages->unfinished);
        return -EMSGSIZE;
    }
    text_bytes(&messages->unfinished, writing->data + writing->done, length);
    int error = text_error(&messages->unfinished);
    if (error) {
        messages->unfinished.error = 0; /* what was there before is still there */
        return error;
    }
    writing->done = writing->size;
    return 0;
}

/* Finds the next line. With something unfinished, it is that and the data up to the newline: joined in a new buffer, so
 * that nothing has changed if it cannot be sent now. */
static int next_line(struct writing *writing, const char *end, struct line *out)
{
    const struct text *unfinished = &writing->handle->messages->unfinished;
    const char *begin = writing->flush ? NULL : writing->data + writing->done;
    size_t length = writing->flush ? 0 : (size_t)(end - begin);
    *out = (struct line){.data = begin, .length = length, .used = writing->flush ? 0 : length + 1};
    free(TAKE_PTR(
        writing->joined)); /* of an earlier attempt: somebody else of the handle may have sent it since */
    if (!unfinished->length)
        return 0;
    char *joined = malloc(unfinished->length + length);
    if (!joined)
        return -ENOMEM;
    memcpy(joined, unfinished->data, unfinished->length);
    if (length)
        memcpy(joined + unfinished->length, begin, length);
    writing->joined = joined;
    writing->joined_length = unfinished->length + length;
    out->data = joined;
    out->length = writing->joined_length;
    return 0;
}

/* A line has been sent, or is too long for ever. */
static void line_done(struct writing *writing, size_t used)
{
    writing->done += used;
    text_reset(&writing->handle->messages->unfinished);
    free(TAKE_PTR(writing->joined));
}

static ssize_t send_line(struct writing *writing, const char *end, struct ipcfs_wait *wait)
{
    struct line line;
    ssize_t result = next_line(writing, end, &line);
    if (!result)
        result = send_message(writing, line.data, line.length, wait);
    if (result >= 0)
        line_done(writing, line.used);
    else if (result == -EMSGSIZE && !writing->done)
        text_reset(&writing->handle->messages->unfinished);
    return result;
}

/* How a write of lines ends: what was done counts, and an error only where nothing was. */
static ssize_t lines_result(const struct writing *writing, ssize_t error)
{
    size_t done = writing->before + writing->done;
    return done && !writing->flush ? (ssize_t)done : error;
}

/*
 * A receiver that keeps up makes room again within microseconds, less than it takes to sleep and be woken. So whoever
 * has sent a line, and then finds the queue full, looks again for a moment. In all that is a small part of the time,
 * because only lines that were sent give a right to it.
 */
static bool look_again(const struct writing *writing, size_t *seen, unsigned *looks)
{
    if (*seen != writing->done)
        *looks = LOOKS;
    *seen = writing->done;
    if (!*looks)
        return false;
    --*looks;
    messages_leave_alone();
    return true;
}

static ssize_t write_lines(struct writing *writing, struct ipcfs_wait *wait)
{
    if (writing->flush)
        return writing->handle->messages->unfinished.length ? send_line(writing, NULL, wait) : 0;
    size_t start = writing->done;
    size_t seen = start;
    unsigned looks = 0;
    while (writing->done < writing->size) {
        const char *end = line_end(writing);
        ssize_t result = end ? send_line(writing, end, wait) : keep_unfinished(writing);
        if (result == -EAGAIN && look_again(writing, &seen, &looks))
            continue;
        wait->moved = writing->done != start;
        if (result < 0)
            return result == -EAGAIN ? result : lines_result(writing, result);
    }
    return (ssize_t)(writing->before + writing->done);
}

/* ---- the waiter ---- */

static ssize_t attempt(struct waiter *waiter, struct ipcfs_wait *wait)
{
    struct writing *writing = writing_of(waiter);
    if (writing->handle->messages->style == MESSAGE_LINES)
        return write_lines(writing, wait);
    ssize_t result = send_message(writing, writing->data, writing->size, wait);
    return result < 0 ? result : (ssize_t)writing->size;
}

/* The beginning of a line is only kept: it need not wait behind those who send, but for those of the same handle. */
static bool is_due(const struct waiter *waiter)
{
    const struct writing *writing = (const struct writing *)waiter;
    const struct messages *messages = writing->handle->messages;
    return messages->style == MESSAGE_LINES && !writing->flush && !messages->writing.parked &&
           !line_end(writing);
}

/*
 * While the waiter is in service nobody else of the handle sends, so the line that the attempt before has prepared is
 * still the one to send.
 */
static ssize_t block(struct waiter *waiter)
{
    struct writing *writing = writing_of(waiter);
    struct ipcfs_wait wait = {.block = true};
    if (writing->handle->messages->style == MESSAGE_PLAIN)
        return send_message(writing, writing->data, writing->size, &wait);
    if (writing->joined)
        return send_message(writing, writing->joined, writing->joined_length, &wait);
    const char *begin = writing->data + writing->done;
    return send_message(writing, begin, (size_t)(line_end(writing) - begin), &wait);
}

static ssize_t deliver(struct waiter *waiter, ssize_t blocked)
{
    struct writing *writing = writing_of(waiter);
    if (writing->handle->messages->style == MESSAGE_PLAIN)
        return blocked < 0 ? blocked : (ssize_t)writing->size;
    if (blocked < 0)
        return lines_result(writing, blocked);
    const char *begin = writing->data + writing->done;
    line_done(writing, writing->flush ? 0 : (size_t)(line_end(writing) - begin) + 1);
    struct ipcfs_wait wait = {0};
    return write_lines(writing, &wait);
}

static void answer(struct writing *writing, struct reply *reply, ssize_t result)
{
    if (result < 0)
        result = lines_result(writing, result);
    if (result < 0)
        reply_error(reply, (int)result);
    else
        reply_write(reply, (size_t)result);
    free(writing->joined);
    free(writing->copy);
}

static void finish(struct waiter *waiter, ssize_t result)
{
    struct writing *writing = writing_of(waiter);
    park_end(&writing->parked);
    answer(writing, &writing->parked.reply, result);
    handle_put(&writing->fs->handles, writing->handle);
    free(writing);
}

static const struct waiter_ops writing_ops = {
    .attempt = attempt, .due = is_due, .block = block, .deliver = deliver, .finish = finish};

static struct writing writing_new(struct ipcfs *fs, struct handle *handle, int flags)
{
    return (struct writing){
        .parked.waiter = {.ops = &writing_ops,
                          .group = &handle->messages->writing,
                          .owner = handle,
                          .uid = handle->uid},
        .fs = fs,
        .handle = handle,
        .flags = flags,
    };
}

/*
 * Passes over what is done, and leaves to the next write(2) what is beyond a bound: many may wait with large writes of
 * one buffer, that cost them nothing. The line that is sent now stays, however long it is.
 */
static void shorten(struct writing *writing)
{
    writing->before += writing->done;
    writing->data += writing->done;
    writing->size -= writing->done;
    writing->done = 0;
    if (writing->size <= PARKED_LINES_MAX)
        return;
    size_t length = PARKED_LINES_MAX;
    while (length && writing->data[length - 1] != '\n')
        length--;
    const char *end = length ? NULL : line_end(writing);
    if (end)
        length = (size_t)(end - writing->data) + 1;
    if (length)
        writing->size = length;
}

/* The data lie in the buffer of the session: what waits needs its own. */
static void wait_to_write(struct reply *reply, struct writing *writing)
{
    if (writing->handle->messages->style == MESSAGE_LINES)
        shorten(writing);
    struct writing *parked = malloc(sizeof *parked);
    char *copy = malloc(writing->size ? writing->size : 1);
    if (!parked || !copy) {
        free(parked);
        free(copy);
        answer(writing, reply, -ENOMEM);
        return;
    }
    if (writing->size)
        memcpy(copy, writing->data, writing->size);
    *parked = *writing;
    parked->copy = copy;
    parked->data = copy;
    handle_use(&parked->fs->handles, parked->handle);
    parked->parked.waiter.about = park_about(parked->handle, "write", true);
    park(&parked->parked, parked->handle->messages->writers, reply);
}

/* A message must come in one request: the kernel splits a write(2) at a size that depends on how its pages lie. */
static bool is_too_large(const struct ipcfs *fs, const struct messages *messages, size_t size)
{
    return messages->style == MESSAGE_PLAIN && size > fs->request_max - REQUEST_SLACK;
}

void messages_write(struct ipcfs *fs, struct reply *reply, struct handle *handle, const char *data,
                    size_t size, int flags)
{
    struct messages *messages = handle->messages;
    if (!messages->writers || is_too_large(fs, messages, size)) {
        reply_error(reply, messages->writers ? -EMSGSIZE : -EBADF);
        return;
    }
    bool patient = !(flags & O_NONBLOCK);
    struct writing writing = writing_new(fs, handle, flags);
    writing.data = data;
    writing.size = size;
    ssize_t result = wait_try(messages->writers, &writing.parked.waiter, !patient);
    if (result == -EAGAIN && patient)
        wait_to_write(reply, &writing);
    else
        answer(&writing, reply, result);
    if (result == -EAGAIN && !patient)
        poller_watch_again(&messages->poller, POLLOUT | POLLWRNORM);
}

/* ---- what nobody finished ---- */

static atomic_uint lingering;

/* At most once a second: a user could fill the log with them. */
static void warn_lost(const struct handle *handle, ssize_t error)
{
    static _Atomic int64_t next;
    int64_t now = monotonic_ms();
    if (atomic_load(&next) > now)
        return;
    atomic_store(&next, now + 1000);
    log_warning("%s: an unfinished line of %zu bytes is lost: %s", handle->node.name,
                handle->messages->unfinished.length, strerror((int)-error));
}

static void finish_lingering(struct waiter *waiter, ssize_t result)
{
    struct writing *writing = writing_of(waiter);
    if (result < 0)
        warn_lost(writing->handle, result);
    free(writing->joined);
    handle_put(&writing->fs->handles, writing->handle);
    free(writing);
    atomic_fetch_sub(&lingering, 1);
}

static const struct waiter_ops lingering_ops = {
    .attempt = attempt, .due = is_due, .block = block, .deliver = deliver, .finish = finish_lingering};

/* Waits for room without a request, for a while. */
static bool linger(const struct writing *writing)
{
    struct writing *parked = atomic_fetch_add(&lingering, 1) < LINGERING_MAX ? malloc(sizeof *parked) : NULL;
    if (!parked) {
        atomic_fetch_sub(&lingering, 1);
        return false;
    }
    *parked = *writing;
    parked->parked.waiter.ops = &lingering_ops;
    parked->parked.waiter.owner = NULL;
    parked->parked.waiter.limit_ms = LINGER_MS;
    handle_use(&parked->fs->handles, parked->handle);
    wait_prepare(parked->handle->messages->writers, &parked->parked.waiter);
    wait_park(&parked->parked.waiter);
    return true;
}

void messages_end_writing(struct ipcfs *fs, struct handle *handle)
{
    wait_line_lock(handle->messages->writers);
    bool some = handle->messages->unfinished.length > 0;
    wait_line_unlock(handle->messages->writers);
    if (!some)
        return; /* and not to stand in line for nothing */
    struct writing writing = writing_new(fs, handle, 0);
    writing.flush = true;
    ssize_t result = wait_try(handle->messages->writers, &writing.parked.waiter, false);
    if (result == -EAGAIN && linger(&writing))
        return;
    if (result < 0)
        warn_lost(handle, result);
    free(writing.joined);
}
