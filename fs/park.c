/* SPDX-License-Identifier: MIT */
#include "park.h"

static void on_interrupt(fuse_req_t request, void *data)
{
    (void)request;
    wait_interrupt(data);
}

void park(struct parked *parked, struct wait_line *line, struct reply *reply)
{
    reply_move(reply, &parked->reply);
    wait_prepare(line, &parked->waiter);
    fuse_req_interrupt_func(parked->reply.request, on_interrupt, &parked->waiter);
    wait_park(&parked->waiter);
}

void park_end(struct parked *parked)
{
    fuse_req_interrupt_func(parked->reply.request, NULL, NULL);
}
