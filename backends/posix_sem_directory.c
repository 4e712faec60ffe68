/* SPDX-License-Identifier: MIT */
#include "posix_sem_directory.h"

#include "fd_path.h"
#include "sem_word.h"
#include "shm.h"
#include "shm_directory.h"

#include "ipcfs/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

struct ipcfs_lister {
    DIR *directory;
};

/* Of its own, beside that of shared memory: each kind starts and stops by itself. */
static int directory_fd = -1;
static dev_t device;

int posix_sem_directory_fd(void)
{
    return directory_fd;
}

int posix_sem_check_search(void)
{
    return faccessat(directory_fd, ".", X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

/* ---- start and stop ---- */

static int open_directory(void)
{
    AUTO_FD fd = open(IPCFS_SHM_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    struct statfs system;
    struct stat stat;
    if (fstatfs(fd, &system) < 0 || fstat(fd, &stat) < 0)
        return -errno;
    /* The same test as glibc's: anything else is not what sem_open(3) uses. */
    if (system.f_type != TMPFS_MAGIC && (unsigned long)system.f_type != RAMFS_MAGIC)
        return -ENOSYS;
    device = stat.st_dev;
    directory_fd = TAKE_FD(fd);
    return 0;
}

int posix_sem_start(void)
{
    int error = sem_word_start();
    if (error)
        return error;
    error = open_directory();
    if (error)
        sem_word_stop();
    return error;
}

void posix_sem_stop(void)
{
    ipcfs_cleanup_fd(&directory_fd);
    directory_fd = -1;
    sem_word_stop();
}

/* ---- names ---- */

int posix_sem_path(const char *name, struct posix_sem_path *out)
{
    if (strlen(name) > POSIX_SEM_NAME_MAX)
        return -ENAMETOOLONG;
    /* glibc takes "." and ".." as names, but no directory can show them. */
    if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strchr(name, '/'))
        return -ENOENT;
    (void)snprintf(out->text, sizeof out->text, POSIX_SEM_PREFIX "%s", name);
    return 0;
}

bool posix_sem_is_object(const struct statx *stat)
{
    return S_ISREG(stat->stx_mode) && stat->stx_size >= sizeof(sem_t) &&
           makedev(stat->stx_dev_major, stat->stx_dev_minor) == device;
}

int posix_sem_name_stat(const char *name, struct statx *out)
{
    struct posix_sem_path path;
    int error = posix_sem_path(name, &path);
    if (!error)
        error = shm_stat_at(directory_fd, path.text, out);
    if (!error && !posix_sem_is_object(out))
        error = -ENOENT;
    return error;
}

/* ---- the directory itself ---- */

/* With an access control list the mode does not tell all. ENODATA: there is none; EOPNOTSUPP: there never is. */
static bool has_access_list(int fd)
{
    ssize_t size = fgetxattr(fd, "system.posix_acl_access", NULL, 0);
    return size >= 0 || (errno != ENODATA && errno != EOPNOTSUPP);
}

int posix_sem_stat_directory(unsigned directory, struct ipcfs_directory *out)
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

int posix_sem_stat_system(struct statvfs *out)
{
    return fstatvfs(directory_fd, out) < 0 ? -errno : 0;
}

/* ---- walks ---- */

int posix_sem_list_open(unsigned directory, struct ipcfs_lister **out)
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

int posix_sem_list_seek(struct ipcfs_lister *lister, uint64_t position)
{
    if (position == 0)
        rewinddir(lister->directory);
    else
        seekdir(lister->directory, (long)position);
    return 0;
}

/* The name of the semaphore that the entry is, or NULL. */
static const char *name_of(const struct dirent *entry)
{
    static const size_t prefix = sizeof POSIX_SEM_PREFIX - 1;
    bool may_be = entry->d_type == DT_REG || entry->d_type == DT_UNKNOWN;
    if (!may_be || strncmp(entry->d_name, POSIX_SEM_PREFIX, prefix) != 0)
        return NULL;
    struct statx stat;
    const char *name = entry->d_name + prefix;
    int error = posix_sem_name_stat(name, &stat);
    /* Who may list the directory but not search it is told the names. */
    return error == 0 || (error == -EACCES && entry->d_type == DT_REG) ? name : NULL;
}

int posix_sem_list_next(struct ipcfs_lister *lister, struct ipcfs_entry *out)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry =
            readdir(lister->directory); // NOLINT(concurrency-mt-unsafe): one user per DIR
        if (!entry)
            return -errno;
        const char *name = name_of(entry);
        if (!name)
            continue;
        *out = (struct ipcfs_entry){
            .name = name,
            .number = entry->d_ino & ((1ULL << 48) - 1),
            .next = (uint64_t)entry->d_off,
            .type = S_IFDIR,
        };
        return 1;
    }
}

void posix_sem_list_close(struct ipcfs_lister *lister)
{
    closedir(lister->directory);
    free(lister);
}
