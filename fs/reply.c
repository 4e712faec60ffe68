/* SPDX-License-Identifier: MIT */
#include "reply.h"

#include "ipcfs/log.h"

#include <errno.h>
#include <linux/fuse.h>
#include <sys/uio.h>

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

void reply_move(struct reply *from, struct reply *to)
{
    to->request = take(from);
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

static struct fuse_open_out stream_out(const struct fuse_file_info *info)
{
    return (struct fuse_open_out){
        .fh = info->fh,
        .open_flags = FOPEN_DIRECT_IO | FOPEN_STREAM | FOPEN_PARALLEL_DIRECT_WRITES |
                      (info->noflush ? FOPEN_NOFLUSH : 0U),
    };
}

static struct fuse_attr attr_out(const struct stat *attr)
{
    return (struct fuse_attr){
        .ino = attr->st_ino,
        .size = (uint64_t)attr->st_size,
        .blocks = (uint64_t)attr->st_blocks,
        .atime = (uint64_t)attr->st_atim.tv_sec,
        .mtime = (uint64_t)attr->st_mtim.tv_sec,
        .ctime = (uint64_t)attr->st_ctim.tv_sec,
        .atimensec = (uint32_t)attr->st_atim.tv_nsec,
        .mtimensec = (uint32_t)attr->st_mtim.tv_nsec,
        .ctimensec = (uint32_t)attr->st_ctim.tv_nsec,
        .mode = attr->st_mode,
        .nlink = (uint32_t)attr->st_nlink,
        .uid = attr->st_uid,
        .gid = attr->st_gid,
        .rdev = (uint32_t)attr->st_rdev,
        .blksize = (uint32_t)attr->st_blksize,
    };
}

static int answer_open_stream(fuse_req_t request, const struct fuse_file_info *info)
{
    struct fuse_open_out open = stream_out(info);
    struct iovec part = {.iov_base = &open, .iov_len = sizeof open};
    return fuse_reply_iov(request, &part, 1);
}

/* Objects have no timeouts. */
static int answer_create_stream(fuse_req_t request, const struct fuse_entry_param *entry,
                                const struct fuse_file_info *info)
{
    struct fuse_entry_out out = {
        .nodeid = entry->ino, .generation = entry->generation, .attr = attr_out(&entry->attr)};
    struct fuse_open_out open = stream_out(info);
    struct iovec parts[] = {{.iov_base = &out, .iov_len = sizeof out},
                            {.iov_base = &open, .iov_len = sizeof open}};
    return fuse_reply_iov(request, parts, 2);
}

int reply_open_stream(struct reply *reply, const struct fuse_file_info *info)
{
    ANSWER(reply, answer_open_stream(request, info));
}

int reply_create_stream(struct reply *reply, const struct fuse_entry_param *entry,
                        const struct fuse_file_info *info)
{
    ANSWER(reply, answer_create_stream(request, entry, info));
}

int reply_poll(struct reply *reply, unsigned events)
{
    ANSWER(reply, fuse_reply_poll(request, events));
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
