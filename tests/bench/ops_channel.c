/* SPDX-License-Identifier: MIT */
/* The operations on pipes and connections. The path of a way is a channel (channel.h). */
#include "channel.h"
#include "ops.h"
#include "peer.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum { CROWD = 100 };

struct line {
    struct channel channel;
    struct peer peer;
};

/* ---- life ---- */

static int prepare_line(struct way *way)
{
    struct line *line = way->line = calloc(1, sizeof *line);
    if (!line)
        return way_failed(way, "memory");
    line->peer = PEER_NONE;
    if (channel_parse(&line->channel, way->path, way->name) == -1)
        return way_failed(way, "channel");
    return io_buffer(way);
}

/* The server's end is the peer's alone: where it dies, the client is told. */
static int prepare_talk(struct way *way, peer_job *job)
{
    if (prepare_line(way) == -1)
        return -1;
    struct line *line = way->line;
    if (channel_join(&line->channel) == -1)
        return way_failed(way, "join");
    int rc = peer_start(way, &line->peer, job);
    channel_end_close(&line->channel.server);
    return rc;
}

static void finish_line(struct way *way)
{
    struct line *line = way->line;
    if (!line)
        return;
    peer_end(&line->peer);
    channel_free(&line->channel);
    free(line);
    way->line = NULL;
}

/* ---- bytes ---- */

static int put(struct way *way, const struct channel_end *end)
{
    for (size_t at = 0; at < way->size;) {
        ssize_t count = write(end->out, way->buf + at, way->size - at);
        if (count == -1)
            return way_failed(way, "write");
        at += (size_t)count;
    }
    return 0;
}

static int take(struct way *way, const struct channel_end *end, uint64_t size)
{
    while (size > 0) {
        ssize_t count = read(end->in, way->buf, size < way->size ? size : way->size);
        if (count == -1)
            return way_failed(way, "read");
        if (count == 0)
            return way_wrong(way, "read: the other end is closed");
        size -= (uint64_t)count;
    }
    return 0;
}

static int serve_echo(struct way *way, uint64_t n)
{
    const struct channel_end *server = &way->line->channel.server;
    for (uint64_t i = 0; i < n; i++)
        if (take(way, server, way->size) == -1 || put(way, server) == -1)
            return -1;
    return 0;
}

static int prepare_echo(struct way *way)
{
    return prepare_talk(way, serve_echo);
}

static int run_echo(struct way *way, uint64_t n)
{
    struct line *line = way->line;
    const struct channel_end *client = &line->channel.client;
    if (peer_begin(way, &line->peer, n) == -1)
        return -1;
    for (uint64_t i = 0; i < n; i++)
        if (put(way, client) == -1 || take(way, client, way->size) == -1)
            return -1;
    return peer_wait(way, &line->peer);
}

static int serve_drain(struct way *way, uint64_t n)
{
    return take(way, &way->line->channel.server, n * way->size);
}

static int prepare_stream(struct way *way)
{
    return prepare_talk(way, serve_drain);
}

static int run_stream(struct way *way, uint64_t n)
{
    struct line *line = way->line;
    if (peer_begin(way, &line->peer, n) == -1)
        return -1;
    for (uint64_t i = 0; i < n; i++)
        if (put(way, &line->channel.client) == -1)
            return -1;
    return peer_wait(way, &line->peer);
}

/* ---- connections ---- */

static int run_connect(struct way *way, uint64_t n)
{
    struct channel *channel = &way->line->channel;
    for (uint64_t i = 0; i < n; i++) {
        int rc = channel_join(channel);
        int err = errno;
        channel_end_close(&channel->client);
        channel_end_close(&channel->server);
        errno = err;
        if (rc == -1)
            return way_failed(way, "connect and accept");
    }
    return 0;
}

static int serve_visits(struct way *way, uint64_t n)
{
    struct channel *channel = &way->line->channel;
    for (uint64_t i = 0; i < n; i++) {
        if (channel_accept(channel, &channel->server) == -1)
            return way_failed(way, "accept");
        channel_end_close(&channel->server);
    }
    return 0;
}

static int prepare_visits(struct way *way)
{
    return prepare_line(way) == -1 ? -1 : peer_start(way, &way->line->peer, serve_visits);
}

/* Connects, and waits until the server has closed it. 0 or an errno. */
static int visit(const struct channel *channel)
{
    struct channel_end client = CHANNEL_END_CLOSED;
    char byte;
    int error = 0;
    ssize_t count = 0;
    if (channel_connect(channel, &client) == -1 || (count = read(client.in, &byte, 1)) == -1)
        error = errno;
    channel_end_close(&client);
    return count > 0 ? EPROTO : error;
}

static int run_visits(struct way *way, uint64_t n)
{
    struct line *line = way->line;
    if (peer_begin(way, &line->peer, n) == -1)
        return -1;
    for (uint64_t i = 0; i < n; i++)
        if ((errno = visit(&line->channel)) != 0)
            return way_failed(way, "connection");
    return peer_wait(way, &line->peer);
}

static void *visit_too(void *channel)
{
    return (void *)(intptr_t)visit(channel);
}

static int visit_at_once(struct way *way)
{
    pthread_t threads[CROWD];
    void *error = NULL;
    void *any_error = NULL;
    size_t started = 0;
    while (started < CROWD && !pthread_create(&threads[started], NULL, visit_too, &way->line->channel))
        started++;
    for (size_t i = 0; i < started; i++) {
        pthread_join(threads[i], &error);
        any_error = error ? error : any_error;
    }
    errno = (int)(intptr_t)any_error;
    if (any_error)
        return way_failed(way, "connection");
    return started == CROWD ? 0 : way_wrong(way, "threads");
}

static int serve_crowds(struct way *way, uint64_t n)
{
    return serve_visits(way, n * CROWD);
}

static int prepare_crowds(struct way *way)
{
    return prepare_line(way) == -1 ? -1 : peer_start(way, &way->line->peer, serve_crowds);
}

static int run_crowds(struct way *way, uint64_t n)
{
    struct line *line = way->line;
    if (peer_begin(way, &line->peer, n) == -1)
        return -1;
    for (uint64_t i = 0; i < n; i++)
        if (visit_at_once(way) == -1)
            return -1;
    return peer_wait(way, &line->peer);
}

const struct op channel_ops[] = {
    {.name = "channel-echo",
     .help = "SIZE bytes to another process and as many back",
     .takes_size = 1,
     .prepare = prepare_echo,
     .run = run_echo,
     .finish = finish_line},
    {.name = "channel-stream",
     .help = "write SIZE bytes, which another process reads",
     .takes_size = 1,
     .prepare = prepare_stream,
     .run = run_stream,
     .finish = finish_line},
    {.name = "channel-connect",
     .help = "connect, accept, close both ends, all in one process",
     .prepare = prepare_line,
     .run = run_connect,
     .finish = finish_line},
    {.name = "channel-visit",
     .help = "connect, wait until the server, another process, has accepted and closed, close",
     .prepare = prepare_visits,
     .run = run_visits,
     .finish = finish_line},
    {.name = "channel-crowd",
     .help = "as channel-visit, by 100 threads at once",
     .prepare = prepare_crowds,
     .run = run_crowds,
     .finish = finish_line},
    {0},
};
