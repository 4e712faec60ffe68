/* SPDX-License-Identifier: MIT */
#include "shm_directory.h"

#include "fd_path.h"
#include "shm.h"

#include "ipcfs/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

struct ipcfs_lister {
    DIR *directory;
};

/* A descriptor of /dev/shm itself, and its device, from start() to stop(). */
static int directory_fd = -1;
static dev_t device;

int shm_directory_fd(void)
{
    return directory_fd;
}

static bool has_prefix(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

bool shm_is_hidden(const char *name)
{
    return has_prefix(name, "sem.") || has_prefix(name, ".ipcfs.") || strchr(name, '/');
}

/* Objects are the regular files of the tmpfs itself, not of what is mounted on a name in it. */
bool shm_is_object(const struct statx *stat)
{
    return S_ISREG(stat->stx_mode) && makedev(stat->stx_dev_major, stat->stx_dev_minor) == device;
}

struct ipcfs_objid shm_object_id(const struct statx *stat)
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
int shm_stat_at(int directory, const char *name, struct statx *out)
{
    int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC | (*name ? 0 : AT_EMPTY_PATH);
    if (statx(directory, name, flags, STATX_BASIC_STATS | STATX_BTIME, out) < 0)
        return -errno;
    return 0;
}

/* ---- start and stop ---- */

int shm_start(void)
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
    device = stat.st_dev;
    directory_fd = TAKE_FD(fd);
    return 0;
}

void shm_stop(void)
{
    ipcfs_cleanup_fd(&directory_fd);
    directory_fd = -1;
}

/* ---- finding and listing ---- */

/* With an access control list the mode does not tell all. ENODATA: there is none; EOPNOTSUPP: there never is. */
static bool has_access_list(int fd)
{
    ssize_t size = fgetxattr(fd, "system.posix_acl_access", NULL, 0);
    return size >= 0 || (errno != ENODATA && errno != EOPNOTSUPP);
}

int shm_stat_directory(unsigned directory, struct ipcfs_directory *out)
{
    (void)directory;
    struct stat stat;
    if (fstat(directory_fd, &stat) < 0)
        return -errno;
    *out = (struct ipcfs_directory){
        .uid = stat.st_uid,
        .gid = stat.st_gid,
        .sticky = stat.st_mode & S_ISVTX,
        .open_to_all = (stat.st_mode & 0111) == 0111 && !has_access_list(directory_fd),
    };
    return 0;
}

int shm_stat_system(struct statvfs *out)
{
    return fstatvfs(directory_fd, out) < 0 ? -errno : 0;
}

int shm_list_open(unsigned directory, struct ipcfs_lister **out)
{
    (void)directory;
    AUTO_FREE struct ipcfs_lister *lister = calloc(1, sizeof *lister);
    if (!lister)
        return -ENOMEM;
    /* By the descriptor: to list a directory takes the right to read it, but not to search it, as "." would. */
    AUTO_FD fd = open(fd_path(directory_fd).text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    lister->directory = fdopendir(fd);
    if (!lister->directory)
        return -errno;
    fd = -1; /* the DIR owns it now */
    *out = TAKE_PTR(lister);
    return 0;
}

int shm_list_seek(struct ipcfs_lister *lister, uint64_t position)
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
    return shm_stat_at(directory_fd, entry->d_name, &stat) == 0 && S_ISREG(stat.stx_mode);
}

int shm_list_next(struct ipcfs_lister *lister, struct ipcfs_entry *out)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(lister->directory);
        if (!entry)
            return -errno;
        if (!is_regular(entry) || shm_is_hidden(entry->d_name))
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

void shm_list_close(struct ipcfs_lister *lister)
{
    closedir(lister->directory);
    free(lister);
}
