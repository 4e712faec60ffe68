/* SPDX-License-Identifier: MIT */
#include "posix_sem.h"

#include "fd_directory.h"
#include "fd_path.h"
#include "posix_sem_directory.h"
#include "posix_sem_files.h"
#include "posix_sem_object.h"
#include "posix_sem_show.h"
#include "refuse.h"
#include "sem_word.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <string.h>

/* How often create() goes round when a name keeps appearing and vanishing under it. */
enum { CREATE_ATTEMPTS = 64 };

/* ---- creation ---- */

enum { OPTION_VALUE };

static const struct ipcfs_field options[] = {
    [OPTION_VALUE] = {"value", IPCFS_UNSIGNED, "", "its first value"},
    {0},
};

static int wanted_value(const struct ipcfs_wish *wish, unsigned *out)
{
    uint64_t value =
        wish->options && wish->options[OPTION_VALUE].known ? wish->options[OPTION_VALUE].number : 0;
    *out = (unsigned)value;
    if (value <= SEM_VALUE_MAX)
        return 0;
    if (wish->reason)
        text_printf(wish->reason, "value=%llu: over SEM_VALUE_MAX (%d)", (unsigned long long)value,
                    SEM_VALUE_MAX);
    return -EINVAL;
}

/* A file without a name, with the semaphore in it: nobody can meet one that is not ready. */
static int make_nameless(mode_t mode, unsigned value)
{
    /* What lies between its members is written as well. */
    sem_t content;
    memset(&content, 0, sizeof content);
    if (sem_init(&content, 1, value) < 0)
        return -errno;
    AUTO_FD fd = openat(posix_sem_tmpfs()->fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode & 0666);
    if (fd < 0)
        return -errno;
    ssize_t count = pwrite(fd, &content, sizeof content, 0);
    if (count < 0)
        return -errno;
    return count == sizeof content ? TAKE_FD(fd) : -ENOSPC;
}

/* All that can fail comes before the name. */
static int make_object(const struct ipcfs_wish *wish, const char *file_name, unsigned value,
                       struct ipcfs_created *out)
{
    AUTO_FD fd = make_nameless(wish->mode, value);
    if (fd < 0)
        return fd;
    int error = nodes_stat_at(fd, "", &out->found.stat);
    if (error)
        return error;
    AUTO_FD path_fd = open(fd_path(fd).text, O_PATH | O_CLOEXEC);
    if (path_fd < 0)
        return -errno;
    AUTO_FREE struct ipcfs_hold *hold = malloc(sizeof *hold);
    if (!hold)
        return -ENOMEM;
    if (linkat(AT_FDCWD, fd_path(fd).text, posix_sem_tmpfs()->fd, file_name, AT_SYMLINK_FOLLOW) < 0)
        return -errno;
    (void)nodes_stat_at(fd, "", &out->found.stat); /* again, for what the name has changed */
    hold->fd = TAKE_FD(path_fd);
    out->hold = TAKE_PTR(hold);
    out->made = true;
    return 0;
}

/* The object that is there. −ENOENT where there is nothing. */
static int open_existing(const char *name, struct ipcfs_created *out)
{
    AUTO_FD fd = posix_sem_path_descriptor(name, &out->found.stat);
    if (fd < 0)
        return fd == -ESTALE ? nodes_refusal(out->found.stat.stx_mode) : fd;
    return nodes_make_hold(&fd, &out->hold);
}

static int make_or_open(const struct ipcfs_wish *wish, const char *file_name, unsigned value,
                        struct ipcfs_created *out)
{
    for (int attempt = 0; attempt < CREATE_ATTEMPTS; attempt++) {
        int error = wish->flags & O_EXCL ? -ENOENT : open_existing(wish->name, out);
        if (error == -ENOENT)
            error = make_object(wish, file_name, value, out);
        if (error != -EEXIST || wish->flags & O_EXCL)
            return error;
        struct statx stat;
        if (nodes_stat_at(posix_sem_tmpfs()->fd, file_name, &stat) == 0 && !posix_sem_is_object(&stat))
            return error;
    }
    return -ESTALE;
}

/* A name of dots is the directory's, as for mkdir(2) and open(2). */
static int check_name(const char *name, struct posix_sem_path *path)
{
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return -EISDIR;
    if (strchr(name, '/'))
        return -EACCES;
    return posix_sem_path(name, path);
}

