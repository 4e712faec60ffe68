/* SPDX-License-Identifier: MIT */
#include "mq.h"

#include "fd_path.h"
#include "mq_directory.h"
#include "mq_limits.h"
#include "mq_make.h"
#include "mq_queue.h"
#include "mq_show.h"
#include "refuse.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <string.h>

/* How often create() goes round when a name keeps appearing and vanishing under it. */
enum { MQ_CREATE_ATTEMPTS = 64 };
/* The largest priority, + 1 (MQ_PRIO_MAX of linux/mqueue.h, which does not go with mqueue.h). */
enum { MQ_PRIORITIES = 32768 };

/* ---- creation ---- */

static int make_queue(const struct ipcfs_wish *wish, struct ipcfs_created *out)
{
    bool judged = false;
    struct mq_order order;
    int error = mq_order(wish, &order);
    if (error)
        return error;
    int fd = mq_make(&order, &out->found.stat, &judged);
    out->made = fd >= 0;
    if (fd < 0 && judged)
        mq_explain(&order, fd, wish->reason);
    return fd;
}

/* O_CREAT | O_RDWR for what does not exist, otherwise what the caller asked for. */
static int open_or_make(const struct ipcfs_wish *wish, int *access, struct ipcfs_created *out)
{
    const int modes[] = {wish->flags & O_ACCMODE, MQ_MODES_END};
    for (int attempt = 0; attempt < MQ_CREATE_ATTEMPTS; attempt++) {
        int fd = wish->flags & O_EXCL ? -ENOENT : mq_open_first(wish->name, modes, access, &out->found.stat);
        if (fd != -ENOENT)
            return fd;
        *access = O_RDWR;
        fd = make_queue(wish, out);
        if (fd != -EEXIST || wish->flags & O_EXCL)
            return fd;
    }
    return -ESTALE;
}

static void mq_uncreate(unsigned directory, const char *name, const struct ipcfs_created *created)
{
    (void)directory;
    if (created->made)
        mq_name_remove_if(name, created->found.stat.stx_ino);
}

static int finish_creation(int *fd, int access, int wanted_access, struct ipcfs_created *out)
{
    out->found.id = mq_id(&out->found.stat);
    int error = mq_look(*fd, access, &out->found.stat);
    if (!error)
        error = mq_make_hold(fd, access, &out->hold);
    /* The hold's descriptor serves the file too: there is none of its own to be kept. */
    if (!error)
        error = mq_make_file(out->hold, fd, wanted_access, &out->file);
    return error;
}

/* A name of dots is the directory's, as for open(2). */
static int check_name(const char *name)
{
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return -EISDIR;
    return strchr(name, '/') ? -EACCES : 0;
}

static int mq_create(const struct ipcfs_wish *wish, struct ipcfs_created *out)
{
    *out = (struct ipcfs_created){0};
    int access = O_PATH;
    int wanted_access = wish->flags & O_ACCMODE;
    int error = wanted_access == O_ACCMODE ? -EINVAL : check_name(wish->name);
    if (error)
        return error;
    AUTO_FD fd = open_or_make(wish, &access, out);
    if (fd < 0)
        return fd;
    error = finish_creation(&fd, access, wanted_access, out);
    if (error) {
        if (out->hold)
            mq_release(TAKE_PTR(out->hold));
        mq_uncreate(wish->directory, wish->name, out);
    }
    return error;
}

/* ---- messages ---- */

/*
 * Changes in each second in which a message is sent or received: both set all times of the inode, of which this one is not set
 * by looking (mq.h). Never 0.
 */
static uint64_t traffic(int fd)
{
    struct stat stat;
    if (fstat(fd, &stat) < 0)
        return 0;
    return ((uint64_t)stat.st_mtim.tv_sec * 1000000000 + (uint64_t)stat.st_mtim.tv_nsec) | 1;
}

/* `error` of a native call on the file; says what to wait for where it would have waited. */
static ssize_t would_wait(const struct ipcfs_file *file, ssize_t error, short events, struct ipcfs_wait *wait)
{
    if (error == -EAGAIN)
        *wait = (struct ipcfs_wait){
            .source = IPCFS_WAIT_POLL, .fd = file->fd, .events = events, .traffic = traffic(file->fd)};
    return error;
}

enum { NO_DESCRIPTOR_MS = 100 };

/*
 * For a keeper: a descriptor that waits. O_NONBLOCK is of the open file, which others use, so it is one of its own. −EINTR
 * where there is none to be had, after a short wait for `events` instead: then it is tried again.
 */
static int open_waiting(const struct ipcfs_file *file, int access, short events)
{
    int fd = open(fd_path(file->fd).text, access | O_CLOEXEC | O_NOCTTY);
    struct pollfd state = {.fd = file->fd, .events = events};
    if (fd < 0)
        (void)poll(&state, 1, NO_DESCRIPTOR_MS);
    return fd < 0 ? -EINTR : fd;
}

