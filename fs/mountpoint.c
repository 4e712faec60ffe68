/* SPDX-License-Identifier: MIT */
#include "mountpoint.h"

#include "ipcfs/log.h"

#include <errno.h>
#include <mntent.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
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

int mountpoint_prepare(const char *path)
{
    struct stat stat_buffer;
    for (int layer = 0; stat(path, &stat_buffer) < 0; layer++) {
        if (errno != ENOTCONN || layer == STALE_LAYERS_MAX)
            return -errno;
        int error = detach(path);
        if (error)
            return error;
        log_info("%s: took away a mount whose daemon had died", path);
    }
    if (!S_ISDIR(stat_buffer.st_mode))
        return -ENOTDIR;
    return is_ipcfs(path) ? -EBUSY : 0;
}
