/* SPDX-License-Identifier: MIT */
#include "mq_make.h"

#include "as_caller.h"
#include "caller_limit.h"
#include "mq_directory.h"
#include "mq_limits.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <limits.h>
#include <sys/syscall.h>

const struct ipcfs_field mq_options[] = {
    [MQ_OPTION_MAXMSG] = {"maxmsg", IPCFS_UNSIGNED, "messages", "so many may be in the queue"},
    [MQ_OPTION_MSGSIZE] = {"msgsize", IPCFS_UNSIGNED, "bytes", "the longest message"},
    {0},
};

/* In the child. */
static int make_queue(const void *data, struct as_caller_answer *answer)
{
    const struct mq_order *order = data;
    /* The system call takes the name without a slash. */
    int fd = (int)syscall(SYS_mq_open, order->name, O_CREAT | O_EXCL | O_RDWR | O_NONBLOCK | O_CLOEXEC,
                          order->mode, order->has_attributes ? &order->attributes : NULL);
    answer->judged = fd < 0;
    struct stat stat;
    if (fd < 0 || fstat(fd, &stat) < 0)
        return -errno;
    answer->fd = fd;
    answer->number = stat.st_ino;
    return 0;
}

/*
 * The queue must be in the directory that the objects of this kind are in: /dev/mqueue may be of another name
 * space.
 */
static int check_made(int fd, const char *name, struct statx *stat)
{
    int error = mq_fd_stat(fd, stat);
    if (!error && !mq_is_queue(stat)) {
        (void)syscall(SYS_mq_unlink, name);
        error = -EXDEV;
    }
    return error;
}

int mq_make(const struct mq_order *order, struct statx *stat, bool *judged)
{
    const struct as_caller_task task = {
        .resource = RLIMIT_MSGQUEUE, .limit = order->limit, .act = make_queue, .order = order};
    struct as_caller_answer answer;
    int error = as_caller(&task, &answer);
    AUTO_FD fd = answer.fd;
    *judged = answer.judged;
    if (!error)
        error = check_made(fd, order->name, stat);
    if (error && answer.number)
        mq_name_remove_if(order->name, answer.number);
    return error ? error : TAKE_FD(fd);
}

/* ---- what is asked for ---- */

static long to_long(uint64_t number)
{
    return number > LONG_MAX ? LONG_MAX : (long)number;
}

static int take_options(const struct ipcfs_value *options, struct mq_order *out)
{
    const struct ipcfs_value *maxmsg = options ? &options[MQ_OPTION_MAXMSG] : NULL;
    const struct ipcfs_value *msgsize = options ? &options[MQ_OPTION_MSGSIZE] : NULL;
    if (!options || (!maxmsg->known && !msgsize->known))
        return 0;
    struct mq_system system;
    int error = mq_read_system(&system);
    if (error)
        return error;
    out->has_attributes = true;
    out->attributes.mq_maxmsg = to_long(maxmsg->known ? maxmsg->number : mq_default_maxmsg(&system));
    out->attributes.mq_msgsize = to_long(msgsize->known ? msgsize->number : mq_default_msgsize(&system));
    return 0;
}

int mq_order(const struct ipcfs_wish *wish, struct mq_order *out)
{
    *out = (struct mq_order){.name = wish->name, .mode = wish->mode & 07777};
    int error = caller_limit(wish->caller, RLIMIT_MSGQUEUE, &out->limit);
    return error ? error : take_options(wish->options, out);
}
