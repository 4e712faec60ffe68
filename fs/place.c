/* SPDX-License-Identifier: MIT */
#include "ipcfs/place.h"

#include "place_daemons.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

static struct {
    int fd;         /* of the runtime directory, locked; −1: none */
    int error;      /* why there is none */
    int note_error; /* why this daemon is not in the record */
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

/* Made where it is missing. */
static int open_any(int parent, const char *path, mode_t mode, struct stat *stat)
{
    if (mkdirat(parent, path, mode) < 0 && errno != EEXIST)
        return -errno;
    AUTO_FD fd = openat(parent, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, stat) < 0)
        return -errno;
    return TAKE_FD(fd);
}

/* An own directory of that mode, of this daemon's user: what somebody else planted there is refused. */
static int open_directory(int parent, const char *path, mode_t mode)
{
    struct stat stat = {0};
    AUTO_FD fd = open_any(parent, path, mode, &stat);
    if (fd < 0)
        return fd;
    if (stat.st_uid != geteuid())
        return -EPERM;
    if ((stat.st_mode & 07777) != mode && fchmod(fd, mode) < 0)
        return -errno;
    return TAKE_FD(fd);
}

/* One that is there already may be anything, /tmp for instance: it stays as it is. But nobody else may be able to put
 * something in the place of what is in it. */
static int open_base(const char *path)
{
    struct stat stat = {0};
    AUTO_FD fd = open_any(AT_FDCWD, path, 0711, &stat);
    if (fd < 0)
        return fd;
    bool own = stat.st_uid == geteuid() || stat.st_uid == 0;
    bool others_write = stat.st_mode & (S_IWGRP | S_IWOTH) && !(stat.st_mode & S_ISVTX);
    return own && !others_write ? TAKE_FD(fd) : -EPERM;
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
    AUTO_FD parent = open_base(base);
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
    place.note_error = place.error ? 0 : place_daemons_note(place.fd);
}

void place_report(void)
{
    if (place.error)
        log_warning("no runtime directory%s%s: %s", *place.path ? " " : "", place.path,
                    strerror(-place.error));
    if (place.note_error)
        log_warning("%s/daemons cannot be written: %s", place.path, strerror(-place.note_error));
}

void place_end(void)
{
    ipcfs_cleanup_fd(&place.fd);
    place.fd = -1;
    place.error = -ENOENT;
    place.note_error = 0;
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
    return place.error ? "" : place.path;
}

/* ---- daemons ---- */

void place_daemons(struct place_daemons *out)
{
    char base[PATH_MAX];
    *out = (struct place_daemons){0};
    (void)snprintf(base, sizeof base, "%s", place_path());
    char *name = strrchr(base, '/');
    if (name)
        *name = '\0';
    out->all = place.note_error || !name || place_daemons_read(base, out) || out->all;
}

bool place_was_daemon(const struct place_daemons *daemons, pid_t pid)
{
    for (size_t i = 0; i < daemons->count; i++)
        if (daemons->pids[i] == pid)
            return true;
    return daemons->all;
}

void place_daemons_free(struct place_daemons *daemons)
{
    free(daemons->pids);
    *daemons = (struct place_daemons){0};
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
