/* SPDX-License-Identifier: MIT */
#include "reply.h"

#include "ipcfs/log.h"

#include <errno.h>
#include <linux/fuse.h>

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
    to->errors = from->errors;
}

/* The one shape of all replies: take the request, answer it if it is there. */
#define ANSWER(reply, call)                                                                                  \
    do {                                                                                                     \
        fuse_req_t request = take(reply);                                                                    \
        return request ? (call) : -EALREADY;                                                                 \
    } while (0)

static int answer_error(struct reply *reply, int error)
{
    if (error && reply->request && reply->errors)
        atomic_fetch_add_explicit(reply->errors, 1, memory_order_relaxed);
    ANSWER(reply, fuse_reply_err(request, -error));
}

int reply_error(struct reply *reply, int error)
{
    return answer_error(reply, error == -ENOSYS ? -EOPNOTSUPP : error);
}

int reply_not_offered(struct reply *reply)
{
    return answer_error(reply, -ENOSYS);
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

/* ---- streams: libfuse has no field for FOPEN_STREAM, so the bodies are made here ---- */

/* Since Linux 6.2; older kernels ignore it, older headers do not have it. */
enum { PARALLEL_DIRECT_WRITES = 1 << 6 };

static struct fuse_open_out stream_body(const struct fuse_file_info *info)
{
    return (struct fuse_open_out){
        .fh = info->fh,
        .open_flags =
            FOPEN_STREAM | FOPEN_DIRECT_IO | PARALLEL_DIRECT_WRITES | (info->noflush ? FOPEN_NOFLUSH : 0U),
    };
}

struct timeout {
    uint64_t seconds;
    uint32_t nanoseconds;
};

static struct timeout to_timeout(double seconds)
{
    if (seconds <= 0)
        return (struct timeout){0};
    if (seconds >= 1e9)
        return (struct timeout){.seconds = 1000000000};
    uint64_t whole = (uint64_t)seconds;
    return (struct timeout){whole, (uint32_t)((seconds - (double)whole) * 1e9)};
}

static struct fuse_attr attr_body(const struct stat *stat)
{
    return (struct fuse_attr){
        .ino = stat->st_ino,
        .size = (uint64_t)stat->st_size,
        .blocks = (uint64_t)stat->st_blocks,
        .atime = (uint64_t)stat->st_atim.tv_sec,
        .mtime = (uint64_t)stat->st_mtim.tv_sec,
        .ctime = (uint64_t)stat->st_ctim.tv_sec,
        .atimensec = (uint32_t)stat->st_atim.tv_nsec,
        .mtimensec = (uint32_t)stat->st_mtim.tv_nsec,
        .ctimensec = (uint32_t)stat->st_ctim.tv_nsec,
        .mode = stat->st_mode,
        .nlink = (uint32_t)stat->st_nlink,
        .uid = stat->st_uid,
        .gid = stat->st_gid,
        .rdev = (uint32_t)stat->st_rdev,
        .blksize = (uint32_t)stat->st_blksize,
    };
}

static struct fuse_entry_out entry_body(const struct fuse_entry_param *entry)
{
    struct timeout name = to_timeout(entry->entry_timeout);
    struct timeout attr = to_timeout(entry->attr_timeout);
    return (struct fuse_entry_out){
        .nodeid = entry->ino,
        .generation = entry->generation,
        .entry_valid = name.seconds,
        .entry_valid_nsec = name.nanoseconds,
        .attr_valid = attr.seconds,
        .attr_valid_nsec = attr.nanoseconds,
        .attr = attr_body(&entry->attr),
    };
}

/* By fuse_reply_buf(), which sends any body as it is. fuse_reply_iov() allocates, and where it can not, it answers ENOMEM
 * and says that all went well. */
int reply_open_stream(struct reply *reply, const struct fuse_file_info *info)
{
    const struct fuse_open_out body = stream_body(info);
    ANSWER(reply, fuse_reply_buf(request, (const char *)&body, sizeof body));
}

int reply_create_stream(struct reply *reply, const struct fuse_entry_param *entry,
                        const struct fuse_file_info *info)
{
    const struct {
        struct fuse_entry_out entry;
        struct fuse_open_out open;
    } body = {entry_body(entry), stream_body(info)};
    ANSWER(reply, fuse_reply_buf(request, (const char *)&body, sizeof body));
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

int reply_lock(struct reply *reply, const struct flock *lock)
{
    ANSWER(reply, fuse_reply_lock(request, lock));
}
