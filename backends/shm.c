/* SPDX-License-Identifier: MIT */
#include "shm.h"

#include "fd_directory.h"
#include "fd_file.h"
#include "fd_lock.h"
#include "fd_path.h"
#include "refuse.h"
#include "shm_show.h"
#include "tmpfs.h"
#include "tmpfs_show.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <fcntl.h>

struct ipcfs_file {
    int fd; /* of the caller's access mode */
};

/* "sem." is the C library's for semaphores. */
static struct nodes nodes = {.fd = -1, .shows = IPCFS_MAKES_FILES, .foreign = TMPFS_SEMAPHORE_PREFIX};

static int shm_start(void)
{
    return tmpfs_open(&nodes);
}

static void shm_stop(void)
{
    nodes_close(&nodes);
}

/* ---- the directory ---- */

static int shm_watched(void)
{
    return nodes.fd;
}

static const char *shm_watched_name(const char *file, bool *passing)
{
    *passing = false;
    return nodes_watched_name(&nodes, file);
}

static int shm_stat_directory(unsigned directory, struct ipcfs_directory *out)
{
    (void)directory;
    return fd_directory_stat(nodes.fd, out);
}

static int shm_stat_system(struct statvfs *out)
{
    return fd_directory_stat_system(nodes.fd, out);
}

static int shm_list_open(unsigned directory, struct ipcfs_lister **out)
{
    (void)directory;
    return nodes_list_open(&nodes, out);
}

static int shm_list_next(struct ipcfs_lister *lister, struct ipcfs_entry *out)
{
    return nodes_list_next(&nodes, lister, out);
}

/* ---- reaching an object ---- */

static int shm_find(unsigned directory, const char *name, struct ipcfs_found *out, struct ipcfs_hold **hold)
{
    (void)directory;
    return nodes_find(&nodes, name, out, hold);
}

static int shm_hold(const struct ipcfs_ref *ref, struct ipcfs_hold **out)
{
    return nodes_hold(&nodes, ref, out);
}

static int shm_stat(const struct ipcfs_ref *ref, struct statx *out)
{
    return nodes_stat(&nodes, ref, out);
}

/* ---- open files ---- */

static int make_file(int *fd, struct ipcfs_file **out)
{
    struct ipcfs_file *file = malloc(sizeof *file);
    if (!file)
        return -ENOMEM;
    file->fd = TAKE_FD(*fd);
    *out = file;
    return 0;
}

static int shm_open_object(const struct ipcfs_ref *ref, int flags, struct ipcfs_file **out)
{
    AUTO_FD fd = nodes_open_file(&nodes, ref, flags);
    return fd < 0 ? fd : make_file(&fd, out);
}

static int shm_may_execute(const struct ipcfs_ref *ref)
{
    int error = fd_directory_check_search(nodes.fd);
    if (!error && faccessat(AT_FDCWD, fd_path(ref->hold->fd).text, X_OK, AT_EACCESS) < 0)
        error = -errno;
    return error;
}

static void shm_close(struct ipcfs_file *file)
{
    close(file->fd);
    free(file);
}

static int shm_backing(const struct ipcfs_ref *ref)
{
    /* Read-only, so that the daemon never counts as a writer: native execve(2) and leases see only real writers. The
     * kernel opens the file again, with each opener's own access mode. */
    return fd_file_open(ref->hold->fd, O_RDONLY);
}

static ssize_t shm_try_read(struct ipcfs_file *file, char *buffer, size_t size, off_t offset, int flags,
                            struct ipcfs_wait *wait)
{
    (void)flags;
    return fd_file_read(file->fd, buffer, size, offset, wait);
}

static ssize_t shm_try_write(struct ipcfs_file *file, const char *data, size_t size, off_t offset, int flags,
                             struct ipcfs_wait *wait)
{
    return fd_file_write(file->fd, data, size, offset, flags, wait);
}

static int shm_allocate(struct ipcfs_file *file, int mode, off_t offset, off_t length)
{
    return fd_file_allocate(file->fd, mode, offset, length);
}

static off_t shm_seek(struct ipcfs_file *file, off_t offset, int whence)
{
    return fd_file_seek(file->fd, offset, whence);
}

static int shm_poll(struct ipcfs_file *file, struct ipcfs_wait *wait)
{
    (void)file;
    return fd_file_poll(wait);
}

/* ---- creation and changes ---- */

static int shm_create(const struct ipcfs_wish *wish, struct ipcfs_created *out)
{
    AUTO_FD fd = -1;
    int error = nodes_create(&nodes, wish, out, &fd);
    if (error)
        return error;
    error = make_file(&fd, &out->file);
    if (error)
        nodes_take_back(&nodes, wish->name, out);
    return error;
}

static void shm_uncreate(unsigned directory, const char *name, const struct ipcfs_created *created)
{
    (void)directory;
    nodes_uncreate(&nodes, name, created);
}

