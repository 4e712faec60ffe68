/* SPDX-License-Identifier: MIT */
/*
 * Open files.
 *
 * OPEN reaches the object by its node's hold and opens it as the caller, so that the native check is made, access
 * control lists included, whatever the kernel's own check on the mount said before. That descriptor is the handle's for
 * ftruncate, fallocate and lseek. Where passthrough is on, the kernel then carries the data on a backing file of its
 * own; where not, READ and WRITE come here and go straight to the descriptor.
 */
#include "ops.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

/* Set by the kernel in the flags of an open for execve(2) (FMODE_EXEC, Linux include/linux/fs.h). */
enum { OPEN_FOR_EXEC = 0x20 };

/* ---- backing ---- */

static int32_t register_backing(struct ipcfs *fs, const struct handle *handle)
{
    AUTO_FD fd = handle->node.kin.backend->backing(&handle->node.ref);
    if (fd < 0)
        return fd;
    int session_fd = fuse_session_fd(fs->session);
    int32_t id = passthrough_open(session_fd, fd);
    if (id < 0)
        return id;
    int32_t chosen = node_backing_set(&handle->node, id);
    if (chosen == id)
        atomic_fetch_add(&fs->metrics.backing_ids, 1);
    else
        passthrough_close(session_fd, id);
    return chosen;
}

int attach_backing(struct ipcfs *fs, struct handle *handle)
{
    if (!fs->passthrough)
        return 0;
    int32_t id = node_backing_get(&handle->node);
    if (!id)
        id = register_backing(fs, handle);
    if (id == -EOPNOTSUPP)
        return 0;
    if (id < 0)
        return id;
    handle->backing_id = id;
    return 0;
}

static void detach_backing(struct ipcfs *fs, struct handle *handle)
{
    if (!handle->backing_id)
        return;
    handle->backing_id = 0;
    int32_t unneeded = node_backing_put(&handle->node);
    if (unneeded) {
        passthrough_close(fuse_session_fd(fs->session), unneeded);
        atomic_fetch_sub(&fs->metrics.backing_ids, 1);
    }
}

/* ---- handles ---- */

void discard(struct ipcfs *fs, struct handle *handle)
{
    detach_backing(fs, handle);
    handle_free(handle);
}

/* Whether close(2) shall send FLUSH. There is nothing to write back, but locks may go with it (fs/locks.h). */
static bool wants_flush(const struct handle *handle)
{
    return handle->type == HANDLE_FILE && handle->node.kin.backend->range_locks;
}

/* Whether each write has to be checked here: then the kernel asks for reads and writes (FOPEN_DIRECT_IO goes before
 * FOPEN_PASSTHROUGH, fuse_file_write_iter() in Linux fs/fuse/file.c), and carries but the mappings itself. */
static bool is_checked(const struct handle *handle, int flags)
{
    return handle->type == HANDLE_FILE && handle->node.kin.backend->fixed_size &&
           (flags & O_ACCMODE) != O_RDONLY;
}

int publish(struct ipcfs *fs, struct handle *handle, struct fuse_file_info *info)
{
    int error = handle_add(&fs->handles, handle);
    if (error)
        return error;
    info->fh = handle->id;
    info->noflush = !wants_flush(handle);
    info->backing_id = handle->backing_id;
    if (!handle->backing_id || is_checked(handle, info->flags)) {
        info->direct_io = 1; /* no page cache: every read asks; without a backing file MAP_SHARED is ENODEV */
        info->parallel_direct_writes = 1;
    }
    return 0;
}

void withdraw(struct ipcfs *fs, uint64_t id)
{
    struct handle *handle = handle_remove(&fs->handles, id);
    if (!handle)
        return;
    if (handle->messages)
        messages_end(fs, handle);
    else if (handle->stream_use)
        stream_end(handle);
    else if (handle->events)
        events_end(handle);
    lock_table_release(&fs->locks, handle);
    detach_backing(fs, handle);
    handle_put(&fs->handles, handle);
}

/* ---- open ---- */

/* execve(2) needs the right to execute, which is checked as the caller, but none to read: the daemon opens for it. */
static int open_as_caller(fuse_req_t req, struct handle *handle, int flags)
{
    const struct ipcfs_backend *backend = handle->node.kin.backend;
    AUTO_ACTING acting = {0};
    int error = act_as_caller(&acting, req);
    if (!error && flags & OPEN_FOR_EXEC) {
        error = backend->may_execute(&handle->node.ref);
        acting_end(&acting);
    }
    return error ? error : backend->open(&handle->node.ref, flags, &handle->file);
}

