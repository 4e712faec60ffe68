/* SPDX-License-Identifier: MIT */
/*
 * Holds: files whose open(2) takes something, and waits until it is to be had (fs/opening.h); what was taken is given back
 * with the handle, so when the last descriptor is closed, whatever ended its process (exec 9<sem/slots/hold).
 */
#include "ops.h"

#include "control.h"
#include "opening.h"

#include <errno.h>
#include <fcntl.h>

bool is_hold(const struct target *target)
{
    return target_is_verb(target, IPCFS_VERB_HOLD);
}

static const struct ipcfs_lock whole = {.whole = true, .range = {.l_type = F_WRLCK}};

static ssize_t attempt(struct waiter *waiter, struct ipcfs_wait *wait)
{
    const struct handle *handle = ((struct opening *)waiter)->handle;
    return handle->node.kin.backend->try_lock(handle->file, &whole, wait);
}

static const struct waiter_ops holding_ops = {
    .attempt = attempt, .block = park_block, .deliver = park_deliver, .finish = opening_finish};

/* The handle is in the table, and has its file. */
static void take(struct ipcfs *fs, struct reply *reply, struct handle *handle, bool patient)
{
    struct opening opening = {
        .parked.waiter = {.ops = &holding_ops, .owner = handle, .uid = handle->uid},
        .fs = fs,
        .handle = handle,
    };
    struct wait_line *line = NULL;
    int error = park_line(fs, handle, handle->file, true, &line);
    if (error) {
        opening_answer(fs, reply, handle, error);
        return;
    }
    opening_run(&opening, line, patient, reply);
    wait_line_put(line);
}

void open_hold(struct ipcfs *fs, fuse_req_t req, struct target *target, int flags, struct reply *reply)
{
    struct handle *handle = handle_new(HANDLE_HOLD, fuse_req_ctx(req)->uid);
    if (!handle) {
        reply_error(reply, -ENOMEM);
        return;
    }
    node_use_move(&target->use, &handle->node);
    int error = control_open_file(req, handle, flags);
    if (!error)
        error = handle_add(&fs->handles, handle);
    if (error) {
        handle_free(handle);
        reply_error(reply, error);
        return;
    }
    take(fs, reply, handle, !(flags & O_NONBLOCK));
}
