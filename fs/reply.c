/* SPDX-License-Identifier: MIT */
#include "reply.h"

#include "ipcfs/log.h"

#include <errno.h>

/* Takes the request out of the guard; NULL when it was answered already. */
static fuse_req_t take(struct reply *reply)
{
    fuse_req_t request = reply->request;
    reply->request = NULL;
    if (!request)
        log_error("a request was answered twice");
    return request;
}

void reply_end(struct reply *reply)
{
    if (!reply->request)
        return;
    log_error("a request was left without an answer");
    (void)reply_error(reply, -EIO);
}

/* The one shape of all replies: take the request, answer it if it is there. */
#define ANSWER(reply, call)                                                                                  \
    do {                                                                                                     \
        fuse_req_t request = take(reply);                                                                    \
        return request ? (call) : -EALREADY;                                                                 \
    } while (0)

int reply_error(struct reply *reply, int error)
{
    ANSWER(reply, fuse_reply_err(request, -error));
}

static int answer_none(fuse_req_t request)
{
    fuse_reply_none(request);
    return 0;
}

int reply_none(struct reply *reply)
{
    ANSWER(reply, answer_none(request));
}

int reply_entry(struct reply *reply, const struct fuse_entry_param *entry)
{
    ANSWER(reply, fuse_reply_entry(request, entry));
}

int reply_create(struct reply *reply, const struct fuse_entry_param *entry, const struct fuse_file_info *info)
{
    ANSWER(reply, fuse_reply_create(request, entry, info));
}

int reply_attr(struct reply *reply, const struct stat *attr, double timeout)
{
    ANSWER(reply, fuse_reply_attr(request, attr, timeout));
}

#ifdef IPCFS_HAVE_STATX
int reply_statx(struct reply *reply, struct statx *attr, double timeout)
{
    ANSWER(reply, fuse_reply_statx(request, 0, attr, timeout));
}
#endif

int reply_open(struct reply *reply, const struct fuse_file_info *info)
{
    ANSWER(reply, fuse_reply_open(request, info));
}

int reply_readlink(struct reply *reply, const char *target)
{
    ANSWER(reply, fuse_reply_readlink(request, target));
}

int reply_buffer(struct reply *reply, const char *buffer, size_t size)
{
    ANSWER(reply, fuse_reply_buf(request, buffer, size));
}

int reply_write(struct reply *reply, size_t count)
{
    ANSWER(reply, fuse_reply_write(request, count));
}

int reply_statfs(struct reply *reply, const struct statvfs *system)
{
    ANSWER(reply, fuse_reply_statfs(request, system));
}

int reply_lseek(struct reply *reply, off_t position)
{
    ANSWER(reply, fuse_reply_lseek(request, position));
}
