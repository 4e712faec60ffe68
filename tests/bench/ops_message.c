/* SPDX-License-Identifier: MIT */
/*
 * The operations on messages. The path of a way is a list of endpoints, separated by commas:
 *
 *   send, receive, send-open, echo, write-lines, read-lines   FILE-OR-QUEUE,QUEUE    the queue behind it, natively
 *   ping-pong                                                 THERE,BACK[,THERE,BACK]   the second two are the peer's
 */
#include "endpoint.h"
#include "ops.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ENDS_MAX 4
#define LINES_SIZE 65536 /* bytes per write or read of lines */

struct talk {
    struct endpoint ends[ENDS_MAX];
    unsigned count;
    struct endpoint *self;  /* what is timed */
    struct endpoint *queue; /* what is behind it */
    struct envelope envelope;
    uint64_t capacity; /* messages the queue holds */
    size_t line_size;
    char lines[LINES_SIZE];
    pid_t peer;  /* 0: none */
    int go_fd;   /* tells the peer how many messages it is about */
    int done_fd; /* the peer is through with them */
};

/* ---- life ---- */

static int parse_ends(struct way *way)
{
    struct talk *talk = way->talk;
    char *copy = strdup(way->path);
    char *rest = copy;
    char *text;
    if (!copy)
        return way_failed(way, "memory");
    int rc = 0;
    while (rc == 0 && talk->count < ENDS_MAX && (text = strsep(&rest, ",")))
        rc = endpoint_parse(&talk->ends[talk->count++], text);
    free(copy);
    return rc == 0 ? 0 : way_failed(way, "memory");
}

static int prepare_talk(struct way *way, unsigned ends)
{
    if (way->size > MESSAGE_MAX)
        return way_wrong(way, "too large for a message");
    struct talk *talk = way->talk = calloc(1, sizeof *talk);
    if (!talk)
        return way_failed(way, "memory");
    talk->go_fd = talk->done_fd = -1;
    talk->envelope.type = 1;
    memset(talk->envelope.text, 'x', sizeof talk->envelope.text);
    if (parse_ends(way) == -1)
        return -1;
    if (talk->count < ends)
        return way_wrong(way, "too few endpoints");
    talk->self = &talk->ends[0];
    talk->queue = &talk->ends[1];
    return 0;
}

static int open_end(struct way *way, struct endpoint *end, int flags)
{
    if (endpoint_open(end, flags) == 0)
        return 0;
    return way_failed(way, end->name);
}

/* The queue first: it makes what the other then finds. */
static int open_both(struct way *way, int flags)
{
    struct talk *talk = way->talk;
    if (open_end(way, talk->queue, O_RDWR) == -1)
        return -1;
    int capacity = endpoint_capacity(talk->queue, way->size);
    if (capacity <= 0)
        return way_failed(way, "capacity");
    talk->capacity = (uint64_t)capacity;
    return flags == -1 ? 0 : open_end(way, talk->self, flags);
}

static void end_peer(struct talk *talk)
{
    if (talk->go_fd != -1)
        close(talk->go_fd);
    if (talk->done_fd != -1)
        close(talk->done_fd);
    if (!talk->peer)
        return;
    kill(talk->peer, SIGKILL);
    waitpid(talk->peer, NULL, 0);
}

static void finish_talk(struct way *way)
{
    struct talk *talk = way->talk;
    if (!talk)
        return;
    end_peer(talk);
    for (unsigned i = 0; i < talk->count; i++)
        endpoint_free(&talk->ends[i]);
    free(talk);
    way->talk = NULL;
}

/* ---- one message ---- */

static int send_some(struct way *way, const struct endpoint *end, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        if (endpoint_send(end, &way->talk->envelope, way->size) == -1)
            return way_failed(way, "send");
    return 0;
}

static int receive_some(struct way *way, const struct endpoint *end, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        if (endpoint_receive(end, &way->talk->envelope, way->size) == -1)
            return way_failed(way, "receive");
    return 0;
}

/* What is beside the timed part; where no message went to the queue, or will be taken from it, as many natively. */
static int aside(struct way *way, uint64_t sends, uint64_t receives)
{
    double start = now_us();
    int rc = send_some(way, way->talk->queue, sends);
    if (rc == 0)
        rc = receive_some(way, way->talk->queue, receives);
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
    return prepare_talk(way, 2) == -1 ? -1 : open_both(way, O_WRONLY);
}

static int run_send(struct way *way, uint64_t n)
{
    struct talk *talk = way->talk;
    while (n > 0) {
        uint64_t chunk = next_chunk(talk, n);
        if (send_some(way, talk->self, chunk) == -1 || aside(way, talk->self->null ? chunk : 0, chunk) == -1)
            return -1;
        n -= chunk;
    }
    return 0;
}

static int prepare_receive(struct way *way)
{
    return prepare_talk(way, 2) == -1 ? -1 : open_both(way, O_RDONLY);
}

static int run_receive(struct way *way, uint64_t n)
{
    struct talk *talk = way->talk;
    while (n > 0) {
        uint64_t chunk = next_chunk(talk, n);
        if (aside(way, chunk, 0) == -1 || receive_some(way, talk->self, chunk) == -1 ||
            aside(way, 0, talk->self->null ? chunk : 0) == -1)
            return -1;
        n -= chunk;
    }
    return 0;
}

static int prepare_open(struct way *way)
{
    return prepare_talk(way, 2) == -1 ? -1 : open_both(way, -1);
}

