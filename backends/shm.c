/* SPDX-License-Identifier: MIT */
#include "shm.h"

#include "fd_directory.h"
#include "fd_lock.h"
#include "fd_path.h"
#include "refuse.h"
#include "shm_directory.h"
#include "shm_show.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/uio.h>

/* Open flags of a caller that go on to the tmpfs. O_APPEND does not: it is a matter of each write (try_write). */
enum { SHM_OPEN_FLAGS = O_ACCMODE | O_DIRECT | O_NOATIME | O_SYNC | O_DSYNC };
/* How often create() goes round when a name keeps appearing and vanishing under it. */
enum { SHM_CREATE_ATTEMPTS = 64 };

struct ipcfs_file {
    int fd; /* of the caller's access mode */
};

/* ---- reaching an object ---- */

/* A new O_PATH descriptor of the object that `ref` means, by its name. */
static int resolve(const struct ipcfs_ref *ref, struct statx *stat)
{
    AUTO_FD fd = tmpfs_path_descriptor(shm_tmpfs(), ref->name, stat);
    if (fd < 0)
        return fd == -ENOENT ? -ESTALE : fd;
    if (!tmpfs_is_meant(ref, stat))
        return -ESTALE;
    return TAKE_FD(fd);
}

static int find_and_hold(const char *name, struct ipcfs_found *out, struct ipcfs_hold **hold)
{
    AUTO_FD fd = tmpfs_path_descriptor(shm_tmpfs(), name, &out->stat);
    if (fd < 0)
        return fd == -ESTALE ? -ENOENT : fd;
    out->id = tmpfs_object_id(&out->stat);
    return tmpfs_make_hold(&fd, hold);
}

static int shm_find(unsigned directory, const char *name, struct ipcfs_found *out, struct ipcfs_hold **hold)
{
    (void)directory;
    if (strlen(name) > NAME_MAX)
        return -ENAMETOOLONG;
    if (shm_is_hidden(name))
        return -ENOENT;
    if (hold)
        return find_and_hold(name, out, hold);
    int error = tmpfs_stat_at(shm_tmpfs()->fd, name, &out->stat);
    if (error)
        return error;
    if (!tmpfs_is_file(shm_tmpfs(), &out->stat))
        return -ENOENT;
    out->id = tmpfs_object_id(&out->stat);
    return 0;
}

static int shm_hold(const struct ipcfs_ref *ref, struct ipcfs_hold **out)
{
    struct statx stat;
    AUTO_FD fd = resolve(ref, &stat);
    if (fd < 0)
        return fd;
    return tmpfs_make_hold(&fd, out);
}

