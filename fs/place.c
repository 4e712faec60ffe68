/* SPDX-License-Identifier: MIT */
#include "ipcfs/place.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

static struct {
    int fd;    /* of the runtime directory, locked; −1: none */
    int error; /* why there is none */
    char path[PATH_MAX];
    atomic_ullong device;
} place = {.fd = -1, .error = -ENOENT};

/* ---- names ---- */

static const char *default_base(char *buffer, size_t room)
{
    if (geteuid() == 0)
        return "/run/ipcfs";
    const char *runtime =
        getenv("XDG_RUNTIME_DIR"); // NOLINT(concurrency-mt-unsafe): before there are threads
    if (!runtime || *runtime != '/')
        return NULL;
    int length = snprintf(buffer, room, "%s/ipcfs", runtime);
    return length > 0 && (size_t)length < room ? buffer : NULL;
}

static bool is_plain(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           byte == '_' || byte == '.' || byte == ':';
}

/* The name of a mount point's directory (systemd.unit(5), "String Escaping"). −ENAMETOOLONG. */
static int escape_path(const char *path, char *out, size_t room)
{
    size_t used = 0;
    path += *path == '/';
    if (!*path)
        path = "/"; /* the root: "-" */
    for (; *path && used + 5 < room; path++) {
        if (*path == '/')
            out[used++] = '-';
        else if (is_plain(*path) && (used || *path != '.'))
            out[used++] = *path;
        else
            used += (size_t)snprintf(out + used, room - used, "\\x%02x", (unsigned char)*path);
    }
    out[used] = '\0';
    return *path || used > NAME_MAX ? -ENAMETOOLONG : 0;
}

/* ---- directories ---- */

/* A directory of this daemon's user, made with that mode where it is missing: what somebody else planted there is refused. */
static int open_own(int parent, const char *path, mode_t mode)
{
    if (mkdirat(parent, path, mode) < 0 && errno != EEXIST)
        return -errno;
    AUTO_FD fd = openat(parent, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat stat;
    if (fd < 0 || fstat(fd, &stat) < 0)
        return -errno;
    return stat.st_uid == geteuid() ? TAKE_FD(fd) : -EPERM;
}

/* One of that mode, whatever it has become meanwhile. */
static int open_directory(int parent, const char *path, mode_t mode)
{
    AUTO_FD fd = open_own(parent, path, mode);
    if (fd < 0)
        return fd;
    return fchmod(fd, mode) < 0 ? -errno : TAKE_FD(fd);
}

static int open_runtime(const char *base, const char *mountpoint)
{
    char buffer[PATH_MAX];
    char name[PATH_MAX];
    if (!base)
        base = default_base(buffer, sizeof buffer);
    if (!base)
        return -ENOENT;
    int error = escape_path(mountpoint, name, sizeof name);
    if (error)
        return error;
    if (snprintf(place.path, sizeof place.path, "%s/%s", base, name) >= (int)sizeof place.path)
        return -ENAMETOOLONG;
    /* It may be any directory, /run itself: one that is there keeps its mode. */
    AUTO_FD parent = open_own(AT_FDCWD, base, 0711);
    if (parent < 0)
        return parent;
    AUTO_FD fd = open_directory(parent, name, 0711);
    if (fd < 0)
        return fd;
    /* Whoever had the mount point before may still be about to end. */
    for (int attempt = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; attempt++) {
        if (errno != EWOULDBLOCK || attempt == 50)
            return errno == EWOULDBLOCK ? -EBUSY : -errno;
        (void)usleep(20 * 1000);
    }
    return TAKE_FD(fd);
}

void place_init(const char *base, const char *mountpoint)
{
    place_end();
    place.fd = open_runtime(base, mountpoint);
    place.error = place.fd < 0 ? place.fd : 0;
    if (!place.error)
        return;
    /* Not louder: it stands with the kinds that are left out for it, or the start fails and says why. */
    log_debug("no runtime directory%s%s: %s", *place.path ? " " : "", place.path, strerror(-place.error));
    *place.path = '\0';
}

void place_end(void)
{
    ipcfs_cleanup_fd(&place.fd);
    place.fd = -1;
    place.error = -ENOENT;
    *place.path = '\0';
    atomic_store(&place.device, 0);
}

int place_open(const char *directory)
{
    static const char nodes[] = "nodes/";
    if (place.error)
        return place.error;
    if (strncmp(directory, nodes, strlen(nodes)) != 0)
        return open_directory(place.fd, directory, 0711);
    AUTO_FD parent = open_directory(place.fd, "nodes", 0700);
    return parent < 0 ? parent : open_directory(parent, directory + strlen(nodes), 01777);
}

const char *place_path(void)
{
    return place.path;
}

/* ---- the mount ---- */

void place_set_device(dev_t device)
{
    atomic_store(&place.device, device);
}

dev_t place_device(void)
{
    return atomic_load(&place.device);
}