static int send_once(struct way *way, int flags)
{
    struct endpoint *end = way->talk->self;
    if (open_end(way, end, flags) == -1)
        return -1;
    int rc = send_some(way, end, 1);
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

/* ---- a peer: another process, at the other end ---- */

/* What the peer does for n messages. */
typedef int peer_job(struct way *way, uint64_t n);

static _Noreturn void be_peer(struct way *way, peer_job *job, int go_fd, int done_fd)
{
    uint64_t n;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (read(go_fd, &n, sizeof n) == sizeof n) {
        if (job(way, n) == -1) {
            fprintf(stderr, "bench: %s: the peer: %s\n", way->name, way->why);
            _exit(1);
        }
        if (write(done_fd, "", 1) != 1)
            break;
    }
    _exit(0);
}

static int start_peer(struct way *way, peer_job *job)
{
    struct talk *talk = way->talk;
    int go[2];
    int done[2];
    if (pipe2(go, O_CLOEXEC) == -1)
        return way_failed(way, "pipe");
    talk->go_fd = go[1];
    if (pipe2(done, O_CLOEXEC) == -1) {
        close(go[0]);
        return way_failed(way, "pipe");
    }
    talk->done_fd = done[0];
    pid_t pid = fork();
    if (pid == 0) {
        close(go[1]);
        close(done[0]);
        be_peer(way, job, go[0], done[1]);
    }
    close(go[0]);
    close(done[1]);
    talk->peer = pid == -1 ? 0 : pid;
    return pid == -1 ? way_failed(way, "fork") : 0;
}

static int peer_begin(struct way *way, uint64_t n)
{
    return write(way->talk->go_fd, &n, sizeof n) == sizeof n ? 0 : way_failed(way, "the peer is gone");
}

static int peer_wait(struct way *way)
{
    char done;
    return read(way->talk->done_fd, &done, 1) == 1 ? 0 : way_wrong(way, "the peer has ended");
}

/* ---- lines ---- */

static int drain(struct way *way, uint64_t n)
{
    return receive_some(way, way->talk->queue, n);
}

static int feed(struct way *way, uint64_t n)
{
    return send_some(way, way->talk->queue, n);
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
    if (prepare_talk(way, 2) == -1 || open_both(way, flags) == -1)
        return -1;
    fill_lines(way->talk, way->size);
    return start_peer(way, job);
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
    if (peer_begin(way, n) == -1)
        return -1;
    int rc = talk->self->type == ENDPOINT_FILE ? write_lines(way, n) : send_some(way, talk->self, n);
    return rc == -1 ? -1 : peer_wait(way);
}

static int run_read_lines(struct way *way, uint64_t n)
{
    struct talk *talk = way->talk;
    if (peer_begin(way, n) == -1)
        return -1;
    int rc = talk->self->type == ENDPOINT_FILE ? read_lines(way, n) : receive_some(way, talk->self, n);
    return rc == -1 ? -1 : peer_wait(way);
}

/* ---- ping-pong ---- */

static int pong(struct way *way, uint64_t n)
{
    struct talk *talk = way->talk;
    const struct endpoint *there = &talk->ends[talk->count - 2];
    const struct endpoint *back = &talk->ends[talk->count - 1];
    for (uint64_t i = 0; i < n; i++)
        if (receive_some(way, there, 1) == -1 || send_some(way, back, 1) == -1)
            return -1;
    return 0;
}

/* Those natively at the far end come last, and make the queues. */
static int prepare_ping_pong(struct way *way)
{
    if (prepare_talk(way, 2) == -1)
        return -1;
    struct talk *talk = way->talk;
    for (unsigned i = talk->count; i-- > 0;)
        if (open_end(way, &talk->ends[i], O_RDWR) == -1)
            return -1;
    return start_peer(way, pong);
}

static int run_ping_pong(struct way *way, uint64_t n)
{
    struct talk *talk = way->talk;
    if (peer_begin(way, n) == -1)
        return -1;
    for (uint64_t i = 0; i < n; i++)
        if (send_some(way, &talk->ends[0], 1) == -1 || receive_some(way, &talk->ends[1], 1) == -1)
            return -1;
    return peer_wait(way);
}

const struct op message_ops[] = {
    {.name = "send",
     .help = "send a message of SIZE bytes",
     .takes_size = 1,
     .prepare = prepare_send,
     .run = run_send,
     .finish = finish_talk},
    {.name = "receive",
     .help = "receive a message of SIZE bytes",
     .takes_size = 1,
     .prepare = prepare_receive,
     .run = run_receive,
     .finish = finish_talk},
    {.name = "send-open",
     .help = "open, send a message, close",
     .takes_size = 1,
     .prepare = prepare_open,
     .run = run_send_open,
     .finish = finish_talk},
    {.name = "echo",
     .help = "open as the shell's > does, send a message, close",
     .takes_size = 1,
     .prepare = prepare_open,
     .run = run_echo,
     .finish = finish_talk},
    {.name = "write-lines",
     .help = "send a line, 64 KiB of them per write, to another process",
     .takes_size = 1,
     .prepare = prepare_write_lines,
     .run = run_write_lines,
     .finish = finish_talk},
    {.name = "read-lines",
     .help = "receive a line, 64 KiB of room per read, from another process",
     .takes_size = 1,
     .prepare = prepare_read_lines,
     .run = run_read_lines,
     .finish = finish_talk},
    {.name = "ping-pong",
     .help = "a message to another process and one back",
     .takes_size = 1,
     .prepare = prepare_ping_pong,
     .run = run_ping_pong,
     .finish = finish_talk},
    {0},
};
