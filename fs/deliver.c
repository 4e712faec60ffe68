/* SPDX-License-Identifier: MIT */
#include "deliver.h"

#include <linux/fuse.h>
#include <poll.h>
#include <string.h>

enum { NO_MEMORY_PAUSE_MS = 10 };

static _Thread_local bool had_no_memory;

bool deliver_heed_log(const char *words)
{
    static const char said[] = "fuse: failed to allocate request";
    bool heeded = strncmp(words, said, sizeof said - 1) == 0;
    had_no_memory |= heeded;
    return heeded;
}

bool deliver_had_no_memory(void)
{
    return had_no_memory;
}

void deliver_wait_for_memory(struct fuse_session *session)
{
    struct pollfd device = {.fd = fuse_session_fd(session)};
    if (poll(&device, 1, NO_MEMORY_PAUSE_MS) > 0 && device.revents & POLLERR)
        fuse_session_exit(session);
}

/* Requests that nobody makes again: what they let go of would be kept for ever, and who is interrupted would wait on. */
static bool may_not_fail(const struct fuse_buf *buffer)
{
    const struct fuse_in_header *header = buffer->mem;
    switch (header->opcode) {
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
    case FUSE_FLUSH:
    case FUSE_INTERRUPT:
        return true;
    default:
        return false;
    }
}

void deliver(struct fuse_session *session, const struct fuse_buf *buffer)
{
    for (;;) {
        had_no_memory = false;
        fuse_session_process_buf(session, buffer);
        if (!had_no_memory || !may_not_fail(buffer) || fuse_session_exited(session))
            return;
        deliver_wait_for_memory(session);
    }
}