static int create(const struct ipcfs_wish *wish, struct ipcfs_created *out)
{
    *out = (struct ipcfs_created){0};
    struct posix_sem_path path;
    unsigned value = 0;
    int error = check_name(wish->name, &path);
    if (!error)
        error = wanted_value(wish, &value);
    if (!error)
        error = make_or_open(wish, path.text, value, out);
    if (error)
        return error;
    out->found.id = nodes_object_id(&out->found.stat);
    posix_sem_present(&out->found.stat);
    return 0;
}

static void uncreate(unsigned directory, const char *name, const struct ipcfs_created *created)
{
    (void)directory;
    struct posix_sem_path path;
    if (created->made && posix_sem_path(name, &path) == 0)
        nodes_remove_if(posix_sem_tmpfs(), path.text, created->found.id);
}

/* ---- changes ---- */

static int remove_name(unsigned directory, const char *name)
{
    (void)directory;
    struct posix_sem_path path;
    struct statx stat;
    int error = posix_sem_path(name, &path);
    if (!error)
        error = posix_sem_name_stat(name, &stat); /* what is not shown is not removed either */
    if (error)
        return error;
    return unlinkat(posix_sem_tmpfs()->fd, path.text, 0) < 0 ? -errno : 0;
}

/* The right to search is not the file's: it follows from the others. */
static int apply_change(int path_fd, const struct ipcfs_change *change)
{
    struct ipcfs_change of_file = *change;
    of_file.mode &= 0666;
    return fd_path_change(path_fd, &of_file);
}

static int change(const struct ipcfs_ref *ref, struct ipcfs_file *file, const struct ipcfs_change *change)
{
    (void)file;
    if (change->mask & IPCFS_CHANGE_SIZE)
        return -EISDIR;
    if (ref->hold) {
        int error = fd_directory_check_search(posix_sem_tmpfs()->fd);
        return error ? error : apply_change(ref->hold->fd, change);
    }
    struct statx stat;
    AUTO_FD fd = posix_sem_resolve(ref, &stat);
    return fd < 0 ? fd : apply_change(fd, change);
}

static const char *const directories[] = {"sem", NULL};

const struct ipcfs_backend ipcfs_posix_sem_backend = {
    .kind = "sem",
    .help = "POSIX named semaphores (sem_open): directories of control files",
    .directories = directories,
    .fields = posix_sem_fields,
    .limit_fields = posix_sem_limit_fields,
    .limit_rows = posix_sem_limit_rows,
    .totals = posix_sem_totals,
    .options = options,
    .verbs = refuse_files,
    .files = posix_sem_files,
    .member_files = refuse_files,
    .start = posix_sem_start,
    .stop = posix_sem_stop,
    .stat_directory = posix_sem_stat_directory,
    .stat_system = posix_sem_stat_system,
    .find = posix_sem_find,
    .list_open = posix_sem_list_open,
    .list_seek = nodes_list_seek,
    .list_next = posix_sem_list_next,
    .list_close = nodes_list_close,
    .list_render = posix_sem_list_render,
    .create = create,
    .uncreate = uncreate,
    .remove = remove_name,
    .rename = refuse_rename,
    .link = refuse_link,
    .hold = posix_sem_hold,
    .release = nodes_release,
    .stat = posix_sem_stat,
    .change = change,
    .members = refuse_members,
    .render = posix_sem_render,
    .recognize = posix_sem_recognize,
    .traces = posix_sem_traces,
    .watched = posix_sem_watched,
    .watched_name = posix_sem_watched_name,
    .look = refuse_look,
    .limits = posix_sem_limits,
    .survey_fields = refuse_fields,
    .survey = refuse_survey,
    .open = refuse_open,
    .may_execute = refuse_execute,
    .close = posix_sem_close,
    .try_read = posix_sem_try_read,
    .try_write = posix_sem_try_write,
    .message_room = posix_sem_message_room,
    .lane = posix_sem_lane,
    .poll = posix_sem_poll,
    .try_connect = refuse_connect,
    .shutdown = refuse_shutdown,
    .lock_owner = refuse_lock_owner,
    .try_lock = posix_sem_try_lock,
    .get_lock = refuse_get_lock,
    .allocate = refuse_allocate,
    .seek = refuse_seek,
    .backing = refuse_backing,
    .makes = IPCFS_MAKES_DIRECTORIES,
};
