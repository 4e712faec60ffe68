/* SPDX-License-Identifier: MIT */
#include "sock.h"

#include "fd_file.h"
#include "fd_lock.h"
#include "place_room.h"
#include "refuse.h"
#include "sock_file.h"
#include "sock_listener.h"
#include "sock_nodes.h"
#include "sock_plain.h"
#include "sock_show.h"

#include <errno.h>

/* ---- open files, whatever they are ---- */

static void close_file(struct ipcfs_file *file)
{
    file->ops->close(file);
}

static ssize_t try_read(struct ipcfs_file *file, char *buffer, size_t size, off_t offset, int flags,
                        struct ipcfs_wait *wait)
{
    return file->ops->try_read(file, buffer, size, offset, flags, wait);
}

static ssize_t try_write(struct ipcfs_file *file, const char *data, size_t size, off_t offset, int flags,
                         struct ipcfs_wait *wait)
{
    return file->ops->try_write(file, data, size, offset, flags, wait);
}

static size_t message_room(struct ipcfs_file *file)
{
    return file->ops->message_room ? file->ops->message_room(file) : 0;
}

static uint64_t lane(struct ipcfs_file *file, bool writing)
{
    return file->ops->lane(file, writing);
}

static int poll_file(struct ipcfs_file *file, struct ipcfs_wait *wait)
{
    return file->ops->poll(file, wait);
}

static int try_connect(struct ipcfs_file *file, struct ipcfs_wait *wait)
{
    return file->ops->try_connect ? file->ops->try_connect(file, wait) : -EOPNOTSUPP;
}

static void shut_down(struct ipcfs_file *file, int how)
{
    if (file->ops->shutdown)
        file->ops->shutdown(file, how);
}

/* ---- what regular files alone have ---- */

static int try_lock(struct ipcfs_file *file, const struct ipcfs_lock *lock, struct ipcfs_wait *wait)
{
    int fd = sock_plain_fd(file);
    return fd < 0 ? -EOPNOTSUPP : fd_try_lock(fd, lock, wait);
}

static int get_lock(struct ipcfs_file *file, struct flock *range)
{
    int fd = sock_plain_fd(file);
    return fd < 0 ? -EOPNOTSUPP : fd_get_lock(fd, range);
}

static int allocate(struct ipcfs_file *file, int mode, off_t offset, off_t length)
{
    int fd = sock_plain_fd(file);
    if (fd < 0)
        return -EOPNOTSUPP;
    int error = mode & FALLOC_FL_PUNCH_HOLE ? 0 : place_room(fd, length);
    return error ? error : fd_file_allocate(fd, mode, offset, length);
}

static off_t seek(struct ipcfs_file *file, off_t offset, int whence)
{
    int fd = sock_plain_fd(file);
    return fd < 0 ? -ESPIPE : fd_file_seek(fd, offset, whence);
}

/* ---- what ctl/ shows: backends/sock_show.c ---- */

static int render(const struct ipcfs_ref *ref, struct ipcfs_value *values)
{
    struct statx stat;
    int error = sock_stat(ref, &stat);
    return error ? error : sock_show_state(ref, &stat, values);
}

static int list_render(struct ipcfs_lister *lister, const struct ipcfs_entry *entry,
                       struct ipcfs_value *values)
{
    (void)lister;
    struct ipcfs_ref ref = {.name = entry->name};
    int error = render(&ref, values);
    ipcfs_values_release(sock_fields, values);
    return error;
}

static int limits(const struct caller *caller, struct ipcfs_value *values)
{
    (void)caller;
    return sock_show_limits(values);
}

static const char *const directories[] = {"sock", NULL};

const struct ipcfs_backend ipcfs_sock_backend = {
    .kind = "sock",
    .help = "UNIX sockets (bind), and by mkdir sockets to listen on: directories of control files",
    .directories = directories,
    .fields = sock_fields,
    .limit_fields = sock_limit_fields,
    .limit_rows = sock_limit_rows,
    .totals = sock_totals,
    .options = sock_options,
    .verbs = sock_verbs,
    .files = listener_files,
    .member_files = refuse_files,
    .start = sock_start,
    .stop = sock_stop,
    .stat_directory = sock_stat_directory,
    .stat_system = sock_stat_system,
    .find = sock_find,
    .list_open = sock_list_open,
    .list_seek = nodes_list_seek,
    .list_next = sock_list_next,
    .list_close = nodes_list_close,
    .list_render = list_render,
    .create = sock_create,
    .uncreate = sock_uncreate,
    .remove = sock_remove,
    .rename = sock_rename,
    .link = sock_link,
    .hold = sock_hold,
    .release = nodes_release,
    .stat = sock_stat,
    .change = sock_change,
    .members = refuse_members,
    .render = render,
    .survey_fields = sock_survey_fields,
    .survey = sock_survey,
    .recognize = refuse_recognize,
    .traces = sock_traces,
    .watched = sock_nodes,
    .watched_name = sock_watched_name,
    .look = refuse_look,
    .limits = limits,
    .open = sock_open,
    .may_execute = refuse_execute,
    .close = close_file,
    .try_read = try_read,
    .try_write = try_write,
    .message_room = message_room,
    .lane = lane,
    .poll = poll_file,
    .try_connect = try_connect,
    .shutdown = shut_down,
    .lock_owner = sock_lock_owner,
    .try_lock = try_lock,
    .get_lock = get_lock,
    .allocate = allocate,
    .seek = seek,
    .backing = refuse_backing,
    .range_locks = true,
    .makes = IPCFS_MAKES_SOCKETS | IPCFS_MAKES_FILES | IPCFS_MAKES_DIRECTORIES,
};
