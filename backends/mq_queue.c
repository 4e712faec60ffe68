/* SPDX-License-Identifier: MIT */
#include "mq_queue.h"

#include "mq_directory.h"
#include "mq_show.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <mqueue.h>
#include <string.h>
#include <unistd.h>

const int mq_for_all[] = {O_RDWR, O_RDONLY, O_WRONLY, O_PATH, MQ_MODES_END};
const int mq_for_nothing[] = {O_PATH, MQ_MODES_END};
static const int for_looking[] = {O_RDONLY, O_PATH, MQ_MODES_END};

/* ---- reaching a queue ---- */

int mq_open_first(const char *name, const int *modes, int *access, struct statx *stat)
{
    for (;; modes++) {
        *access = *modes;
        AUTO_FD fd = mq_name_open(name, *modes);
        if ((fd == -EACCES || fd == -EROFS) && modes[1] != MQ_MODES_END)
            continue;
        int error = fd < 0 ? fd : mq_fd_stat(fd, stat);
        if (!error && !mq_is_queue(stat))
            error = -EISDIR;
        return error ? error : TAKE_FD(fd);
    }
}

int mq_resolve(const struct ipcfs_ref *ref, const int *modes, int *access, struct statx *stat)
{
    AUTO_FD fd = mq_open_first(ref->name, modes, access, stat);
    if (fd == -ENOENT || fd == -EISDIR)
        return -ESTALE;
    if (fd >= 0 && ref->id.number && !ipcfs_same_object(mq_id(stat), ref->id))
        return -ESTALE;
    return TAKE_FD(fd);
}

/*
 * Bytes queued; 0 where the calling thread may not know. The queue's status tells, but to look at it
 * leaves a trace in its times, which is spared the empty ones.
 */
static int measure(int fd, uint64_t *bytes)
{
    struct mq_attr attributes;
    struct mq_status status = {0};
    if (mq_getattr(fd, &attributes) < 0)
        return -errno;
    int error = attributes.mq_curmsgs ? mq_read_status(fd, &status) : 0;
    *bytes = status.bytes;
    return error;
}

int mq_look(int fd, int access, struct statx *stat)
{
    int error = mq_fd_stat(fd, stat);
    if (error)
        return error;
    AUTO_FD reader = mq_may_read(access) ? -1 : mq_fd_open(fd, O_RDONLY);
    uint64_t bytes = 0;
    if (mq_may_read(access))
        error = measure(fd, &bytes);
    else if (reader != -EACCES)
        error = reader < 0 ? reader : measure(reader, &bytes);
    stat->stx_size = bytes;
    return error;
}

/* ---- holds ---- */

void mq_release(struct ipcfs_hold *hold)
{
    if (atomic_fetch_sub(&hold->users, 1) > 1)
        return;
    close(hold->fd);
    free(hold);
}

static struct ipcfs_hold *hold_get(struct ipcfs_hold *hold)
{
    atomic_fetch_add(&hold->users, 1);
    return hold;
}

static int message_size_of(int fd, size_t *size)
{
    struct mq_attr attributes;
    if (mq_getattr(fd, &attributes) < 0)
        return -errno;
    *size = (size_t)attributes.mq_msgsize;
    return 0;
}

int mq_make_hold(int *fd, int access, struct ipcfs_hold **out)
{
    size_t message_size = 0;
    int error = access == O_PATH ? 0 : message_size_of(*fd, &message_size);
    if (error)
        return error;
    struct ipcfs_hold *hold = malloc(sizeof *hold);
    if (!hold)
        return -ENOMEM;
    *hold = (struct ipcfs_hold){.fd = TAKE_FD(*fd), .access = access, .message_size = message_size};
    atomic_init(&hold->users, 1);
    *out = hold;
    return 0;
}

static int find_and_hold(const char *name, struct ipcfs_found *out, struct ipcfs_hold **hold)
{
    int access = O_PATH;
    AUTO_FD fd = mq_open_first(name, mq_for_all, &access, &out->stat);
    if (fd < 0)
        return fd == -EISDIR ? -ENOENT : fd;
    out->id = mq_id(&out->stat);
    return mq_make_hold(&fd, access, hold);
}

int mq_find(unsigned directory, const char *name, struct ipcfs_found *out, struct ipcfs_hold **hold)
{
    (void)directory;
    if (strchr(name, '/'))
        return -ENOENT;
    if (hold)
        return find_and_hold(name, out, hold);
    int error = mq_name_stat(name, &out->stat);
    if (!error && !mq_is_queue(&out->stat))
        error = -ENOENT;
    out->id = mq_id(&out->stat);
    out->stat.stx_size = 0;
    return error;
}

int mq_hold(const struct ipcfs_ref *ref, struct ipcfs_hold **out)
{
    struct statx stat;
    int access = O_PATH;
    AUTO_FD fd = mq_resolve(ref, mq_for_all, &access, &stat);
    return fd < 0 ? fd : mq_make_hold(&fd, access, out);
}

int mq_stat(const struct ipcfs_ref *ref, struct statx *out)
{
    if (ref->hold)
        return mq_look(ref->hold->fd, ref->hold->access, out);
    int access = O_PATH;
    AUTO_FD fd = mq_resolve(ref, for_looking, &access, out);
    return fd < 0 ? fd : mq_look(fd, access, out);
}

/* ---- open files ---- */

int mq_make_file(struct ipcfs_hold *hold, int *own_fd, int access, struct ipcfs_file **out)
{
    size_t message_size = hold->message_size;
    bool shares = hold->access == O_RDWR || hold->access == access;
    int error = message_size ? 0 : message_size_of(*own_fd, &message_size);
    if (error)
        return error;
    struct ipcfs_file *file = malloc(sizeof *file);
    if (!file)
        return -ENOMEM;
    *file = (struct ipcfs_file){.hold = hold_get(hold),
                                .fd = shares ? hold->fd : TAKE_FD(*own_fd),
                                .access = access,
                                .message_size = message_size};
    *out = file;
    return 0;
}

/*
 * The kernel itself judges whether the caller may: he opens the queue, if only for that. O_TRUNC purges
 * nothing.
 */
/* Whether the thread acts for nobody else: then what the hold was opened for needs no second look. */
static bool is_daemon_itself(void)
{
    return geteuid() == getuid() && getegid() == getgid();
}

int mq_open_queue(const struct ipcfs_ref *ref, int flags, struct ipcfs_file **out)
{
    int access = flags & O_ACCMODE;
    int error = access == O_ACCMODE ? -EINVAL : 0;
    int none = -1;
    if (!error && is_daemon_itself() && ref->hold->access == O_RDWR)
        return mq_make_file(ref->hold, &none, access, out);
    if (!error)
        error = mq_check_search();
    if (error)
        return error;
    AUTO_FD fd = mq_fd_open(ref->hold->fd, access);
    return fd < 0 ? fd : mq_make_file(ref->hold, &fd, access, out);
}

void mq_close_file(struct ipcfs_file *file)
{
    if (file->fd != file->hold->fd)
        close(file->fd);
    mq_release(file->hold);
    free(file);
}
