/* SPDX-License-Identifier: MIT */
/* Receiving: pieces, ends, packets and lines. Everything but block() runs under the readers' lock. */
#include "message.h"

#include "handle.h"
#include "ipcfs.h"
#include "ipcfs/cleanup.h"
#include "park.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

/* How often a reader of lines looks for more than it has. */
enum { LOOKS = 4 };
/* A message that need not stay is read into so much of the stack of who asks for it. */
enum { SCRATCH_SIZE = 16 * 1024 };

struct reading {
    struct parked parked;
    struct ipcfs *fs;
    struct handle *handle; /* parked: counted */
    size_t size;
    int flags;
    char *buffer;  /* owned: a message the keeper received */
    char *answer;  /* owned, but for `scratch`: what the reply will give */
    char *scratch; /* parked: NULL */
};

static struct reading *reading_of(struct waiter *waiter)
{
    return (struct reading *)waiter;
}

static bool is_packet(const struct reading *reading)
{
    return reading->flags & O_DIRECT && reading->handle->messages->style == MESSAGE_PLAIN;
}

/* ---- one message ---- */

/* Whether a message of that length at most may need an answer of its own beside the buffer it is in. */
static bool wants_answer(const struct reading *reading, size_t room)
{
    bool lines = reading->handle->messages->style == MESSAGE_LINES;
    return lines || (room > reading->size && !is_packet(reading));
}

static void drop_answer(struct reading *reading)
{
    free(reading->answer);
    reading->answer = NULL;
}

static void free_buffer(const struct reading *reading, char *buffer)
{
    if (buffer != reading->scratch)
        free(buffer);
}

/* With room for a message and a newline behind it; the answer too, where it is wanted. NULL: out of memory. */
static char *new_buffer(struct reading *reading, size_t room)
{
    if (reading->scratch && room < SCRATCH_SIZE && !wants_answer(reading, room))
        return reading->scratch;
    AUTO_FREE char *buffer = malloc(room + 1);
    if (!buffer || !wants_answer(reading, room))
        return TAKE_PTR(buffer);
    reading->answer = malloc(reading->size);
    return reading->answer ? TAKE_PTR(buffer) : NULL;
}

/*
 * Receives one message into a buffer. The room a message needs may turn out larger than it was thought to be, while
 * nothing has been taken. All memory that its way to the reader takes is there before it is taken.
 */
static ssize_t receive(struct reading *reading, struct ipcfs_wait *wait, char **out)
{
    struct ipcfs_file *file = reading->handle->file;
    const struct ipcfs_backend *backend = reading->handle->node.kin.backend;
    bool block = wait->block;
    for (;;) {
        size_t room = backend->message_room(file);
        char *buffer = new_buffer(reading, room);
        if (!buffer)
            return -ENOMEM;
        *wait = (struct ipcfs_wait){.block = block};
        ssize_t length = backend->try_read(file, buffer, room, 0, reading->flags, wait);
        if (length >= 0) {
            *out = buffer;
            return length;
        }
        free_buffer(reading, buffer);
        drop_answer(reading); /* who waits shall not have so much */
        if (length != -E2BIG)
            return length;
    }
}

static void set_rest(struct messages *messages, char *data, size_t start, size_t length)
{
    messages->rest = (struct message_rest){.data = data, .start = start, .length = length};
}

static void drop_rest(struct messages *messages)
{
    free(messages->rest.data);
    messages->rest = (struct message_rest){0};
}

/* Copies what fits of the rest to `to`. */
static size_t continue_rest(struct messages *messages, char *to, size_t size)
{
    struct message_rest *rest = &messages->rest;
    size_t count = rest->length < size ? rest->length : size;
    memcpy(to, rest->data + rest->start, count);
    rest->start += count;
    rest->length -= count;
    if (!rest->length)
        drop_rest(messages);
    return count;
}

/* ---- MESSAGE_PLAIN ---- */

/* Answers with the head of a message of `length` bytes in `buffer`, which it takes over. */
static ssize_t take_packet(struct reading *reading, char *buffer, size_t length)
{
    size_t size = reading->size;
    if (ipcfs_is_piece(reading->fs, size) && length >= size)
        size--;
    reading->answer = buffer;
    return (ssize_t)(length < size ? length : size);
}

static ssize_t take_message(struct reading *reading, char *buffer, size_t length)
{
    struct messages *messages = reading->handle->messages;
    if (length <= reading->size) {
        drop_answer(reading);
        reading->answer = buffer;
        messages->end_due = length > 0; /* of an empty message the end is all there is */
        return (ssize_t)length;
    }
    set_rest(messages, buffer, 0, length);
    return (ssize_t)continue_rest(messages, reading->answer, reading->size);
}

/* What an earlier read left. */
static ssize_t read_rest(struct reading *reading)
{
    struct messages *messages = reading->handle->messages;
    if (messages->end_due) {
        messages->end_due = false;
        return 0;
    }
    reading->answer = malloc(reading->size);
    if (!reading->answer)
        return -ENOMEM;
    size_t count = continue_rest(messages, reading->answer, reading->size);
    messages->end_due = !messages->rest.data && messages->style == MESSAGE_PLAIN;
    return (ssize_t)count;
}

static ssize_t take_plain(struct reading *reading, char *buffer, size_t length)
{
    return is_packet(reading) ? take_packet(reading, buffer, length) : take_message(reading, buffer, length);
}

static ssize_t read_plain(struct reading *reading, struct ipcfs_wait *wait)
{
    char *buffer = NULL;
    ssize_t length = receive(reading, wait, &buffer);
    return length < 0 ? length : take_plain(reading, buffer, (size_t)length);
}

