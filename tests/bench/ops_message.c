/* SPDX-License-Identifier: MIT */
/*
 * The operations on messages. The path of a way is a list of endpoints, separated by commas:
 *
 *   send, receive, send-receive, send-open, echo, write-lines, read-lines
 *                                                             FILE-OR-QUEUE,QUEUE    the queue behind it, natively
 *   ping-pong                                                 THERE,BACK[,THERE,BACK]   the second two are the peer's
 */
#include "talk.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* ---- one message ---- */

/* What is beside the timed part; where no message went to the queue, or will be taken from it, as many natively. */
static int aside(struct way *way, uint64_t sends, uint64_t receives)
{
    double start = now_us();
    int rc = talk_send(way, way->talk->queue, sends);
    if (rc == 0)
        rc = talk_receive(way, way->talk->queue, receives);
    way->paused_us += now_us() - start;
    return rc;
}

/* As many at a time as the queue holds. */
static uint64_t next_chunk(const struct talk *talk, uint64_t left)
{
    return left < talk->capacity ? left : talk->capacity;
}

static int prepare_send(struct way *way)
{
    return talk_prepare(way, 2) == -1 ? -1 : talk_open_both(way, O_WRONLY);
}

static int run_send(struct way *way, uint64_t n)
{
    struct talk *talk = way->talk;
    while (n > 0) {
        uint64_t chunk = next_chunk(talk, n);
        if (talk_send(way, talk->self, chunk) == -1 || aside(way, talk->self->null ? chunk : 0, chunk) == -1)
            return -1;
        n -= chunk;
    }
    return 0;
}

static int prepare_receive(struct way *way)
{
    return talk_prepare(way, 2) == -1 ? -1 : talk_open_both(way, O_RDONLY);
}

static int run_receive(struct way *way, uint64_t n)
{
    struct talk *talk = way->talk;
    while (n > 0) {
        uint64_t chunk = next_chunk(talk, n);
        if (aside(way, chunk, 0) == -1 || talk_receive(way, talk->self, chunk) == -1 ||
            aside(way, 0, talk->self->null ? chunk : 0) == -1)
            return -1;
        n -= chunk;
    }
    return 0;
}

static int prepare_both(struct way *way)
{
    return talk_prepare(way, 2) == -1 ? -1 : talk_open_both(way, O_RDWR);
}

static int run_send_receive(struct way *way, uint64_t n)
{
    const struct endpoint *self = way->talk->self;
    for (uint64_t i = 0; i < n; i++)
        if (talk_send(way, self, 1) == -1 || talk_receive(way, self, 1) == -1)
            return -1;
    return 0;
}

static int prepare_open(struct way *way)
{
    return talk_prepare(way, 2) == -1 ? -1 : talk_open_both(way, -1);
}

static int send_once(struct way *way, int flags)
{
    struct endpoint *end = way->talk->self;
    if (talk_open(way, end, flags) == -1)
        return -1;
    int rc = talk_send(way, end, 1);
    endpoint_close(end);
    return rc;
}

static int run_opens(struct way *way, uint64_t n, int flags)
{
    struct talk *talk = way->talk;
    while (n > 0) {
        uint64_t chunk = next_chunk(talk, n);
        for (uint64_t i = 0; i < chunk; i++)
            if (send_once(way, flags) == -1)
                return -1;
        if (aside(way, talk->self->null ? chunk : 0, chunk) == -1)
            return -1;
        n -= chunk;
    }
    return 0;
}

static int run_send_open(struct way *way, uint64_t n)
{
    return run_opens(way, n, O_WRONLY);
}

static int run_echo(struct way *way, uint64_t n)
{
    return run_opens(way, n, O_WRONLY | O_CREAT | O_TRUNC);
}

/* ---- lines ---- */

static int drain(struct way *way, uint64_t n)
{
    return talk_receive(way, way->talk->queue, n);
}

static int feed(struct way *way, uint64_t n)
{
    return talk_send(way, way->talk->queue, n);
}

static void fill_lines(struct talk *talk, size_t size)
{
    talk->line_size = size + 1;
    memset(talk->lines, 'x', sizeof talk->lines);
    for (size_t at = size; at < sizeof talk->lines; at += talk->line_size)
        talk->lines[at] = '\n';
}

static int prepare_lines(struct way *way, int flags, peer_job *job)
{
    if (talk_prepare(way, 2) == -1 || talk_open_both(way, flags) == -1)
        return -1;
    fill_lines(way->talk, way->size);
    return peer_start(way, &way->talk->peer, job);
}

static int prepare_write_lines(struct way *way)
{
    return prepare_lines(way, O_WRONLY, drain);
}

static int prepare_read_lines(struct way *way)
{
    return prepare_lines(way, O_RDONLY, feed);
}

