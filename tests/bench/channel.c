/* SPDX-License-Identifier: MIT */
#include "channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- text ---- */

static const struct {
    const char *prefix;
    enum channel_type type;
} forms[] = {
    {"fifo:", CHANNEL_FIFO},         {"pair:", CHANNEL_PAIR},     {"unix:", CHANNEL_UNIX},
    {"listener:", CHANNEL_LISTENER}, {"socket:", CHANNEL_SOCKET}, {"files:", CHANNEL_FILES},
};

/* What is behind the prefix, or NULL. */
static const char *parse_type(struct channel *channel, const char *text)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        size_t length = strlen(forms[i].prefix);
        if (strncmp(text, forms[i].prefix, length) != 0)
            continue;
        channel->type = forms[i].type;
        return text + length;
    }
    return NULL;
}

static int split(struct channel *channel, const char *text)
{
    const char *comma = strchr(text, ',');
    channel->there = comma ? strndup(text, (size_t)(comma - text)) : strdup(text);
    channel->back = comma ? strdup(comma + 1) : NULL;
    return !channel->there || (comma && !channel->back) ? -1 : 0;
}

static int name_files(struct channel *channel, const char *directory)
{
    if (asprintf(&channel->there, "%s/accept", directory) == -1)
        channel->there = NULL;
    if (asprintf(&channel->back, "%s/connect", directory) == -1)
        channel->back = NULL;
    return channel->there && channel->back ? 0 : -1;
}

static int set_address(struct channel *channel, const char *path, char separator, const char *rest)
{
    channel->address.sun_family = AF_UNIX;
    size_t room = sizeof channel->address.sun_path;
    int length = snprintf(channel->address.sun_path, room, "%s%c%s", path, separator, rest);
    if (length >= 0 && (size_t)length < room)
        return 0;
    errno = ENAMETOOLONG;
    return -1;
}

static int bind_listener(struct channel *channel)
{
    channel->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (channel->listener == -1)
        return -1;
    if (bind(channel->listener, (const struct sockaddr *)&channel->address, sizeof channel->address) == -1)
        return -1;
    return listen(channel->listener, SOMAXCONN);
}

int channel_parse(struct channel *channel, const char *text, const char *name)
{
    *channel = (struct channel){.listener = -1, .client = CHANNEL_END_CLOSED, .server = CHANNEL_END_CLOSED};
    const char *rest = parse_type(channel, text);
    if (!rest) {
        errno = EINVAL;
        return -1;
    }
    switch (channel->type) {
    case CHANNEL_UNIX:
        return set_address(channel, rest, '.', name) == -1 ? -1 : bind_listener(channel);
    case CHANNEL_SOCKET:
        return set_address(channel, rest, '/', "socket") == -1 ? -1 : name_files(channel, rest);
    case CHANNEL_LISTENER:
        return name_files(channel, rest);
    default:
        return split(channel, rest);
    }
}

/* ---- open and close ---- */

static int both_ways(struct channel_end *end, int fd)
{
    *end = (struct channel_end){.in = fd, .out = fd};
    return fd == -1 ? -1 : 0;
}

static int open_file(const char *path, int flags)
{
    return open(path, flags | O_CLOEXEC);
}

void channel_end_close(struct channel_end *end)
{
    if (end->in != -1)
        close(end->in);
    if (end->out != -1 && end->out != end->in)
        close(end->out);
    *end = CHANNEL_END_CLOSED;
}

static int open_files(struct channel_end *end, const char *out, const char *in)
{
    if (!out || !in)
        return both_ways(end, open_file(out ? out : in, O_RDWR));
    *end = (struct channel_end){.in = open_file(in, O_RDWR), .out = open_file(out, O_RDWR)};
    return end->in == -1 || end->out == -1 ? -1 : 0;
}

static int connect_natively(const struct channel *channel, struct channel_end *client)
{
    if (both_ways(client, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1)
        return -1;
    return connect(client->out, (const struct sockaddr *)&channel->address, sizeof channel->address);
}

int channel_connect(const struct channel *channel, struct channel_end *client)
{
    switch (channel->type) {
    case CHANNEL_UNIX:
    case CHANNEL_SOCKET:
        return connect_natively(channel, client);
    case CHANNEL_LISTENER:
        return both_ways(client, open_file(channel->back, O_RDWR));
    case CHANNEL_FILES:
        return open_files(client, channel->there, channel->back);
    default:
        errno = EINVAL;
        return -1;
    }
}

int channel_accept(const struct channel *channel, struct channel_end *server)
{
    switch (channel->type) {
    case CHANNEL_UNIX:
        return both_ways(server, accept(channel->listener, NULL, NULL));
    case CHANNEL_LISTENER:
    case CHANNEL_SOCKET:
        return both_ways(server, open_file(channel->there, O_RDWR));
    case CHANNEL_FILES:
        return open_files(server, channel->back, channel->there);
    default:
        errno = EINVAL;
        return -1;
    }
}

/* Who reads comes first: without him nobody could open it for writing and not wait (fifo(7)). */
static int join_fifos(struct channel *channel)
{
    if (!channel->back) {
        errno = EINVAL;
        return -1;
    }
    channel->client.in = open_file(channel->back, O_RDONLY | O_NONBLOCK);
    channel->server.in = open_file(channel->there, O_RDONLY | O_NONBLOCK);
    if (channel->client.in == -1 || channel->server.in == -1)
        return -1;
    channel->client.out = open_file(channel->there, O_WRONLY);
    channel->server.out = open_file(channel->back, O_WRONLY);
    if (channel->client.out == -1 || channel->server.out == -1)
        return -1;
    return fcntl(channel->client.in, F_SETFL, 0) == -1 || fcntl(channel->server.in, F_SETFL, 0) == -1 ? -1
                                                                                                      : 0;
}

static int join_pair(struct channel *channel)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
        return -1;
    (void)both_ways(&channel->client, pair[0]);
    return both_ways(&channel->server, pair[1]);
}

int channel_join(struct channel *channel)
{
    switch (channel->type) {
    case CHANNEL_FIFO:
        return join_fifos(channel);
    case CHANNEL_PAIR:
        return join_pair(channel);
    default:
        if (channel_connect(channel, &channel->client) == -1)
            return -1;
        return channel_accept(channel, &channel->server);
    }
}

void channel_free(struct channel *channel)
{
    channel_end_close(&channel->client);
    channel_end_close(&channel->server);
    if (channel->listener != -1) {
        (void)unlink(channel->address.sun_path);
        close(channel->listener);
    }
    free(channel->there);
    free(channel->back);
    *channel = (struct channel){.listener = -1, .client = CHANNEL_END_CLOSED, .server = CHANNEL_END_CLOSED};
}
