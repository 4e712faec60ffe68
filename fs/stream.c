/* SPDX-License-Identifier: MIT */
/* The life of a stream, and of what its handles have of it. */
#include "stream.h"

#include "handle.h"
#include "ipcfs.h"
#include "ipcfs/cleanup.h"
#include "park.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

/* ---- what a handle has ---- */

/* What can be done with it now by this handle; `wait` is for the rest. */
static short possible(const struct handle *handle, struct ipcfs_wait *wait)
{
    const struct stream_use *use = handle->stream_use;
    int events = handle->node.kin.backend->poll(use->stream->file, wait);
    if (events < 0)
        return POLLERR;
    if (!use->readers)
        events &= ~(POLLIN | POLLRDNORM);
    if (!use->writers)
        events &= ~(POLLOUT | POLLWRNORM);
    return (short)events;
}

static unsigned directions_of(int flags)
{
    switch (flags & O_ACCMODE) {
    case O_RDONLY:
        return STREAM_READS;
    case O_WRONLY:
        return STREAM_WRITES;
    case O_RDWR:
        return STREAM_READS | STREAM_WRITES;
    default:
        return 0; /* for ioctl(2) alone (open(2)) */
    }
}

int stream_use_new(struct ipcfs *fs, struct handle *handle, int flags)
{
    struct stream_use *use = calloc(1, sizeof *use);
    if (!use)
        return -ENOMEM;
    use->directions = directions_of(flags);
    int error = poller_init(&use->poller, fs->waits, handle, possible);
    if (error)
        free(use);
    else
        handle->stream_use = use;
    return error;
}

void stream_ready(struct handle *handle)
{
    struct stream_use *use = handle->stream_use;
    use->readers = use->directions & STREAM_READS ? use->stream->readers : NULL;
    use->writers = use->directions & STREAM_WRITES ? use->stream->writers : NULL;
    atomic_store(&use->ready, true);
}

bool stream_is_ready(const struct handle *handle)
{
    return handle->stream_use && atomic_load(&handle->stream_use->ready);
}

void stream_end(struct handle *handle)
{
    const struct stream_use *use = handle->stream_use;
    if (!stream_is_ready(handle)) {
        wait_end(use->stream->openers, handle, -EBADF);
        return;
    }
    if (use->readers)
        wait_end(use->readers, handle, -EBADF);
    if (use->writers)
        wait_end(use->writers, handle, -EBADF);
}

/* ---- the stream ---- */

/* In lanes that nobody else has, and no kind either: those of kinds count from 0. */
static int get_own_lines(struct ipcfs *fs, const struct handle *handle, struct stream *stream)
{
    static atomic_uint_fast64_t streams;
    const struct node_kin *kin = &handle->node.kin;
    struct wait_key key = {
        .kind = kin->backend, .object = kin->object, .lane = UINT64_MAX - 2 * atomic_fetch_add(&streams, 1)};
    int error = wait_line_get(fs->waits, &key, &stream->readers);
    key.lane--;
    return error ? error : wait_line_get(fs->waits, &key, &stream->writers);
}

static void put_line(struct wait_line *line)
{
    if (line)
        wait_line_put(line);
}

static void put_lines(struct stream *stream)
{
    put_line(stream->openers);
    put_line(stream->readers);
    put_line(stream->writers);
}

int stream_new(struct ipcfs *fs, struct handle *handle, struct stream **out)
{
    struct stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        return -ENOMEM;
    int error = park_line(fs, handle, handle->file, true, &stream->openers);
    if (!error)
        error = get_own_lines(fs, handle, stream);
    if (error) {
        put_lines(stream);
        free(stream);
        return error;
    }
    stream->file = TAKE_PTR(handle->file);
    *out = stream;
    return 0;
}

void stream_free(const struct ipcfs_backend *backend, struct stream *stream)
{
    backend->close(stream->file);
    put_lines(stream);
    free(stream);
}

static bool is_connected(const struct stream *stream)
{
    wait_line_lock(stream->openers);
    bool connected = stream->connected;
    wait_line_unlock(stream->openers);
    return connected;
}

static void leave(const struct node_use *node, struct stream *stream, unsigned directions)
{
    const struct ipcfs_backend *backend = node->kin.backend;
    unsigned ended = node_stream_leave(node, directions);
    if (ended && !is_connected(stream))
        ended = 0;
    if (ended & STREAM_READS)
        backend->shutdown(stream->file, SHUT_RD);
    if (ended & STREAM_WRITES)
        backend->shutdown(stream->file, SHUT_WR);
    if (node_stream_put(node))
        stream_free(backend, stream);
}

void stream_leave(struct handle *handle)
{
    struct stream_use *use = handle->stream_use;
    if (!use)
        return;
    poller_destroy(&use->poller);
    if (use->stream)
        leave(&handle->node, use->stream, use->directions);
    free(use);
}