static int shm_remove(unsigned directory, const char *name)
{
    (void)directory;
    return nodes_remove(&nodes, name, NULL);
}

static int shm_rename(unsigned directory, const char *name, unsigned to_directory, const char *to_name,
                      unsigned flags)
{
    (void)directory;
    (void)to_directory;
    return nodes_rename(&nodes, name, to_name, flags);
}

static int shm_link(const struct ipcfs_ref *ref, unsigned directory, const char *name)
{
    (void)directory;
    return nodes_link(&nodes, ref, name);
}

static int shm_change(const struct ipcfs_ref *ref, struct ipcfs_file *file, const struct ipcfs_change *change)
{
    return nodes_change(&nodes, ref, file ? file->fd : -1, change);
}

/* ---- what ctl/ shows: backends/shm_show.c ---- */

static int shm_render(const struct ipcfs_ref *ref, struct ipcfs_value *values)
{
    struct statx stat;
    int error = shm_stat(ref, &stat);
    if (!error)
        shm_show_state(ref->name, &stat, values);
    return error;
}

static int shm_list_render(struct ipcfs_lister *lister, const struct ipcfs_entry *entry,
                           struct ipcfs_value *values)
{
    (void)lister;
    struct ipcfs_ref ref = {.name = entry->name};
    return shm_render(&ref, values);
}

static bool shm_recognize(const struct ipcfs_thing *thing, uint64_t *number)
{
    return tmpfs_has(&nodes, thing, false, number);
}

static int shm_traces(const struct ipcfs_ref *ref, void **kept, struct ipcfs_traces *out)
{
    (void)kept;
    struct statx stat;
    int error = shm_stat(ref, &stat);
    if (error)
        return error;
    tmpfs_traces(&stat, out);
    out->memory = true;
    out->bytes_known = true;
    out->bytes = stat.stx_size;
    return 0;
}

static int shm_limits(const struct caller *caller, struct ipcfs_value *values)
{
    (void)caller;
    struct statvfs system;
    int error = shm_stat_system(&system);
    return error ? error : shm_show_limits(&system, values);
}

/* ---- locks ---- */

static int shm_lock_owner(const struct ipcfs_ref *ref, struct ipcfs_file **out)
{
    AUTO_FD fd = fd_file_open_to_lock(ref->hold->fd);
    return fd < 0 ? fd : make_file(&fd, out);
}

static int shm_try_lock(struct ipcfs_file *file, const struct ipcfs_lock *lock, struct ipcfs_wait *wait)
{
    return fd_try_lock(file->fd, lock, wait);
}

static int shm_get_lock(struct ipcfs_file *file, struct flock *range)
{
    return fd_get_lock(file->fd, range);
}

static const struct ipcfs_field shm_options[] = {{0}};

static const char *const shm_directories[] = {"shm", NULL};

const struct ipcfs_backend ipcfs_shm_backend = {
    .kind = "shm",
    .help = "POSIX shared memory (shm_open): regular files, mmap included",
    .directories = shm_directories,
    .fields = shm_fields,
    .limit_fields = shm_limit_fields,
    .limit_rows = shm_limit_rows,
    .totals = shm_totals,
    .options = shm_options,
    .verbs = shm_verbs,
    .files = refuse_files,
    .member_files = refuse_files,
    .start = shm_start,
    .stop = shm_stop,
    .stat_directory = shm_stat_directory,
    .stat_system = shm_stat_system,
    .find = shm_find,
    .list_open = shm_list_open,
    .list_seek = nodes_list_seek,
    .list_next = shm_list_next,
    .list_close = nodes_list_close,
    .list_render = shm_list_render,
    .create = shm_create,
    .uncreate = shm_uncreate,
    .remove = shm_remove,
    .rename = shm_rename,
    .link = shm_link,
    .hold = shm_hold,
    .release = nodes_release,
    .stat = shm_stat,
    .change = shm_change,
    .members = refuse_members,
    .render = shm_render,
    .recognize = shm_recognize,
    .traces = shm_traces,
    .watched = shm_watched,
    .watched_name = shm_watched_name,
    .look = refuse_look,
    .limits = shm_limits,
    .survey_fields = refuse_fields,
    .survey = refuse_survey,
    .open = shm_open_object,
    .may_execute = shm_may_execute,
    .close = shm_close,
    .try_read = shm_try_read,
    .try_write = shm_try_write,
    .allocate = shm_allocate,
    .message_room = refuse_message_room,
    .lane = refuse_lane,
    .poll = shm_poll,
    .try_connect = refuse_connect,
    .shutdown = refuse_shutdown,
    .lock_owner = shm_lock_owner,
    .try_lock = shm_try_lock,
    .get_lock = shm_get_lock,
    .seek = shm_seek,
    .backing = shm_backing,
    .range_locks = true,
    .programs = true,
    .makes = IPCFS_MAKES_FILES,
};