/* Backing file and table: after it the handle can be found, but nobody knows its number yet. */
static int make_ready(struct ipcfs *fs, struct handle *handle, struct fuse_file_info *info)
{
    int error = attach_backing(fs, handle);
    return error ? error : publish(fs, handle, info);
}

/*
 * The open as the caller comes last where it may truncate: after it nothing can fail. What has its size for good is never
 * truncated: there it comes first, so that who is refused has not had the daemon do anything to the object.
 */
static int open_object(struct ipcfs *fs, fuse_req_t req, struct handle *handle, struct fuse_file_info *info)
{
    bool open_first = handle->node.kin.backend->fixed_size;
    node_opened(&handle->node);
    int error = hold_node(&handle->node);
    if (!error && open_first)
        error = open_as_caller(req, handle, info->flags);
    if (!error)
        error = make_ready(fs, handle, info);
    if (error) {
        discard(fs, handle);
        return error;
    }
    if (!open_first)
        error = open_as_caller(req, handle, info->flags);
    if (error)
        withdraw(fs, info->fh);
    return error;
}

static int open_control(struct ipcfs *fs, fuse_req_t req, struct handle *handle, struct fuse_file_info *info)
{
    int error = control_open(req, handle, info->flags);
    if (!error)
        error = publish(fs, handle, info);
    if (error)
        discard(fs, handle);
    return error;
}

/* Takes the target over. `*stream`: the handle has no position. */
static int open_target(struct ipcfs *fs, fuse_req_t req, struct target *target, struct fuse_file_info *info,
                       bool *stream)
{
    *stream = is_message_file(target);
    if (*stream)
        return open_messages(fs, req, target, info);
    bool object = !target->entry && target->use.kin.type == NODE_OBJECT;
    struct handle *handle = handle_new(object ? HANDLE_FILE : HANDLE_CONTROL, fuse_req_ctx(req)->uid);
    if (!handle)
        return -ENOMEM;
    handle->entry = target->entry;
    node_use_move(&target->use, &handle->node);
    *stream = !object && (info->flags & O_ACCMODE) != O_RDONLY;
    return object ? open_object(fs, req, handle, info) : open_control(fs, req, handle, info);
}

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
    OP(open);
    AUTO_TARGET target;
    bool stream = false;
    int error = target_get(fs, ino, &target);
    if (!error && is_hold(&target)) {
        open_hold(fs, req, &target, info->flags, &reply);
        return;
    }
    if (!error && is_connection(&target)) {
        open_connection(fs, req, &target, info->flags, &reply);
        return;
    }
    if (!error && !target.entry && target.use.kin.type == NODE_CTL_EVENTS) {
        events_open(fs, fuse_req_ctx(req)->uid, &target, info->flags, &reply);
        return;
    }
    if (!error)
        error = open_target(fs, req, &target, info, &stream);
    if (error)
        reply_node_error(fs, &reply, error);
    else if (stream ? reply_open_stream(&reply, info) : reply_open(&reply, info))
        withdraw(fs, info->fh);
}

/* ---- read and write ---- */

static void read_file(struct reply *reply, struct handle *handle, size_t size, off_t offset, int flags)
{
    AUTO_FREE char *buffer = malloc(size ? size : 1);
    if (!buffer) {
        reply_error(reply, -ENOMEM);
        return;
    }
    struct ipcfs_wait wait = {0};
    ssize_t count = handle->node.kin.backend->try_read(handle->file, buffer, size, offset, flags, &wait);
    if (count < 0)
        reply_error(reply, (int)count);
    else
        reply_buffer(reply, buffer, (size_t)count);
}

/* Pages that a private mapping asks for come without an owner: they would take what is read once, or wait for what is not
 * there yet with the locks of the mapping held. */
static void read_once(struct ipcfs *fs, struct reply *reply, struct handle *handle, size_t size, off_t offset,
                      const struct fuse_file_info *info)
{
    if (!info->lock_owner)
        reply_error(reply, -ENODEV);
    else if (handle->messages)
        messages_read(fs, reply, handle, size, info->flags);
    else if (handle->events)
        events_read(fs, reply, handle, size, offset, info->flags);
    else
        stream_read(fs, reply, handle, size, info->flags);
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *info)
{
    OP(read);
    (void)ino;
    struct handle *handle = handle_get(&fs->handles, info->fh);
    if (!handle) {
        reply_error(&reply, -EBADF);
        return;
    }
    if (handle->messages || handle->stream_use || handle->events)
        read_once(fs, &reply, handle, size, offset, info);
    else if (handle->type == HANDLE_FILE)
        read_file(&reply, handle, size, offset, info->flags);
    else if (handle->type == HANDLE_CONTROL)
        control_read(fs, req, &reply, handle, size, offset);
    else if (handle->type == HANDLE_HOLD)
        reply_buffer(&reply, NULL, 0);
    else
        reply_error(&reply, -EISDIR);
    handle_put(&fs->handles, handle);
}