static ssize_t receive_waiting(const struct ipcfs_file *file, char *buffer, size_t size)
{
    AUTO_FD fd = open_waiting(file, O_RDONLY, POLLIN);
    if (fd < 0)
        return fd;
    ssize_t count = mq_receive(fd, buffer, size, NULL);
    return count < 0 ? -errno : count;
}

static int send_waiting(const struct ipcfs_file *file, const char *data, size_t size)
{
    AUTO_FD fd = open_waiting(file, O_WRONLY, POLLOUT);
    if (fd < 0)
        return fd;
    return mq_send(fd, data, size, file->priority) < 0 ? -errno : 0;
}

static ssize_t receive_now(const struct ipcfs_file *file, char *buffer, size_t size)
{
    ssize_t count = mq_receive(file->fd, buffer, size, NULL);
    return count < 0 ? -errno : count;
}

static int send_now(const struct ipcfs_file *file, const char *data, size_t size)
{
    return mq_send(file->fd, data, size, file->priority) < 0 ? -errno : 0;
}

static ssize_t mq_try_read(struct ipcfs_file *file, char *buffer, size_t size, off_t offset, int flags,
                           struct ipcfs_wait *wait)
{
    (void)offset;
    (void)flags;
    wait->source = IPCFS_WAIT_NONE;
    if (!mq_may_read(file->access))
        return -EBADF;
    ssize_t count = wait->block ? receive_waiting(file, buffer, size) : receive_now(file, buffer, size);
    return count == -EMSGSIZE ? -E2BIG : would_wait(file, count, POLLIN, wait);
}

static ssize_t mq_try_write(struct ipcfs_file *file, const char *data, size_t size, off_t offset, int flags,
                            struct ipcfs_wait *wait)
{
    (void)offset;
    (void)flags;
    wait->source = IPCFS_WAIT_NONE;
    if (!mq_may_write(file->access))
        return -EBADF;
    int error = wait->block ? send_waiting(file, data, size) : send_now(file, data, size);
    return error ? would_wait(file, error, POLLOUT, wait) : (ssize_t)size;
}

static size_t mq_message_room(struct ipcfs_file *file)
{
    return file->message_size;
}

static uint64_t mq_lane(struct ipcfs_file *file, bool writing)
{
    (void)file;
    return writing;
}

static int mq_poll(struct ipcfs_file *file, struct ipcfs_wait *wait)
{
    struct pollfd state = {
        .fd = file->fd,
        .events = (short)((mq_may_read(file->access) ? POLLIN | POLLRDNORM : 0) |
                          (mq_may_write(file->access) ? POLLOUT | POLLWRNORM : 0)),
    };
    *wait = (struct ipcfs_wait){
        .block = wait->block, .source = IPCFS_WAIT_POLL, .fd = file->fd, .events = state.events};
    return poll(&state, 1, 0) < 0 ? -errno : state.revents;
}

/* ---- changes ---- */

/* At most as many as there were at the start: it must come to an end where others keep sending. */
static int drop_messages(int fd)
{
    struct mq_attr attributes;
    if (mq_getattr(fd, &attributes) < 0)
        return -errno;
    AUTO_FREE char *buffer = malloc((size_t)attributes.mq_msgsize);
    if (!buffer)
        return -ENOMEM;
    for (long i = 0; i < attributes.mq_curmsgs; i++)
        if (mq_receive(fd, buffer, (size_t)attributes.mq_msgsize, NULL) < 0)
            return errno == EAGAIN ? 0 : -errno;
    return 0;
}

/*
 * truncate(2) takes the right to write, and ftruncate(2) a descriptor that may. Messages can only be taken by
 * who may also read; a descriptor that may not, as the one of truncate(1), does where its user may.
 */
static int change_size(int path_fd, const struct ipcfs_file *file, off_t size)
{
    if (size != 0 || (file && !mq_may_write(file->access)))
        return -EINVAL;
    if (file && mq_may_read(file->access))
        return drop_messages(file->fd);
    AUTO_FD fd = mq_fd_open(path_fd, file ? O_RDONLY : O_RDWR);
    return fd < 0 ? fd : drop_messages(fd);
}

static int apply_change(int path_fd, const struct ipcfs_file *file, const struct ipcfs_change *change)
{
    if (change->mask & IPCFS_CHANGE_SIZE) {
        int error = change_size(path_fd, file, change->size);
        if (error)
            return error;
    }
    return fd_path_change(path_fd, change);
}

static int mq_change(const struct ipcfs_ref *ref, struct ipcfs_file *file, const struct ipcfs_change *change)
{
    if (ref->hold) {
        int error = file ? 0 : mq_check_search();
        return error ? error : apply_change(ref->hold->fd, file, change);
    }
    struct statx stat;
    int access = O_PATH;
    AUTO_FD fd = mq_resolve(ref, mq_for_nothing, &access, &stat);
    return fd < 0 ? fd : apply_change(fd, file, change);
}

static int mq_remove(unsigned directory, const char *name)
{
    (void)directory;
    struct statx stat;
    int error = mq_name_stat(name, &stat);
    if (!error && !mq_is_queue(&stat))
        error = -ENOENT; /* what is not shown is not removed either */
    return error ? error : mq_name_remove(name);
}