/* ---- MESSAGE_LINES ---- */

/* Whether a message of any length would fit behind `used` bytes. Only then another is taken: a message is to wait in the
 * queue, where everybody can have it, and not in a handle. */
static bool has_room(const struct reading *reading, size_t used)
{
    size_t room = reading->handle->node.kin.backend->message_room(reading->handle->file);
    return reading->size - used > room;
}

/* As many messages as fit, after `used` bytes. A sender that keeps up gets a moment to send more. */
static ssize_t read_more_lines(struct reading *reading, size_t used)
{
    struct handle *handle = reading->handle;
    const struct ipcfs_backend *backend = handle->node.kin.backend;
    unsigned looks = LOOKS;
    while (has_room(reading, used)) {
        struct ipcfs_wait wait = {0};
        ssize_t length = backend->try_read(handle->file, reading->answer + used, reading->size - used - 1, 0,
                                           reading->flags, &wait);
        if (length == -EAGAIN && looks) {
            looks--;
            messages_leave_alone();
            continue;
        }
        if (length < 0)
            break; /* the next read will meet it */
        looks = LOOKS;
        used += (size_t)length;
        reading->answer[used++] = '\n';
    }
    return (ssize_t)used;
}

/* Answers with a first message, whose buffer it takes over, and with what else there is. */
static ssize_t take_line(struct reading *reading, char *buffer, size_t length)
{
    struct messages *messages = reading->handle->messages;
    buffer[length] = '\n';
    set_rest(messages, buffer, 0, length + 1);
    return read_more_lines(reading, continue_rest(messages, reading->answer, reading->size));
}

static ssize_t read_lines(struct reading *reading, struct ipcfs_wait *wait)
{
    char *buffer = NULL;
    ssize_t length = receive(reading, wait, &buffer);
    return length < 0 ? length : take_line(reading, buffer, (size_t)length);
}

/* ---- the waiter ---- */

static bool is_due(const struct waiter *waiter)
{
    const struct reading *reading = (const struct reading *)waiter;
    const struct messages *messages = reading->handle->messages;
    return messages->rest.data || (messages->end_due && !is_packet(reading));
}

/* A packet reader, where the mode was changed amid a message, gets what is left of it, and no end. */
static ssize_t attempt(struct waiter *waiter, struct ipcfs_wait *wait)
{
    struct reading *reading = reading_of(waiter);
    struct messages *messages = reading->handle->messages;
    if (is_packet(reading))
        messages->end_due = false;
    if (is_due(waiter))
        return read_rest(reading);
    return messages->style == MESSAGE_LINES ? read_lines(reading, wait) : read_plain(reading, wait);
}

static ssize_t block(struct waiter *waiter)
{
    struct reading *reading = reading_of(waiter);
    struct ipcfs_wait wait = {.block = true};
    return receive(reading, &wait, &reading->buffer);
}

static ssize_t deliver(struct waiter *waiter, ssize_t blocked)
{
    struct reading *reading = reading_of(waiter);
    if (blocked < 0)
        return blocked;
    char *buffer = TAKE_PTR(reading->buffer);
    bool lines = reading->handle->messages->style == MESSAGE_LINES;
    return lines ? take_line(reading, buffer, (size_t)blocked) : take_plain(reading, buffer, (size_t)blocked);
}

static void answer(struct reading *reading, struct reply *reply, ssize_t result)
{
    if (result < 0)
        reply_error(reply, (int)result);
    else
        reply_buffer(reply, result ? reading->answer : NULL, (size_t)result);
    free_buffer(reading, reading->answer);
}

static void finish(struct waiter *waiter, ssize_t result)
{
    struct reading *reading = reading_of(waiter);
    park_end(&reading->parked);
    answer(reading, &reading->parked.reply, result);
    handle_put(&reading->fs->handles, reading->handle);
    free(reading);
}

static const struct waiter_ops reading_ops = {
    .attempt = attempt, .due = is_due, .block = block, .deliver = deliver, .finish = finish};

static void wait_to_read(struct reply *reply, const struct reading *reading)
{
    struct reading *parked = malloc(sizeof *parked);
    if (!parked) {
        reply_error(reply, -ENOMEM);
        return;
    }
    *parked = *reading;
    parked->scratch = NULL;
    handle_use(&parked->fs->handles, parked->handle);
    parked->parked.waiter.about = park_about(parked->handle, "read", false);
    park(&parked->parked, parked->handle->messages->readers, reply);
}

void messages_read(struct ipcfs *fs, struct reply *reply, struct handle *handle, size_t size, int flags)
{
    struct messages *messages = handle->messages;
    if (!messages->readers) {
        reply_error(reply, -EBADF);
        return;
    }
    bool patient = !(flags & O_NONBLOCK);
    char scratch[SCRATCH_SIZE];
    struct reading reading = {
        .parked.waiter = {.ops = &reading_ops,
                          .group = &messages->reading,
                          .owner = handle,
                          .uid = handle->uid},
        .fs = fs,
        .handle = handle,
        .size = size,
        .flags = flags,
        .scratch = scratch,
    };
    ssize_t result = wait_try(messages->readers, &reading.parked.waiter, !patient);
    if (result == -EAGAIN && patient)
        wait_to_read(reply, &reading);
    else
        answer(&reading, reply, result);
    if (result == -EAGAIN && !patient)
        poller_watch_again(&messages->poller, POLLIN | POLLRDNORM);
}
