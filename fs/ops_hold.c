/* SPDX-License-Identifier: MIT */
/*
 * Holds: files whose open(2) takes something, and waits until it is to be had; what was taken is given back with the
 * handle, so when the last descriptor is closed, whatever ended its process (exec 9<sem/slots/hold).
 *
 * A blocking OPEN is the one wait that keeps no lock of the kernel: LOOKUP, which may run under the directory's, is over.
 * The handle is in the table while it waits, so that it counts for its user, but nobody knows its number yet. It is made
 * known by the reply alone; where the kernel does not take that, because the caller is gone, it is withdrawn, and what
 * was taken goes back with it.
 */
#include "ops.h"

#include "control.h"
#include "park.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

struct holding {
    struct parked parked;
    struct ipcfs *fs;
    struct handle *handle; /* parked: counted */
};

bool is_hold(const struct target *target)
{
    if (target->entry || !node_is_control_file(target->use.kin.type))
        return false;
    return control_verb_of(&target->use.kin)->type == IPCFS_VERB_HOLD;
}

/* ---- the waiter ---- */

static const struct ipcfs_lock whole = {.whole = true, .range = {.l_type = F_WRLCK}};

static ssize_t attempt(struct waiter *waiter, struct ipcfs_wait *wait)
{
    const struct handle *handle = ((struct holding *)waiter)->handle;
    return handle->node.kin.backend->try_lock(handle->file, &whole, wait);
}

static void answer(struct ipcfs *fs, struct reply *reply, const struct handle *handle, ssize_t result)
{
    uint64_t id = handle->id;
    const struct fuse_file_info info = {.fh = id, .noflush = 1};
    if (result < 0)
        reply_error(reply, (int)result);
    else if (reply_open_stream(reply, &info) == 0)
        return;
    withdraw(fs, id);
}

static void finish(struct waiter *waiter, ssize_t result)
{
    struct holding *holding = (struct holding *)waiter;
    park_end(&holding->parked);
    answer(holding->fs, &holding->parked.reply, holding->handle, result);
    handle_put(&holding->fs->handles, holding->handle);
    free(holding);
}

static const struct waiter_ops holding_ops = {
    .attempt = attempt, .block = park_block, .deliver = park_deliver, .finish = finish};

/* ---- open ---- */

static void wait_to_hold(struct reply *reply, struct wait_line *line, const struct holding *holding)
{
    struct holding *parked = malloc(sizeof *parked);
    if (!parked) {
        answer(holding->fs, reply, holding->handle, -ENOMEM);
        return;
    }
    *parked = *holding;
    handle_use(&parked->fs->handles, parked->handle);
    park(&parked->parked, line, reply);
}

/* The handle is in the table, and has its file. */
static void take(struct ipcfs *fs, struct reply *reply, struct handle *handle, bool patient)
{
    struct holding holding = {
        .parked.waiter = {.ops = &holding_ops, .owner = handle, .uid = handle->uid},
        .fs = fs,
        .handle = handle,
    };
    struct wait_line *line = NULL;
    int error = park_line(fs, handle, handle->file, true, &line);
    if (error) {
        answer(fs, reply, handle, error);
        return;
    }
    ssize_t result = wait_try(line, &holding.parked.waiter, !patient);
    if (result == -EAGAIN && patient)
        wait_to_hold(reply, line, &holding);
    else
        answer(fs, reply, handle, result);
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
