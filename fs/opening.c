/* SPDX-License-Identifier: MIT */
#include "opening.h"

#include "ops.h"
#include "stream.h"

#include <errno.h>
#include <stdlib.h>

void opening_answer(struct ipcfs *fs, struct reply *reply, struct handle *handle, ssize_t result)
{
    uint64_t id = handle->id;
    const struct fuse_file_info info = {.fh = id, .noflush = 1, .direct_io = 1};
    if (!result && handle->stream_use)
        stream_ready(handle);
    if (result < 0)
        reply_error(reply, (int)result);
    else if ((handle->events ? reply_open(reply, &info) : reply_open_stream(reply, &info)) == 0)
        return;
    withdraw(fs, id);
}

void opening_finish(struct waiter *waiter, ssize_t result)
{
    struct opening *opening = (struct opening *)waiter;
    park_end(&opening->parked);
    opening_answer(opening->fs, &opening->parked.reply, opening->handle, result);
    handle_put(&opening->fs->handles, opening->handle);
    free(opening);
}

static void wait_to_open(struct reply *reply, struct wait_line *line, const struct opening *opening)
{
    struct opening *parked = malloc(sizeof *parked);
    if (!parked) {
        opening_answer(opening->fs, reply, opening->handle, -ENOMEM);
        return;
    }
    *parked = *opening;
    handle_use(&parked->fs->handles, parked->handle);
    parked->parked.waiter.about = park_about(parked->handle, "open", false);
    park(&parked->parked, line, reply);
}

void opening_run(struct opening *opening, struct wait_line *line, bool patient, struct reply *reply)
{
    ssize_t result = wait_try(line, &opening->parked.waiter, !patient);
    if (result == -EAGAIN && patient)
        wait_to_open(reply, line, opening);
    else
        opening_answer(opening->fs, reply, opening->handle, result);
}
