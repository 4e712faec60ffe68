/* SPDX-License-Identifier: MIT */
#include "proc_fds.h"

#include "proc_numbers.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/number.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>

/* ---- the walk ---- */

static int visit_descriptor(struct proc_fd *fd, proc_fd_visit *visit, void *data)
{
    char target[PATH_MAX];
    ssize_t length = readlinkat(fd->directory, fd->name, target, sizeof target - 1);
    if (length < 0 && errno != ENAMETOOLONG)
        return unless_out_of_reach(-errno);
    target[length < 0 ? 0 : length] = '\0';
    fd->target = target;
    return visit(data, fd);
}

int proc_fds_of(int directory, pid_t pid, proc_fd_visit *visit, void *data)
{
    struct proc_numbers fds;
    struct proc_fd fd = {.pid = pid, .directory = directory};
    proc_numbers_begin(&fds, directory);
    int error = 0;
    int more = 0;
    while (!error && (more = proc_numbers_next(&fds)) == 1) {
        fd.fd = fds.number;
        fd.name = fds.name;
        error = visit_descriptor(&fd, visit, data);
    }
    return error ? error : unless_out_of_reach(more);
}

static int walk_process(int proc, pid_t pid, proc_fd_visit *visit, void *data)
{
    char path[sizeof "/fd" + 3 * sizeof pid];
    (void)snprintf(path, sizeof path, "%d/fd", pid);
    AUTO_FD directory = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return directory < 0 ? unless_out_of_reach(-errno) : proc_fds_of(directory, pid, visit, data);
}

int proc_fds_walk(proc_fd_visit *visit, void *data)
{
    struct proc_numbers pids;
    AUTO_FD proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (proc < 0)
        return -errno;
    proc_numbers_begin(&pids, proc);
    int error = 0;
    int more = 0;
    while (!error && (more = proc_numbers_next(&pids)) == 1)
        error = pids.number == getpid() ? 0 : walk_process(proc, pids.number, visit, data);
    return error ? error : more;
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
