/* SPDX-License-Identifier: MIT */
#include "park.h"

#include "control.h"
#include "ipcfs.h"

#include <time.h>

ssize_t park_block(struct waiter *waiter)
{
    struct ipcfs_wait wait = {.block = true};
    return waiter->ops->attempt(waiter, &wait);
}

ssize_t park_deliver(struct waiter *waiter, ssize_t blocked)
{
    (void)waiter;
    return blocked;
}

int park_line(struct ipcfs *fs, const struct handle *handle, struct ipcfs_file *file, bool writing,
              struct wait_line **out)
{
    const struct node_kin *kin = &handle->node.kin;
    struct wait_key key = {
        .kind = kin->backend, .object = kin->object, .lane = kin->backend->lane(file, writing)};
    return wait_line_get(fs->waits, &key, out);
}

struct wait_about park_about(const struct handle *handle, const char *call, bool writes)
{
    const struct node_kin *kin = &handle->node.kin;
    return (struct wait_about){
        .call = call,
        .part = node_is_control_file(kin->type) ? control_verb_of(kin)->name : NULL,
        .member = kin->type == NODE_MEMBER_FILE ? (int)kin->number : -1,
        .writes = writes,
    };
}

static void on_interrupt(fuse_req_t request, void *data)
{
    (void)request;
    wait_interrupt(data);
}

static void park_by(struct parked *parked, struct wait_line *line, struct reply *reply,
                    fuse_interrupt_func_t interrupted)
{
    reply_move(reply, &parked->reply);
    parked->waiter.about.tid = fuse_req_ctx(parked->reply.request)->pid;
    (void)clock_gettime(CLOCK_MONOTONIC, &parked->waiter.about.since);
    wait_prepare(line, &parked->waiter);
    fuse_req_interrupt_func(parked->reply.request, interrupted, &parked->waiter);
    wait_park(&parked->waiter);
}

void park(struct parked *parked, struct wait_line *line, struct reply *reply)
{
    park_by(parked, line, reply, on_interrupt);
}

void park_firmly(struct parked *parked, struct wait_line *line, struct reply *reply)
{
    park_by(parked, line, reply, NULL);
}

void park_end(struct parked *parked)
{
    fuse_req_interrupt_func(parked->reply.request, NULL, NULL);
}
