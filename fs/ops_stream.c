/* SPDX-License-Identifier: MIT */
/* Connections: OPEN, which waits until there is another end (fs/opening.h), and what is asked of their handles. */
#include "ops.h"

#include "control.h"
#include "opening.h"
#include "stream.h"

#include <errno.h>
#include <fcntl.h>

bool is_connection(const struct target *target)
{
    return target_is_verb(target, IPCFS_VERB_CONNECTION);
}

/* ---- the waiter ---- */

static struct stream *stream_of(const struct waiter *waiter)
{
    return ((const struct opening *)waiter)->handle->stream_use->stream;
}

/* Without the line's lock where it blocks: what it got counts with deliver(). */
static ssize_t connect_to(const struct waiter *waiter, struct ipcfs_wait *wait)
{
    const struct handle *handle = ((const struct opening *)waiter)->handle;
    return handle->node.kin.backend->try_connect(stream_of(waiter)->file, wait);
}

/* Another handle of the stream may have waited for it, too. */
static bool is_due(const struct waiter *waiter)
{
    return stream_of(waiter)->connected;
}

static ssize_t deliver(struct waiter *waiter, ssize_t result)
{
    if (!result)
        stream_of(waiter)->connected = true;
    return result;
}

static ssize_t attempt(struct waiter *waiter, struct ipcfs_wait *wait)
{
    return deliver(waiter, connect_to(waiter, wait));
}

static ssize_t block(struct waiter *waiter)
{
    struct ipcfs_wait wait = {.block = true};
    return connect_to(waiter, &wait);
}

static const struct waiter_ops connecting_ops = {
    .attempt = attempt, .due = is_due, .block = block, .deliver = deliver, .finish = opening_finish};

/* ---- open ---- */

/* The file is opened as the caller. */
static int new_stream(struct ipcfs *fs, fuse_req_t req, struct handle *handle, int flags)
{
    struct stream_use *use = handle->stream_use;
    struct stream *stream = NULL;
    int error = control_open_file(req, handle, flags);
    if (!error)
        error = stream_new(fs, handle, &stream);
    if (error)
        return error;
    use->stream = node_stream_set(&handle->node, stream, use->directions);
    if (use->stream != stream)
        stream_free(handle->node.kin.backend, stream);
    return 0;
}

static int join(struct ipcfs *fs, fuse_req_t req, struct handle *handle, int flags)
{
    int error = stream_use_new(fs, handle, flags);
    if (error)
        return error;
    struct stream_use *use = handle->stream_use;
    use->stream = node_stream_get(&handle->node, use->directions);
    return use->stream ? 0 : new_stream(fs, req, handle, flags);
}

void open_connection(struct ipcfs *fs, fuse_req_t req, struct target *target, int flags, struct reply *reply)
{
    struct handle *handle = handle_new(HANDLE_STREAM, fuse_req_ctx(req)->uid);
    if (!handle) {
        reply_error(reply, -ENOMEM);
        return;
    }
    node_use_move(&target->use, &handle->node);
    int error = join(fs, req, handle, flags);
    if (!error)
        error = handle_add(&fs->handles, handle);
    if (error) {
        handle_free(handle);
        reply_error(reply, error);
        return;
    }
    struct stream *stream = handle->stream_use->stream;
    struct opening opening = {
        .parked.waiter = {.ops = &connecting_ops,
                          .group = &stream->opening,
                          .owner = handle,
                          .uid = handle->uid},
        .fs = fs,
        .handle = handle,
    };
    opening_run(&opening, stream->openers, !(flags & O_NONBLOCK), reply);
}
