/* SPDX-License-Identifier: MIT */
#include "processes.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/lack.h"
#include "ipcfs/number.h"
#include "small_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

enum {
    FILE_ROOM = 1024, /* the beginning of /proc/PID/stat, up to what is read of it */
    START_FIELD = 22,
    PIDFS_MAGIC = 0x50494446, /* PID_FS_MAGIC, Linux uapi/linux/magic.h */
};

bool process_parse(const char *name, pid_t *out)
{
    int64_t number = 0;
    if (!parse_canonical(name, &number) || number <= 0 || number > INT_MAX)
        return false;
    *out = (pid_t)number;
    return true;
}

/* ---- one process ---- */

static int open_process(pid_t pid)
{
    char path[32];
    (void)snprintf(path, sizeof path, "/proc/%d", pid);
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? lack_or(-errno, -ENOENT) : fd;
}

/* −ENOENT also for a thread that is not its process's first. */
static int open_pidfd(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd >= 0)
        return fd;
    return errno == ESRCH || errno == EINVAL ? -ENOENT : -errno;
}

static bool has_ended(int pidfd)
{
    struct pollfd process = {.fd = pidfd, .events = POLLIN};
    return poll(&process, 1, 0) != 0;
}

static int find_alive(pid_t pid)
{
    AUTO_FD pidfd = open_pidfd(pid);
    if (pidfd < 0)
        return pidfd;
    return has_ended(pidfd) ? -ENOENT : 0;
}

/*
 * 0 where `directory`/`path`, the descriptors of a process, is for the calling thread, and that has anything to show; otherwise
 * −ENOENT, or what the daemon lacks. The size is how many descriptors there are (Linux 6.2). Kernel threads have none, and are
 * in no process group; a process that has neither does not show, but the first of a pid name space may be so.
 */
static int may_look(int directory, const char *path, pid_t pid)
{
    struct stat stat;
    if (faccessat(directory, path, R_OK | X_OK, AT_EACCESS) < 0 || fstatat(directory, path, &stat, 0) < 0)
        return -ENOENT;
    if (stat.st_size)
        return 0;
    return getpgid(pid) > 0 || pid == 1 ? find_alive(pid) : -ENOENT;
}

/* Field 22 of /proc/PID/stat. The second is a name in parentheses, with whatever its process has put into it. Linux before
 * 6.9 tells it without waiting. */
static int read_start(int directory, uint64_t *out)
{
    char text[FILE_ROOM];
    int error = small_file_read(directory, "stat", text, sizeof text);
    if (error)
        return lack_or(error, -ENOENT);
    const char *field = strrchr(text, ')');
    for (int number = 2; field && number < START_FIELD; number++)
        field = strchr(field + 1, ' ');
    if (field)
        *out = strtoull(field, NULL, 10);
    return field ? 0 : -ENOENT;
}

static int read_birth(int pidfd, int directory, uint64_t *out)
{
    struct statfs system;
    struct stat stat;
    if (fstatfs(pidfd, &system) < 0 || fstat(pidfd, &stat) < 0)
        return -ENOENT;
    *out = stat.st_ino;
    return system.f_type == PIDFS_MAGIC ? 0 : read_start(directory, out);
}

int process_identify(pid_t pid, struct process_identity *out)
{
    AUTO_FD pidfd = pid == getpid() ? -ENOENT : open_pidfd(pid);
    AUTO_FD directory = pidfd < 0 ? pidfd : open_process(pid);
    struct stat stat;
    int error = directory < 0 ? directory : may_look(directory, "fd", pid);
    if (error || fstat(directory, &stat) < 0)
        return error ? error : -ENOENT;
    *out = (struct process_identity){.pid = pid, .uid = stat.st_uid, .gid = stat.st_gid};
    error = read_birth(pidfd, directory, &out->birth);
    /* As long as it has not ended, nobody else has its pid: all of that was its own. */
    return error || !has_ended(pidfd) ? error : -ENOENT;
}

int process_find(struct ipcfs_objid process, struct process_identity *out)
{
    int error = process_identify((pid_t)process.number, out);
    return error || out->birth == process.birth ? error : -ENOENT;
}

/* ---- the list ---- */

static void close_directory(DIR **directory)
{
    if (*directory)
        closedir(*directory);
}
#define AUTO_DIRECTORY __attribute__((cleanup(close_directory))) DIR

/* As may_look(). */
static int find_shown(DIR *directory, const struct dirent *entry, pid_t *pid)
{
    char path[sizeof entry->d_name + sizeof "/fd"];
    if (!process_parse(entry->d_name, pid) || *pid == getpid())
        return -ENOENT;
    (void)snprintf(path, sizeof path, "%s/fd", entry->d_name);
    return may_look(dirfd(directory), path, *pid);
}

int processes_list(uint64_t position, process_row *row, void *data)
{
    AUTO_DIRECTORY *directory = opendir("/proc");
    if (!directory)
        return -errno;
    if (position)
        seekdir(directory, (long)position);
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        pid_t pid = 0;
        if (!entry)
            return -errno;
        int error = find_shown(directory, entry, &pid);
        if (is_lack(error))
            return error;
        if (!error && !row(data, pid, (uint64_t)entry->d_off))
            return 0;
    }
}