/* As the caller, because a write by somebody without CAP_FSETID takes set-user-ID bits off the file. */
static ssize_t write_as_caller(fuse_req_t req, struct handle *handle, const char *data, size_t size,
                               off_t offset, int flags)
{
    if (handle->type == HANDLE_HOLD)
        return -EINVAL;
    if (handle->type != HANDLE_FILE)
        return -EBADF;
    AUTO_ACTING acting = {0};
    int error = act_as_caller(&acting, req);
    if (error)
        return error;
    struct ipcfs_wait wait = {0};
    return handle->node.kin.backend->try_write(handle->file, data, size, offset, flags, &wait);
}

/* Answers the request, now or later. False where it is for others to answer. */
static bool write_that_waits(struct ipcfs *fs, fuse_req_t req, struct reply *reply, struct handle *handle,
                             const char *data, size_t size, int flags)
{
    if (handle->messages)
        messages_write(fs, reply, handle, data, size, flags);
    else if (handle->stream_use)
        stream_write(fs, reply, handle, data, size, flags);
    else if (control_is_command(handle))
        command_write(fs, req, handle, data, size, flags, reply);
    else
        return false;
    return true;
}

void op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
              struct fuse_file_info *info)
{
    OP(write);
    (void)ino;
    struct handle *handle = handle_get(&fs->handles, info->fh);
    if (handle && write_that_waits(fs, req, &reply, handle, data, size, info->flags)) {
        handle_put(&fs->handles, handle);
        return;
    }
    ssize_t count = -EBADF;
    if (handle && handle->type == HANDLE_CONTROL)
        count = control_write(fs, req, handle, data, size);
    else if (handle)
        count = write_as_caller(req, handle, data, size, offset, info->flags);
    if (handle)
        handle_put(&fs->handles, handle);
    if (count < 0)
        reply_error(&reply, (int)count);
    else
        reply_write(&reply, (size_t)count);
}

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
    OP(release);
    (void)ino;
    withdraw(fs, info->fh);
    reply_error(&reply, 0);
}

/*
 * As the caller, as a write is, and for the same reason. Not interruptible: natively only SIGKILL ends it, and takes
 * back what was allocated; done in pieces it would leave some of them.
 */
static int allocate_as_caller(fuse_req_t req, struct handle *handle, int mode, off_t offset, off_t length)
{
    if (handle->type != HANDLE_FILE)
        return -EBADF;
    AUTO_ACTING acting = {0};
    int error = act_as_caller(&acting, req);
    return error ? error : handle->node.kin.backend->allocate(handle->file, mode, offset, length);
}

void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
                  struct fuse_file_info *info)
{
    OP(fallocate);
    (void)ino;
    struct handle *handle = handle_get(&fs->handles, info->fh);
    int error = handle ? allocate_as_caller(req, handle, mode, offset, length) : -EBADF;
    if (handle)
        handle_put(&fs->handles, handle);
    reply_error(&reply, error);
}

void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence, struct fuse_file_info *info)
{
    OP(lseek);
    (void)ino;
    struct handle *handle = handle_get(&fs->handles, info->fh);
    off_t position = -EBADF;
    if (handle && handle->type == HANDLE_FILE)
        position = handle->node.kin.backend->seek(handle->file, offset, whence);
    else if (handle)
        position = -EINVAL;
    if (handle)
        handle_put(&fs->handles, handle);
    if (position < 0)
        reply_error(&reply, (int)position);
    else
        reply_lseek(&reply, position);
}

static struct poller *poller_of(struct handle *handle)
{
    if (handle->messages)
        return &handle->messages->poller;
    if (handle->events)
        return &handle->events->poller;
    return stream_is_ready(handle) ? &handle->stream_use->poller : NULL;
}

void op_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info, struct fuse_pollhandle *told)
{
    OP(poll);
    (void)ino;
    struct handle *handle = handle_get(&fs->handles, info->fh);
    struct poller *poller = handle ? poller_of(handle) : NULL;
    if (poller) {
        poller_poll(poller, &reply, (short)info->poll_events, told);
    } else {
        if (told)
            fuse_pollhandle_destroy(told);
        reply_poll(&reply, POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM); /* as every regular file */
    }
    if (handle)
        handle_put(&fs->handles, handle);
}
