/* SPDX-License-Identifier: MIT */
/*
 * Bytes both ways between a client and a server. As text:
 *
 *   fifo:THERE,BACK        two named pipes, which are there
 *   pair:                  socketpair(2)
 *   unix:PATH              a stream socket, bound to PATH.NAME (of the way, so that each has its own) and removed at the end
 *   listener:DIR           the server opens DIR/accept, the client DIR/connect
 *   socket:DIR             the server opens DIR/accept, the client is native: it connects to DIR/socket
 *   files:THERE[,BACK]     files that take everything, or hold one message; without BACK both ends do all with one
 */
#ifndef BENCH_CHANNEL_H
#define BENCH_CHANNEL_H

#include <sys/un.h>

enum channel_type {
    CHANNEL_FIFO,
    CHANNEL_PAIR,
    CHANNEL_UNIX,
    CHANNEL_LISTENER,
    CHANNEL_SOCKET,
    CHANNEL_FILES
};

/* The same descriptor, or one for each direction; −1: not open. */
struct channel_end {
    int in;
    int out;
};

#define CHANNEL_END_CLOSED ((struct channel_end){-1, -1})

struct channel {
    enum channel_type type;
    char *there;                /* owned: of two the first, of a directory the server's; NULL: none */
    char *back;                 /* owned: of two the second, of a directory the client's; NULL: none */
    struct sockaddr_un address; /* natively connected to */
    int listener;               /* −1: none, or not the bench's own */
    struct channel_end client;
    struct channel_end server;
};

/* All of these: 0, or −1 with errno. */

/* Parses, and makes what has to be there before anybody connects. `name` is that of the way. */
int channel_parse(struct channel *channel, const char *text, const char *name);
/* A client's end; of all but CHANNEL_FIFO and CHANNEL_PAIR, which have both ends at once. */
int channel_connect(const struct channel *channel, struct channel_end *client);
/* The end of the server for a client that has come, or comes. */
int channel_accept(const struct channel *channel, struct channel_end *server);
/* Both, into `client` and `server`. */
int channel_join(struct channel *channel);
void channel_end_close(struct channel_end *end);
/* Closes and removes all there is. */
void channel_free(struct channel *channel);

#endif