static int shm_stat(const struct ipcfs_ref *ref, struct statx *out)
{
    if (ref->hold)
        return tmpfs_stat_at(ref->hold->fd, "", out);
    int error = tmpfs_stat_at(shm_tmpfs()->fd, ref->name, out);
    if (error)
        return error == -ENOENT ? -ESTALE : error;
    if (!tmpfs_is_file(shm_tmpfs(), out) || !tmpfs_is_meant(ref, out))
        return -ESTALE;
    return 0;
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

static int open_path_descriptor(int path_fd, int flags)
{
    struct fd_path path = fd_path(path_fd);
    /* O_NONBLOCK: where somebody has a lease on the file (fcntl(2), F_SETLEASE), open(2) would wait for him. */
    int fd = open(path.text, (flags & (SHM_OPEN_FLAGS | O_TRUNC)) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

static int shm_open_object(const struct ipcfs_ref *ref, int flags, struct ipcfs_file **out)
{
    int error = fd_directory_check_search(shm_tmpfs()->fd);
    if (error)
        return error;
    AUTO_FD fd = open_path_descriptor(ref->hold->fd, flags);
    if (fd < 0)
        return fd;
    return make_file(&fd, out);
}

static int shm_may_execute(const struct ipcfs_ref *ref)
{
    int error = fd_directory_check_search(shm_tmpfs()->fd);
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
    return open_path_descriptor(ref->hold->fd, O_RDONLY);
}

static void shm_uncreate(unsigned directory, const char *name, const struct ipcfs_created *created)
{
    (void)directory;
    if (created->made)
        tmpfs_remove_if(shm_tmpfs(), name, created->found.id);
}

/* A new object. −EEXIST where there is something of the name. */
static int make_object(const char *name, int flags, mode_t mode, int *path_fd, struct ipcfs_created *out)
{
    AUTO_FD fd = openat(shm_tmpfs()->fd, name,
                        (flags & SHM_OPEN_FLAGS) | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return -errno;
    out->made = true;
    int error = tmpfs_stat_at(fd, "", &out->found.stat);
    if (error)
        return error;
    out->found.id = tmpfs_object_id(&out->found.stat);
    *path_fd = open(fd_path(fd).text, O_PATH | O_CLOEXEC);
    if (*path_fd < 0) {
        error = -errno;
        tmpfs_remove_if(shm_tmpfs(), name, out->found.id);
        return error;
    }
    return TAKE_FD(fd);
}

/* The object that is there. −ENOENT where there is nothing. */
static int open_existing(const char *name, int flags, int *path_fd, struct ipcfs_created *out)
{
    AUTO_FD path = tmpfs_path_descriptor(shm_tmpfs(), name, &out->found.stat);
    if (path < 0)
        return path == -ESTALE ? tmpfs_refusal(out->found.stat.stx_mode) : path;
    AUTO_FD fd = open_path_descriptor(path, flags);
    if (fd < 0)
        return fd;
    int error = tmpfs_stat_at(path, "", &out->found.stat); /* again: O_TRUNC may have changed it */
    if (error)
        return error;
    out->found.id = tmpfs_object_id(&out->found.stat);
    *path_fd = TAKE_FD(path);
    return TAKE_FD(fd);
}

static int make_or_open(const char *name, int flags, mode_t mode, int *path_fd, struct ipcfs_created *out)
{
    for (int attempt = 0; attempt < SHM_CREATE_ATTEMPTS; attempt++) {
        int fd = make_object(name, flags, mode, path_fd, out);
        if (fd != -EEXIST || flags & O_EXCL)
            return fd;
        fd = open_existing(name, flags, path_fd, out);
        if (fd != -ENOENT)
            return fd;
    }
    return -ESTALE;
}

static int shm_create(const struct ipcfs_wish *wish, struct ipcfs_created *out)
{
    if (shm_is_hidden(wish->name))
        return -EPERM;
    *out = (struct ipcfs_created){0};
    AUTO_FD path_fd = -1;
    AUTO_FD fd = make_or_open(wish->name, wish->flags, wish->mode, &path_fd, out);
    if (fd < 0)
        return fd;
    int error = tmpfs_make_hold(&path_fd, &out->hold);
    if (!error)
        error = make_file(&fd, &out->file);
    if (error) {
        if (out->hold)
            tmpfs_release(TAKE_PTR(out->hold));
        shm_uncreate(wish->directory, wish->name, out);
    }
    return error;
}

static ssize_t shm_try_read(struct ipcfs_file *file, char *buffer, size_t size, off_t offset, int flags,
                            struct ipcfs_wait *wait)
{
    (void)flags;
    wait->source = IPCFS_WAIT_NONE;
    ssize_t count = pread(file->fd, buffer, size, offset);
    return count < 0 ? -errno : count;
}

static ssize_t shm_try_write(struct ipcfs_file *file, const char *data, size_t size, off_t offset, int flags,
                             struct ipcfs_wait *wait)
{
    wait->source = IPCFS_WAIT_NONE;
    struct iovec vector = {.iov_base = (void *)data, .iov_len = size};
    ssize_t count = pwritev2(file->fd, &vector, 1, offset, flags & O_APPEND ? RWF_APPEND : 0);
    return count < 0 ? -errno : count;
}

static int shm_allocate(struct ipcfs_file *file, int mode, off_t offset, off_t length)
{
    return fallocate(file->fd, mode, offset, length) < 0 ? -errno : 0;
}

static off_t shm_seek(struct ipcfs_file *file, off_t offset, int whence)
{
    off_t position = lseek(file->fd, offset, whence);
    return position < 0 ? -errno : position;
}

/* ---- changes ---- */

/* −ENOENT where the name means no object: what is not shown is not removed or moved either. */
static int check_object(unsigned directory, const char *name)
{
    struct ipcfs_found found;
    return shm_find(directory, name, &found, NULL);
}

static int shm_remove(unsigned directory, const char *name)
{
    int error = check_object(directory, name);
    if (error)
        return error;
    return unlinkat(shm_tmpfs()->fd, name, 0) < 0 ? -errno : 0;
}

static int shm_rename(unsigned directory, const char *name, unsigned to_directory, const char *to_name,
                      unsigned flags)
{
    (void)to_directory;
    if (shm_is_hidden(to_name))
        return -EPERM;
    int error = check_object(directory, name);
    if (error)
        return error;
    return renameat2(shm_tmpfs()->fd, name, shm_tmpfs()->fd, to_name, flags) < 0 ? -errno : 0;
}

static int shm_link(const struct ipcfs_ref *ref, unsigned directory, const char *name)
{
    (void)directory;
    if (shm_is_hidden(name))
        return -EPERM;
    struct statx stat;
    AUTO_FD fd = ref->hold ? -1 : resolve(ref, &stat);
    int path_fd = ref->hold ? ref->hold->fd : fd;
    if (path_fd < 0)
        return path_fd;
    if (linkat(AT_FDCWD, fd_path(path_fd).text, shm_tmpfs()->fd, name, AT_SYMLINK_FOLLOW) < 0)
        return -errno;
    return 0;
}

/* By the descriptor of the caller, or by one opened for it: truncate(2) would wait for a lease. */
static int change_size(int path_fd, const struct ipcfs_file *file, off_t size)
{
    AUTO_FD own_fd = file ? -1 : open_path_descriptor(path_fd, O_WRONLY);
    int fd = file ? file->fd : own_fd;
    if (fd < 0)
        return fd;
    return ftruncate(fd, size) < 0 ? -errno : 0;
}

/* Sizes first and modes after owners: chown(2) and truncate(2) clear set-user-ID bits that `mode` may set again. */
static int apply_change(int path_fd, const struct ipcfs_file *file, const struct ipcfs_change *change)
{
    if (change->mask & IPCFS_CHANGE_SIZE) {
        int error = change_size(path_fd, file, change->size);
        if (error)
            return error;
    }
    return fd_path_change(path_fd, change);
}

static int shm_change(const struct ipcfs_ref *ref, struct ipcfs_file *file, const struct ipcfs_change *change)
{
    if (ref->hold) {
        int error = file ? 0 : fd_directory_check_search(shm_tmpfs()->fd);
        return error ? error : apply_change(ref->hold->fd, file, change);
    }
    struct statx stat;
    AUTO_FD fd = resolve(ref, &stat);
    if (fd < 0)
        return fd;
    return apply_change(fd, file, change);
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

static int shm_limits(const struct caller *caller, struct ipcfs_value *values)
{
    (void)caller;
    struct statvfs system;
    int error = shm_stat_system(&system);
    if (!error)
        shm_show_limits(&system, values);
    return error;
}

/* ---- what shared memory has none of ---- */

static size_t shm_message_room(struct ipcfs_file *file)
{
    (void)file;
    return 0;
}

static uint64_t shm_lane(struct ipcfs_file *file, bool writing)
{
    (void)file;
    return writing;
}

static int shm_poll(struct ipcfs_file *file, struct ipcfs_wait *wait)
{
    (void)file;
    wait->source = IPCFS_WAIT_NONE;
    return POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM; /* as every regular file */
}

/* ---- locks ---- */

/* For writing, because a lock for writing takes that. Who is refused it has nobody with such a lock to serve. */
static int shm_lock_owner(const struct ipcfs_ref *ref, struct ipcfs_file **out)
{
    AUTO_FD fd = open_path_descriptor(ref->hold->fd, O_RDWR);
    if (fd == -EACCES || fd == -EPERM || fd == -ETXTBSY || fd == -EROFS)
        fd = open_path_descriptor(ref->hold->fd, O_RDONLY);
    if (fd < 0)
        return fd;
    return make_file(&fd, out);
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
    .list_seek = tmpfs_list_seek,
    .list_next = shm_list_next,
    .list_close = tmpfs_list_close,
    .list_render = shm_list_render,
    .create = shm_create,
    .uncreate = shm_uncreate,
    .remove = shm_remove,
    .rename = shm_rename,
    .link = shm_link,
    .hold = shm_hold,
    .release = tmpfs_release,
    .stat = shm_stat,
    .change = shm_change,
    .members = refuse_members,
    .render = shm_render,
    .limits = shm_limits,
    .survey_fields = refuse_fields,
    .survey = refuse_survey,
    .open = shm_open_object,
    .may_execute = shm_may_execute,
    .close = shm_close,
    .try_read = shm_try_read,
    .try_write = shm_try_write,
    .allocate = shm_allocate,
    .message_room = shm_message_room,
    .lane = shm_lane,
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
