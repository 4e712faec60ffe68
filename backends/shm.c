/* SPDX-License-Identifier: MIT */
#include "shm.h"

#include "fd_lock.h"
#include "fd_path.h"
#include "shm_show.h"

#include "ipcfs/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/xattr.h>

/* Open flags of a caller that go on to the tmpfs. O_APPEND does not: it is a matter of each write (try_write). */
enum { SHM_OPEN_FLAGS = O_ACCMODE | O_DIRECT | O_NOATIME | O_SYNC | O_DSYNC };
/* How often create() goes round when a name keeps appearing and vanishing under it. */
enum { SHM_CREATE_ATTEMPTS = 64 };

struct ipcfs_hold {
    int fd; /* O_PATH */
};

struct ipcfs_file {
    int fd; /* of the caller's access mode */
};

struct ipcfs_lister {
    DIR *directory;
};

/* A descriptor of /dev/shm itself, and its device, from start() to stop(). */
static int shm_directory = -1;
static dev_t shm_device;

static bool has_prefix(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

static bool is_hidden(const char *name)
{
    return has_prefix(name, "sem.") || has_prefix(name, ".ipcfs.") || strchr(name, '/');
}

/* Objects are the regular files of the tmpfs itself, not of what is mounted on a name in it. */
static bool is_object(const struct statx *stat)
{
    return S_ISREG(stat->stx_mode) && makedev(stat->stx_dev_major, stat->stx_dev_minor) == shm_device;
}

static struct ipcfs_objid object_id(const struct statx *stat)
{
    uint64_t birth = 0;
    if (stat->stx_mask & STATX_BTIME)
        birth = (uint64_t)stat->stx_btime.tv_sec * 1000000000U + stat->stx_btime.tv_nsec;
    return (struct ipcfs_objid){.number = stat->stx_ino & ((1ULL << 48) - 1), .birth = birth};
}

/*
 * statx of `name` in `directory`, or of `directory` itself with "". A file system that somebody mounted on a name is
 * not asked (AT_STATX_DONT_SYNC): it might never answer. To the tmpfs the flag means nothing.
 */
static int stat_at(int directory, const char *name, struct statx *out)
{
    int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC | (*name ? 0 : AT_EMPTY_PATH);
    if (statx(directory, name, flags, STATX_BASIC_STATS | STATX_BTIME, out) < 0)
        return -errno;
    return 0;
}

/* ---- start and stop ---- */

static int shm_start(void)
{
    AUTO_FD fd = open(IPCFS_SHM_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    struct statfs system;
    if (fstatfs(fd, &system) < 0)
        return -errno;
    /* The same test as glibc's: anything else is not what shm_open(3) uses. */
    if (system.f_type != TMPFS_MAGIC && (unsigned long)system.f_type != RAMFS_MAGIC)
        return -ENOSYS;
    struct stat stat;
    if (fstat(fd, &stat) < 0)
        return -errno;
    shm_device = stat.st_dev;
    shm_directory = TAKE_FD(fd);
    return 0;
}

static void shm_stop(void)
{
    ipcfs_cleanup_fd(&shm_directory);
    shm_directory = -1;
}

/* ---- finding and listing ---- */

/* With an access control list the mode does not tell all. ENODATA: there is none; EOPNOTSUPP: there never is. */
static bool has_access_list(int fd)
{
    ssize_t size = fgetxattr(fd, "system.posix_acl_access", NULL, 0);
    return size >= 0 || (errno != ENODATA && errno != EOPNOTSUPP);
}

static int shm_stat_directory(unsigned directory, struct ipcfs_directory *out)
{
    (void)directory;
    struct stat stat;
    if (fstat(shm_directory, &stat) < 0)
        return -errno;
    *out = (struct ipcfs_directory){
        .uid = stat.st_uid,
        .gid = stat.st_gid,
        .sticky = stat.st_mode & S_ISVTX,
        .open_to_all = (stat.st_mode & 0111) == 0111 && !has_access_list(shm_directory),
    };
    return 0;
}

static int shm_stat_system(struct statvfs *out)
{
    return fstatvfs(shm_directory, out) < 0 ? -errno : 0;
}

static int shm_list_open(unsigned directory, struct ipcfs_lister **out)
{
    (void)directory;
    AUTO_FREE struct ipcfs_lister *lister = calloc(1, sizeof *lister);
    if (!lister)
        return -ENOMEM;
    /* By the descriptor: to list a directory takes the right to read it, but not to search it, as "." would. */
    AUTO_FD fd = open(fd_path(shm_directory).text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    lister->directory = fdopendir(fd);
    if (!lister->directory)
        return -errno;
    fd = -1; /* the DIR owns it now */
    *out = TAKE_PTR(lister);
    return 0;
}

static int shm_list_seek(struct ipcfs_lister *lister, uint64_t position)
{
    if (position == 0)
        rewinddir(lister->directory);
    else
        seekdir(lister->directory, (long)position);
    return 0;
}

static bool is_regular(const struct dirent *entry)
{
    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_REG;
    struct statx stat;
    return stat_at(shm_directory, entry->d_name, &stat) == 0 && S_ISREG(stat.stx_mode);
}

static int shm_list_next(struct ipcfs_lister *lister, struct ipcfs_entry *out)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(lister->directory);
        if (!entry)
            return -errno;
        if (!is_regular(entry) || is_hidden(entry->d_name))
            continue;
        *out = (struct ipcfs_entry){
            .name = entry->d_name,
            .number = entry->d_ino & ((1ULL << 48) - 1),
            .next = (uint64_t)entry->d_off,
            .type = S_IFREG,
        };
        return 1;
    }
}

static void shm_list_close(struct ipcfs_lister *lister)
{
    closedir(lister->directory);
    free(lister);
}

/* ---- reaching an object ---- */

/* An O_PATH descriptor of the regular file `name`; tells its attributes. −ESTALE for any other kind of file. */
static int path_descriptor(const char *name, struct statx *stat)
{
    *stat = (struct statx){0};
    AUTO_FD fd = openat(shm_directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int error = stat_at(fd, "", stat);
    if (error)
        return error;
    if (!is_object(stat))
        return -ESTALE;
    return TAKE_FD(fd);
}

/* Whether the file of those attributes is the object that `ref` means. */
static bool is_meant(const struct ipcfs_ref *ref, const struct statx *stat)
{
    return ref->id.number == 0 || ipcfs_same_object(object_id(stat), ref->id);
}

/* A new O_PATH descriptor of the object that `ref` means, by its name. */
static int resolve(const struct ipcfs_ref *ref, struct statx *stat)
{
    AUTO_FD fd = path_descriptor(ref->name, stat);
    if (fd < 0)
        return fd == -ENOENT ? -ESTALE : fd;
    if (!is_meant(ref, stat))
        return -ESTALE;
    return TAKE_FD(fd);
}

static int make_hold(int *fd, struct ipcfs_hold **out)
{
    struct ipcfs_hold *hold = malloc(sizeof *hold);
    if (!hold)
        return -ENOMEM;
    hold->fd = TAKE_FD(*fd);
    *out = hold;
    return 0;
}

static int find_and_hold(const char *name, struct ipcfs_found *out, struct ipcfs_hold **hold)
{
    AUTO_FD fd = path_descriptor(name, &out->stat);
    if (fd < 0)
        return fd == -ESTALE ? -ENOENT : fd;
    out->id = object_id(&out->stat);
    return make_hold(&fd, hold);
}

static int shm_find(unsigned directory, const char *name, struct ipcfs_found *out, struct ipcfs_hold **hold)
{
    (void)directory;
    if (strlen(name) > NAME_MAX)
        return -ENAMETOOLONG;
    if (is_hidden(name))
        return -ENOENT;
    if (hold)
        return find_and_hold(name, out, hold);
    int error = stat_at(shm_directory, name, &out->stat);
    if (error)
        return error;
    if (!is_object(&out->stat))
        return -ENOENT;
    out->id = object_id(&out->stat);
    return 0;
}

static int shm_hold(const struct ipcfs_ref *ref, struct ipcfs_hold **out)
{
    struct statx stat;
    AUTO_FD fd = resolve(ref, &stat);
    if (fd < 0)
        return fd;
    return make_hold(&fd, out);
}

static void shm_release(struct ipcfs_hold *hold)
{
    close(hold->fd);
    free(hold);
}

static int shm_stat(const struct ipcfs_ref *ref, struct statx *out)
{
    if (ref->hold)
        return stat_at(ref->hold->fd, "", out);
    int error = stat_at(shm_directory, ref->name, out);
    if (error)
        return error == -ENOENT ? -ESTALE : error;
    if (!is_object(out) || !is_meant(ref, out))
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

/* Whether the calling thread may search /dev/shm: an object reached by a hold is still reached through there. */
static int check_search(void)
{
    return faccessat(shm_directory, ".", X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

static int shm_open_object(const struct ipcfs_ref *ref, int flags, struct ipcfs_file **out)
{
    int error = check_search();
    if (error)
        return error;
    AUTO_FD fd = open_path_descriptor(ref->hold->fd, flags);
    if (fd < 0)
        return fd;
    return make_file(&fd, out);
}

static int shm_may_execute(const struct ipcfs_ref *ref)
{
    int error = check_search();
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

/* What open(2) with O_NOFOLLOW, as shm_open(3) does it, answers where the name is not a regular file. */
static int refusal_of_type(mode_t mode)
{
    if (S_ISLNK(mode))
        return -ELOOP;
    return S_ISDIR(mode) ? -EISDIR : -EEXIST;
}

static void remove_if_same(const char *name, struct ipcfs_objid id)
{
    struct statx named;
    if (stat_at(shm_directory, name, &named) == 0 && ipcfs_same_object(object_id(&named), id))
        (void)unlinkat(shm_directory, name, 0);
}

static void shm_uncreate(unsigned directory, const char *name, const struct ipcfs_created *created)
{
    (void)directory;
    if (created->made)
        remove_if_same(name, created->found.id);
}

/* A new object. −EEXIST where there is something of the name. */
static int make_object(const char *name, int flags, mode_t mode, int *path_fd, struct ipcfs_created *out)
{
    AUTO_FD fd = openat(shm_directory, name,
                        (flags & SHM_OPEN_FLAGS) | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return -errno;
    out->made = true;
    int error = stat_at(fd, "", &out->found.stat);
    if (error)
        return error;
    out->found.id = object_id(&out->found.stat);
    *path_fd = open(fd_path(fd).text, O_PATH | O_CLOEXEC);
    if (*path_fd < 0) {
        error = -errno;
        remove_if_same(name, out->found.id);
        return error;
    }
    return TAKE_FD(fd);
}

/* The object that is there. −ENOENT where there is nothing. */
static int open_existing(const char *name, int flags, int *path_fd, struct ipcfs_created *out)
{
    AUTO_FD path = path_descriptor(name, &out->found.stat);
    if (path < 0)
        return path == -ESTALE ? refusal_of_type(out->found.stat.stx_mode) : path;
    AUTO_FD fd = open_path_descriptor(path, flags);
    if (fd < 0)
        return fd;
    int error = stat_at(path, "", &out->found.stat); /* again: O_TRUNC may have changed it */
    if (error)
        return error;
    out->found.id = object_id(&out->found.stat);
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
    if (is_hidden(wish->name))
        return -EPERM;
    *out = (struct ipcfs_created){0};
    AUTO_FD path_fd = -1;
    AUTO_FD fd = make_or_open(wish->name, wish->flags, wish->mode, &path_fd, out);
    if (fd < 0)
        return fd;
    int error = make_hold(&path_fd, &out->hold);
    if (!error)
        error = make_file(&fd, &out->file);
    if (error) {
        if (out->hold)
            shm_release(TAKE_PTR(out->hold));
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
    return unlinkat(shm_directory, name, 0) < 0 ? -errno : 0;
}

static int shm_rename(unsigned directory, const char *name, unsigned to_directory, const char *to_name,
                      unsigned flags)
{
    (void)to_directory;
    if (is_hidden(to_name))
        return -EPERM;
    int error = check_object(directory, name);
    if (error)
        return error;
    return renameat2(shm_directory, name, shm_directory, to_name, flags) < 0 ? -errno : 0;
}

static int shm_link(const struct ipcfs_ref *ref, unsigned directory, const char *name)
{
    (void)directory;
    if (is_hidden(name))
        return -EPERM;
    struct statx stat;
    AUTO_FD fd = ref->hold ? -1 : resolve(ref, &stat);
    int path_fd = ref->hold ? ref->hold->fd : fd;
    if (path_fd < 0)
        return path_fd;
    if (linkat(AT_FDCWD, fd_path(path_fd).text, shm_directory, name, AT_SYMLINK_FOLLOW) < 0)
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
        int error = file ? 0 : check_search();
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
    .start = shm_start,
    .stop = shm_stop,
    .stat_directory = shm_stat_directory,
    .stat_system = shm_stat_system,
    .find = shm_find,
    .list_open = shm_list_open,
    .list_seek = shm_list_seek,
    .list_next = shm_list_next,
    .list_close = shm_list_close,
    .create = shm_create,
    .uncreate = shm_uncreate,
    .remove = shm_remove,
    .rename = shm_rename,
    .link = shm_link,
    .hold = shm_hold,
    .release = shm_release,
    .stat = shm_stat,
    .change = shm_change,
    .render = shm_render,
    .limits = shm_limits,
    .open = shm_open_object,
    .may_execute = shm_may_execute,
    .close = shm_close,
    .try_read = shm_try_read,
    .try_write = shm_try_write,
    .allocate = shm_allocate,
    .message_room = shm_message_room,
    .lane = shm_lane,
    .poll = shm_poll,
    .lock_owner = shm_lock_owner,
    .try_lock = shm_try_lock,
    .get_lock = shm_get_lock,
    .seek = shm_seek,
    .backing = shm_backing,
    .range_locks = true,
};