static int write_all(struct way *way, size_t size)
{
    struct talk *talk = way->talk;
    for (size_t at = 0; at < size;) {
        ssize_t put = write(talk->self->id, talk->lines + at, size - at);
        if (put <= 0)
            return way_failed(way, "write");
        at += (size_t)put;
    }
    return 0;
}

static int write_lines(struct way *way, uint64_t n)
{
    struct talk *talk = way->talk;
    uint64_t most = LINES_SIZE / talk->line_size;
    while (n > 0) {
        uint64_t count = n < most ? n : most;
        if (write_all(way, count * talk->line_size) == -1)
            return -1;
        n -= count;
    }
    return 0;
}

static int read_lines(struct way *way, uint64_t n)
{
    struct talk *talk = way->talk;
    size_t left = n * talk->line_size;
    while (left > 0) {
        ssize_t got = read(talk->self->id, talk->lines, LINES_SIZE);
        if (got == -1)
            return way_failed(way, "read");
        if (got == 0 || (size_t)got > left)
            return way_wrong(way, "read: not the lines that were sent");
        left -= (size_t)got;
    }
    return 0;
}

static int run_write_lines(struct way *way, uint64_t n)
{
    struct talk *talk = way->talk;
    if (peer_begin(way, &talk->peer, n) == -1)
        return -1;
    int rc = talk->self->type == ENDPOINT_FILE ? write_lines(way, n) : talk_send(way, talk->self, n);
    return rc == -1 ? -1 : peer_wait(way, &talk->peer);
}

static int run_read_lines(struct way *way, uint64_t n)
{
    struct talk *talk = way->talk;
    if (peer_begin(way, &talk->peer, n) == -1)
        return -1;
    int rc = talk->self->type == ENDPOINT_FILE ? read_lines(way, n) : talk_receive(way, talk->self, n);
    return rc == -1 ? -1 : peer_wait(way, &talk->peer);
}

/* ---- ping-pong ---- */

static int pong(struct way *way, uint64_t n)
{
    struct talk *talk = way->talk;
    const struct endpoint *there = &talk->ends[talk->count - 2];
    const struct endpoint *back = &talk->ends[talk->count - 1];
    for (uint64_t i = 0; i < n; i++)
        if (talk_receive(way, there, 1) == -1 || talk_send(way, back, 1) == -1)
            return -1;
    return 0;
}

/* Those natively at the far end come last, and make the queues. */
static int prepare_ping_pong(struct way *way)
{
    if (talk_prepare(way, 2) == -1)
        return -1;
    struct talk *talk = way->talk;
    for (unsigned i = talk->count; i-- > 0;)
        if (talk_open(way, &talk->ends[i], O_RDWR) == -1)
            return -1;
    return peer_start(way, &talk->peer, pong);
}

static int run_ping_pong(struct way *way, uint64_t n)
{
    struct talk *talk = way->talk;
    if (peer_begin(way, &talk->peer, n) == -1)
        return -1;
    for (uint64_t i = 0; i < n; i++)
        if (talk_send(way, &talk->ends[0], 1) == -1 || talk_receive(way, &talk->ends[1], 1) == -1)
            return -1;
    return peer_wait(way, &talk->peer);
}

const struct op message_ops[] = {
    {.name = "send",
     .help = "send a message of SIZE bytes",
     .takes_size = 1,
     .prepare = prepare_send,
     .run = run_send,
     .finish = talk_finish},
    {.name = "receive",
     .help = "receive a message of SIZE bytes",
     .takes_size = 1,
     .prepare = prepare_receive,
     .run = run_receive,
     .finish = talk_finish},
    {.name = "send-receive",
     .help = "send a message of SIZE bytes, and receive it",
     .takes_size = 1,
     .prepare = prepare_both,
     .run = run_send_receive,
     .finish = talk_finish},
    {.name = "send-open",
     .help = "open, send a message, close",
     .takes_size = 1,
     .prepare = prepare_open,
     .run = run_send_open,
     .finish = talk_finish},
    {.name = "echo",
     .help = "open as the shell's > does, send a message, close",
     .takes_size = 1,
     .prepare = prepare_open,
     .run = run_echo,
     .finish = talk_finish},
    {.name = "write-lines",
     .help = "send a line, 64 KiB of them per write, to another process",
     .takes_size = 1,
     .prepare = prepare_write_lines,
     .run = run_write_lines,
     .finish = talk_finish},
    {.name = "read-lines",
     .help = "receive a line, 64 KiB of room per read, from another process",
     .takes_size = 1,
     .prepare = prepare_read_lines,
     .run = run_read_lines,
     .finish = talk_finish},
    {.name = "ping-pong",
     .help = "a message to another process and one back",
     .takes_size = 1,
     .prepare = prepare_ping_pong,
     .run = run_ping_pong,
     .finish = talk_finish},
    {0},
};
