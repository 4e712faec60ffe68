/* SPDX-License-Identifier: MIT */
#include "mountpoint.h"

#include "ipcfs/log.h"

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STALE_LAYERS_MAX = 16 };

/* Whether the topmost mount on `path` is an ipcfs. */
static bool is_ipcfs(const char *path)
{
    FILE *mounts = setmntent("/proc/self/mounts", "r");
    if (!mounts)
        return false;
    bool found = false;
    struct mntent entry;
    char buffer[8192];
    while (getmntent_r(mounts, &entry, buffer, sizeof buffer)) {
        if (strcmp(entry.mnt_dir, path) == 0)
            found = strcmp(entry.mnt_type, "fuse.ipcfs") == 0;
    }
    endmntent(mounts);
    return found;
}

/* An ordinary user's way to unmount. */
static int spawn_fusermount(const char *path)
{
    const char *const arguments[] = {"fusermount3", "-u", "-z", "-q", "--", path, NULL};
    pid_t pid = 0;
    int error = posix_spawnp(&pid, arguments[0], NULL, NULL, (char *const *)arguments, environ);
    if (error)
        return -error;
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPERM;
}

static int detach(const char *path)
{
    if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
        return 0;
    return errno == EPERM ? spawn_fusermount(path) : -errno;
}

/* Asks the file system itself: stat(2) may be answered from what the kernel remembers of a dead one. */
static bool is_dead(const char *path)
{
    struct statfs system;
    return statfs(path, &system) < 0 && (errno == ENOTCONN || errno == ECONNABORTED);
}

int mountpoint_clear(const char *path)
{
    for (int layer = 0; is_dead(path); layer++) {
        int error = layer == STALE_LAYERS_MAX ? -ENOTCONN : detach(path);
        if (error)
            return error;
        log_info("%s: took away a mount whose daemon had died", path);
    }
    return 0;
}

int mountpoint_device(const char *path, dev_t *out)
{
    struct statx found;
    if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, 0, &found))
        return -errno;
    *out = makedev(found.stx_dev_major, found.stx_dev_minor);
    return 0;
}

int mountpoint_prepare(const char *path)
{
    int error = mountpoint_clear(path);
    if (error)
        return error;
    struct stat stat_buffer;
    if (stat(path, &stat_buffer) < 0)
        return -errno;
    if (!S_ISDIR(stat_buffer.st_mode))
        return -ENOTDIR;
    return is_ipcfs(path) ? -EBUSY : 0;
}
