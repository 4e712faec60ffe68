/* SPDX-License-Identifier: MIT */
#include "later.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FOREVER_MS = 20000, A_WHILE_MS = 30 };

/* Replies that came before the one that was asked for: threads answer in any order. */
static struct early {
    uint64_t unique; /* 0: free */
    int error;
    size_t size;
    char body[4096];
} early[64];

void later_reset(void)
{
    memset(early, 0, sizeof early);
}

uint64_t ask_later(void)
{
    struct fuse_buf buffer = {0};
    uint64_t unique = send_request();
    assert_true(fuse_session_receive_buf(wire.session, &buffer) > 0);
    fuse_session_process_buf(wire.session, &buffer);
    free(buffer.mem);
    return unique;
}

static struct early *early_of(uint64_t unique)
{
    for (size_t i = 0; i < ARRAY_LENGTH(early); i++)
        if (early[i].unique == unique)
            return &early[i];
    return NULL;
}

static void keep_reply(void)
{
    struct pollfd ready = {.fd = wire.peer, .events = POLLIN};
    struct fuse_out_header header = {0};
    struct answer answer;
    if (poll(&ready, 1, FOREVER_MS) != 1)
        fail_msg("no reply");
    assert_true(receive_reply(&header, &answer));
    wire.notifications += header.unique == 0;
    if (header.unique == 0)
        return;
    if (header.unique % 2)
        return; /* an interrupt that came too late: libfuse asks for it once more */
    struct early *reply = early_of(0);
    assert_true(reply && answer.size <= sizeof reply->body);
    *reply = (struct early){.unique = header.unique, .error = answer.error, .size = answer.size};
    if (answer.size)
        memcpy(reply->body, answer.data, answer.size);
}

ssize_t late_bytes(uint64_t unique, void *body, size_t room)
{
    struct early *reply = NULL;
    while (!(reply = early_of(unique)))
        keep_reply();
    reply->unique = 0;
    if (reply->error)
        return reply->error;
    assert_true(!body || reply->size <= room);
    if (body && reply->size)
        memcpy(body, reply->body, reply->size);
    return (ssize_t)reply->size;
}

int late_answer(uint64_t unique, void *body, size_t size)
{
    if (body)
        memset(body, 0, size);
    ssize_t count = late_bytes(unique, body, size);
    return count < 0 ? (int)count : 0;
}

void must_still_wait(void)
{
    struct pollfd ready = {.fd = wire.peer, .events = POLLIN};
    if (poll(&ready, 1, A_WHILE_MS) != 0)
        fail_msg("somebody was answered");
}

void interrupt(uint64_t unique)
{
    const struct fuse_interrupt_in in = {.unique = unique};
    wire.unique--; /* an odd number, as the kernel gives it */
    begin(FUSE_INTERRUPT, 0);
    add(&in, sizeof in);
    (void)ask_later();
    wire.unique++;
}

void await_parked(size_t count)
{
    struct wait_stats stats = {0};
    for (int i = 0; i < FOREVER_MS; i++) {
        wait_stats(wire.fs.waits, &stats);
        if (stats.parked == count)
            return;
        (void)usleep(1000);
    }
    fail_msg("%zu wait, not %zu", stats.parked, count);
}

void await_count(const atomic_int *count, int value)
{
    for (int i = 0; i < FOREVER_MS; i++) {
        if (*count == value)
            return;
        (void)usleep(1000);
    }
    fail_msg("there are %d, not %d", *count, value);
}

void await_handles(size_t count)
{
    for (int i = 0; i < FOREVER_MS && handles() != count; i++)
        (void)usleep(1000);
    assert_int_equal(handles(), count);
}

/* ---- open files ---- */

struct open_file must_open(const char *path, int flags)
{
    struct fuse_open_out out;
    struct open_file file = {.node = walk(path)};
    int error = do_open(file.node, flags, &out);
    if (error)
        fail_msg("%s: %s", path, strerror(-error));
    file.handle = out.fh;
    file.flags = out.open_flags;
    return file;
}

uint64_t open_later(uint64_t node, int flags)
{
    begin(FUSE_OPEN, node);
    add_open(flags);
    return ask_later();
}

struct open_file opened(uint64_t unique, uint64_t node)
{
    struct fuse_open_out out;
    int error = late_answer(unique, &out, sizeof out);
    if (error)
        fail_msg("an open that waited: %s", strerror(-error));
    return (struct open_file){.node = node, .handle = out.fh, .flags = out.open_flags};
}

int release_later(uint64_t node, uint64_t handle)
{
    const struct fuse_release_in in = {.fh = handle};
    begin(FUSE_RELEASE, node);
    add(&in, sizeof in);
    return late_answer(ask_later(), NULL, 0);
}

void must_close(const struct open_file *file)
{
    assert_int_equal(release_later(file->node, file->handle), 0);
}

int write_to(const struct open_file *file, const char *text)
{
    return do_write(file->node, file->handle, text, strlen(text), 4711, O_RDWR);
}

void must_read(const struct open_file *file, const char *expected)
{
    struct answer answer = do_read(file->node, file->handle, 4096, 0);
    assert_int_equal(answer.error, 0);
    if (answer.size != strlen(expected) || memcmp(answer.data, expected, answer.size) != 0)
        fail_msg("read \"%.*s\", expected \"%s\"", (int)answer.size, answer.data, expected);
}

void begin_write_of(const struct open_file *file, const void *data, size_t size, int flags)
{
    const struct fuse_write_in in = {.fh = file->handle, .size = (uint32_t)size, .flags = (uint32_t)flags};
    begin(FUSE_WRITE, file->node);
    add(&in, sizeof in);
    add(data, size);
}

void begin_write(const struct open_file *file, const char *text, int flags)
{
    begin_write_of(file, text, strlen(text), flags);
}

void begin_read_of(const struct open_file *file, size_t size, int flags)
{
    const struct fuse_read_in in = {.fh = file->handle,
                                    .size = (uint32_t)size,
                                    .read_flags = FUSE_READ_LOCKOWNER,
                                    .lock_owner = 99,
                                    .flags = (uint32_t)flags};
    begin(FUSE_READ, file->node);
    add(&in, sizeof in);
}

void begin_read(const struct open_file *file, int flags)
{
    begin_read_of(file, READ_SIZE, flags);
}

void must_have_said(const char *words)
{
    struct open_file file = must_open("ctl/last-error", O_RDONLY);
    struct answer answer = do_read(file.node, file.handle, 4096, 0);
    char text[4097];
    (void)snprintf(text, sizeof text, "%.*s", (int)answer.size, answer.data);
    if (answer.error || (*words ? !strstr(text, words) : *text != '\0'))
        fail_msg("last-error says \"%s\", not \"%s\"", text, words);
    must_close(&file);
}
