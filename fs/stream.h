/* SPDX-License-Identifier: MIT */
/*
 * Streams: connections (IPCFS_VERB_CONNECTION), as open files.
 *
 * The node of such a file is fresh, so a second OPEN of it can only come by the descriptor itself (/dev/fd/N, which is
 * /proc/self/fd/N). It opens the same connection: a new handle, with an access mode of its own. So a shell half-closes:
 *
 *   exec 3<>sock/x/connect 4</dev/fd/3 3>&-
 *
 * leaves a reader only, and the other end learns that nothing more is sent. What the handles of a node share is a stream,
 * which is kept with the node (node_stream_get() and its kin). The file is the stream's, and closed with the last handle.
 *
 * Who wins.
 *
 * Connected or interrupted. try_connect() runs under the lock of the line in which the openers wait, so that fs/wait.c
 * says it: no connection is taken for an opener that is told EINTR. One that was taken for somebody who is gone when he is
 * told of it is closed again, as that of a process which dies after accept(2).
 *
 * Two who open a node at once have one stream: that which the node has first; the other file is closed unused. What
 * one of them waits for, all have: when it is connected for one, the others are due (struct wait_group).
 *
 * Read or interrupted. The bytes leave the connection in the same breath in which the reader leaves the line: who is told
 * EINTR has taken none, and they are there for the next. Readers are served in turn, each with what is there.
 *
 * Written or interrupted. A writer that has to wait keeps what is left to send, and its place: what was sent of it counts, and
 * is the answer, whatever ends the wait; an error is one only where nothing was sent. The next write(2) meets it again.
 *
 * Reading and writing never wait for each other: they have lines, and so locks, of their own.
 *
 * Closed. At RELEASE what waits by that handle alone ends with EBADF. When that was the last handle which could write, and
 * others remain, the other end is told (SHUT_WR), and likewise of the last which could read. Who is the last is
 * counted under the node table's lock; the call comes after, while the handle still counts, so that the file is there. A
 * handle counts from the beginning of its OPEN until nobody uses it: as long as the kernel has not had its answer, its
 * direction stays open. An OPEN that comes after has a handle for a direction that is over, as after shutdown(2).
 * What is not connected has nobody to tell. Nor is anybody told of a direction for which it was never opened: somebody
 * may open it yet.
 *
 * Closed or opened again. The last handle takes the stream from the node in the step in which it counts itself off. An OPEN
 * that comes before has the stream, and keeps it; one that comes after finds none, and makes a new connection, as by the
 * name.
 */
#ifndef IPCFS_FS_STREAM_H
#define IPCFS_FS_STREAM_H

#include "poller.h"
#include "wait.h"

#include <stdatomic.h>

struct fuse_file_info;
struct handle;
struct ipcfs;
struct reply;

/* Directions: bits. */
enum { STREAM_READS = 1, STREAM_WRITES = 2 };

struct stream {
    struct ipcfs_file *file;   /* owned */
    struct wait_line *openers; /* counted; guards what follows: who waits until it is connected */
    struct wait_group opening;
    bool connected; /* for good */

    /* Counted. They are there before it is connected: then nothing is left that could fail, and no connection is lost. */
    struct wait_line *readers;
    struct wait_line *writers;

    /* Guarded by the node table's lock (fs/node.h). */
    unsigned handles;
    unsigned reading; /* of these: open for reading */
    unsigned writing;
};

/* What a handle has of a stream. */
struct stream_use {
    struct stream *stream; /* counted in the node; NULL: not yet */
    unsigned directions;
    atomic_bool ready;         /* it is connected, and there is what follows */
    struct wait_line *readers; /* the stream's. NULL: not open for reading */
    struct wait_line *writers;
    struct poller poller;
};

/* Gives the handle, which has its node, what it needs, but no stream yet. `flags` are those of the open. 0 or −ENOMEM. */
int stream_use_new(struct ipcfs *fs, struct handle *handle, int flags);
/* A stream of the handle's file, which it takes over, for the handle's node. 0 or −ENOMEM. */
int stream_new(struct ipcfs *fs, struct handle *handle, struct stream **out);
/* Of one that no handle counts. */
void stream_free(const struct ipcfs_backend *backend, struct stream *stream);

/* It is connected: from here on the handle can be read, written and polled. */
void stream_ready(struct handle *handle);
/* Whether it is. */
bool stream_is_ready(const struct handle *handle);
/* At RELEASE: ends what waits by the handle with −EBADF. */
void stream_end(struct handle *handle);
/* Of a handle that nobody uses any more: tells the other end what is over, closes what nobody has. Harmless on others. */
void stream_leave(struct handle *handle);

/* Each answers the request, now or later. `flags` are the descriptor's status flags of this moment. */
void stream_read(struct ipcfs *fs, struct reply *reply, struct handle *handle, size_t size, int flags);
void stream_write(struct ipcfs *fs, struct reply *reply, struct handle *handle, const char *data, size_t size,
                  int flags);

#endif
