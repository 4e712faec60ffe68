/* SPDX-License-Identifier: MIT */
#include "proc_fds.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/number.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>

/* ---- the walk ---- */

struct walk {
    proc_fd_visit *visit;
    void *data;
};

/* The error; 0 for those of a process that ends, or is none of the caller's. */
static int unless_out_of_reach(int error)
{
    bool out_of_reach = error == -ENOENT || error == -ESRCH || error == -EACCES || error == -EPERM;
    return out_of_reach ? 0 : error;
}

static bool parse_id(const char *name, int *out)
{
    uint64_t number = 0;
    if (parse_digits(name, strlen(name), 10, INT_MAX, &number))
        return false;
    *out = (int)number;
    return true;
}

static void close_directory(DIR **directory)
{
    if (*directory)
        closedir(*directory);
}
#define AUTO_DIRECTORY __attribute__((cleanup(close_directory))) DIR

/* NULL, and errno. */
static DIR *open_directory(int parent, const char *path)
{
    AUTO_FD fd = openat(parent, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (directory)
        (void)TAKE_FD(fd); /* it owns it now */
    return directory;
}

/*
 * The next name that is a number; NULL at the end, and errno, which is 0 there. Both directories are read in the order of
 * the numbers, so what comes and goes meanwhile makes nothing else appear twice or not at all.
 */
static const char *next_number(DIR *directory, int *number)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(directory); // NOLINT(concurrency-mt-unsafe): one user per DIR
        if (!entry)
            return NULL;
        if (parse_id(entry->d_name, number))
            return entry->d_name;
    }
}

static int visit_descriptor(const struct walk *walk, struct proc_fd *fd)
{
    char target[PATH_MAX];
    ssize_t length = readlinkat(fd->directory, fd->name, target, sizeof target - 1);
    if (length < 0 && errno != ENAMETOOLONG)
        return unless_out_of_reach(-errno);
    target[length < 0 ? 0 : length] = '\0';
    fd->target = target;
    return walk->visit(walk->data, fd);
}

static int walk_process(const struct walk *walk, int proc, pid_t pid)
{
    char path[sizeof "/fd" + 3 * sizeof pid];
    (void)snprintf(path, sizeof path, "%d/fd", pid);
    AUTO_DIRECTORY *directory = open_directory(proc, path);
    if (!directory)
        return unless_out_of_reach(-errno);
    struct proc_fd fd = {.pid = pid, .directory = dirfd(directory)};
    while ((fd.name = next_number(directory, &fd.fd))) {
        int error = visit_descriptor(walk, &fd);
        if (error)
            return error;
    }
    return unless_out_of_reach(-errno);
}

int proc_fds_walk(proc_fd_visit *visit, void *data)
{
    const struct walk walk = {.visit = visit, .data = data};
    AUTO_DIRECTORY *proc = open_directory(AT_FDCWD, "/proc");
    if (!proc)
        return -errno;
    pid_t pid = 0;
    while (next_number(proc, &pid)) {
        int error = pid == getpid() ? 0 : walk_process(&walk, dirfd(proc), pid);
        if (error)
            return error;
    }
    return -errno;
}

/* ---- one descriptor ---- */

/* The owner's permission bits of the link (proc_fd_instantiate(), Linux fs/proc/fd.c). */
bool proc_fd_access(const struct proc_fd *fd, bool *reads, bool *writes)
{
    struct stat link;
    if (fstatat(fd->directory, fd->name, &link, AT_SYMLINK_NOFOLLOW) < 0)
        return false;
    *reads = link.st_mode & S_IRUSR;
    *writes = link.st_mode & S_IWUSR;
    return true;
}

bool proc_fd_number(const struct proc_fd *fd, const char *kind, ino_t *number)
{
    size_t length = strlen(kind);
    if (strncmp(fd->target, kind, length) != 0 || strncmp(fd->target + length, ":[", 2) != 0)
        return false;
    const char *digits = fd->target + length + 2;
    size_t count = strspn(digits, "0123456789");
    uint64_t parsed = 0;
    if (strcmp(digits + count, "]") != 0 || parse_digits(digits, count, 10, UINT64_MAX, &parsed))
        return false;
    *number = parsed;
    return true;
}

int proc_fd_stat(const struct proc_fd *fd, struct statx *out)
{
    const unsigned wanted = STATX_TYPE | STATX_MODE | STATX_UID | STATX_GID | STATX_INO;
    if (statx(fd->directory, fd->name, AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, wanted, out) < 0)
        return -errno;
    return 0;
}

/* ---- duplicates ---- */

int proc_fd_take(pid_t pid, int fd)
{
    AUTO_FD process = (int)syscall(SYS_pidfd_open, pid, 0);
    if (process < 0)
        return -errno;
    int taken = (int)syscall(SYS_pidfd_getfd, process, fd, 0);
    return taken < 0 ? -errno : taken;
}