/* ---- what ctl/ shows ---- */

/* For whoever may neither read nor write, −1. */
static int open_to_show(int path_fd)
{
    int fd = mq_fd_open(path_fd, O_RDONLY);
    if (fd == -EACCES)
        fd = mq_fd_open(path_fd, O_WRONLY);
    return fd;
}

static int mq_render(const struct ipcfs_ref *ref, struct ipcfs_value *values)
{
    struct statx stat;
    int access = O_PATH;
    AUTO_FD own_path = ref->hold ? -1 : mq_resolve(ref, mq_for_nothing, &access, &stat);
    int path_fd = ref->hold ? ref->hold->fd : own_path;
    if (path_fd < 0)
        return path_fd;
    int error = ref->hold ? mq_check_search() : 0;
    if (!error)
        error = mq_fd_stat(path_fd, &stat);
    if (error)
        return error;
    AUTO_FD fd = open_to_show(path_fd);
    if (fd < 0 && fd != -EACCES)
        return fd;
    return mq_show_state(ref->name, &stat, fd, values);
}

static int mq_list_render(struct ipcfs_lister *lister, const struct ipcfs_entry *entry,
                          struct ipcfs_value *values)
{
    (void)lister;
    struct ipcfs_ref ref = {.name = entry->name};
    return mq_render(&ref, values);
}

static int mq_traces(const struct ipcfs_ref *ref, void **kept, struct ipcfs_traces *out)
{
    (void)kept;
    struct statx stat;
    int access = O_PATH;
    AUTO_FD own_path = ref->hold ? -1 : mq_resolve(ref, mq_for_nothing, &access, &stat);
    int path_fd = ref->hold ? ref->hold->fd : own_path;
    int error = path_fd < 0 ? path_fd : mq_fd_stat(path_fd, &stat);
    if (error)
        return error;
    AUTO_FD fd = open_to_show(path_fd);
    return fd < 0 && fd != -EACCES ? fd : mq_show_traces(&stat, fd, out);
}

static int open_prio(const struct ipcfs_ref *ref, int64_t number, int flags, struct ipcfs_file **out)
{
    if (number < 0 || number >= MQ_PRIORITIES)
        return -ENOENT;
    if ((flags & O_ACCMODE) != O_WRONLY)
        return -EACCES;
    int error = mq_open_queue(ref, flags, out);
    if (!error)
        (*out)->priority = (unsigned)number;
    return error;
}

static const struct ipcfs_verb mq_verbs[] = {
    {.name = "prio",
     .type = IPCFS_VERB_FILE,
     .mode = 0222,
     .help = "prio/N: each write sends a message at priority N, 0 to 32767",
     .numbered = true,
     .unlisted = true,
     .open = open_prio},
    {0},
};

static const char *const mq_directories[] = {"mq", NULL};

const struct ipcfs_backend ipcfs_mq_backend = {
    .kind = "mq",
    .help = "POSIX message queues (mq_open): a write sends a message, a read receives one",
    .directories = mq_directories,
    .fields = mq_fields,
    .limit_fields = mq_limit_fields,
    .limit_rows = mq_limit_rows,
    .totals = mq_totals,
    .options = mq_options,
    .verbs = mq_verbs,
    .files = refuse_files,
    .member_files = refuse_files,
    .start = mq_directory_start,
    .stop = mq_directory_stop,
    .stat_directory = mq_stat_directory,
    .stat_system = mq_stat_system,
    .find = mq_find,
    .list_open = mq_list_open,
    .list_seek = mq_list_seek,
    .list_next = mq_list_next,
    .list_close = mq_list_close,
    .list_render = mq_list_render,
    .create = mq_create,
    .uncreate = mq_uncreate,
    .remove = mq_remove,
    .rename = refuse_rename,
    .link = refuse_link,
    .hold = mq_hold,
    .release = mq_release,
    .stat = mq_stat,
    .change = mq_change,
    .members = refuse_members,
    .render = mq_render,
    .recognize = mq_recognize,
    .traces = mq_traces,
    .watched = mq_directory_watched,
    .watched_name = mq_watched_name,
    .look = mq_look_all,
    .limits = mq_limits,
    .survey_fields = refuse_fields,
    .survey = refuse_survey,
    .open = mq_open_queue,
    .may_execute = refuse_execute,
    .close = mq_close_file,
    .try_read = mq_try_read,
    .try_write = mq_try_write,
    .message_room = mq_message_room,
    .lane = mq_lane,
    .poll = mq_poll,
    .try_connect = refuse_connect,
    .shutdown = refuse_shutdown,
    .lock_owner = refuse_lock_owner,
    .try_lock = refuse_try_lock,
    .get_lock = refuse_get_lock,
    .allocate = refuse_allocate,
    .seek = refuse_seek,
    .backing = refuse_backing,
    .messages = true,
    .makes = IPCFS_MAKES_FILES,
};
