/* SPDX-License-Identifier: MIT */
#include "nodes.h"

#include "fd_directory.h"
#include "fd_file.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/sysmacros.h>

/* ---- the directory ---- */

int nodes_open(struct nodes *nodes, int fd)
{
    AUTO_FD own = fd;
    struct stat stat;
    if (fstat(own, &stat) < 0)
        return -errno;
    nodes->fd = TAKE_FD(own);
    nodes->device = stat.st_dev;
    return 0;
}

void nodes_close(struct nodes *nodes)
{
    ipcfs_cleanup_fd(&nodes->fd);
    nodes->fd = -1;
}

/* ---- files ---- */

/*
 * A file system that somebody mounted on a name is not asked (AT_STATX_DONT_SYNC): it might never answer. To those of the
 * directories themselves, which are in memory or on a disk, the flag means nothing.
 */
int nodes_stat_at(int directory, const char *name, struct statx *out)
{
    int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC | (*name ? 0 : AT_EMPTY_PATH);
    if (statx(directory, name, flags, STATX_BASIC_STATS | STATX_BTIME, out) < 0)
        return -errno;
    return 0;
}

/* What is mounted on a name is of another device. But so may be what lies in an overlay (Linux overlayfs.rst, "Inode
 * properties"); of that the kernel says, since 5.8, that nothing is mounted there. */
static bool is_mounted(const struct nodes *nodes, const struct statx *stat)
{
    if (makedev(stat->stx_dev_major, stat->stx_dev_minor) == nodes->device)
        return false;
    return !(stat->stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) ||
           stat->stx_attributes & STATX_ATTR_MOUNT_ROOT;
}

bool nodes_shows(const struct nodes *nodes, const struct statx *stat)
{
    return nodes->shows & ipcfs_type_bit(stat->stx_mode) && !is_mounted(nodes, stat);
}

bool nodes_is_name(const char *name)
{
    return *name && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static bool has_prefix(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

bool nodes_hides(const struct nodes *nodes, const char *name)
{
    return (nodes->foreign && has_prefix(name, nodes->foreign)) || has_prefix(name, ".ipcfs.") ||
           strchr(name, '/');
}

const char *nodes_watched_name(const struct nodes *nodes, const char *file)
{
    return nodes_is_name(file) && !nodes_hides(nodes, file) ? file : NULL;
}

struct ipcfs_objid nodes_object_id(const struct statx *stat)
{
    uint64_t birth = 0;
    if (stat->stx_mask & STATX_BTIME)
        birth = (uint64_t)stat->stx_btime.tv_sec * 1000000000U + stat->stx_btime.tv_nsec;
    return (struct ipcfs_objid){.number = nodes_number(stat->stx_ino), .birth = birth};
}

bool nodes_is_meant(const struct ipcfs_ref *ref, const struct statx *stat)
{
    return ref->id.number == 0 || ipcfs_same_object(nodes_object_id(stat), ref->id);
}

int nodes_path_descriptor(const struct nodes *nodes, const char *name, struct statx *stat)
{
    *stat = (struct statx){0};
    AUTO_FD fd = openat(nodes->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int error = nodes_stat_at(fd, "", stat);
    if (error)
        return error;
    return nodes_shows(nodes, stat) && nodes_is_name(name) ? TAKE_FD(fd) : -ESTALE;
}

int nodes_refusal(mode_t mode)
{
    if (S_ISLNK(mode))
        return -ELOOP;
    return S_ISDIR(mode) ? -EISDIR : -EEXIST;
}

void nodes_remove_if(const struct nodes *nodes, const char *name, struct ipcfs_objid id)
{
    struct statx named;
    if (nodes_stat_at(nodes->fd, name, &named) == 0 && ipcfs_same_object(nodes_object_id(&named), id))
        (void)unlinkat(nodes->fd, name, S_ISDIR(named.stx_mode) ? AT_REMOVEDIR : 0);
}

/* ---- holds ---- */

int nodes_make_hold(int *fd, struct ipcfs_hold **out)
{
    struct ipcfs_hold *hold = malloc(sizeof *hold);
    if (!hold)
        return -ENOMEM;
    hold->fd = TAKE_FD(*fd);
    *out = hold;
    return 0;
}

void nodes_release(struct ipcfs_hold *hold)
{
    close(hold->fd);
    free(hold);
}

/* ---- reaching an object ---- */

int nodes_resolve(const struct nodes *nodes, const struct ipcfs_ref *ref, struct statx *stat)
{
    AUTO_FD fd = nodes_path_descriptor(nodes, ref->name, stat);
    if (fd < 0)
        return fd == -ENOENT ? -ESTALE : fd;
    if (!nodes_is_meant(ref, stat))
        return -ESTALE;
    return TAKE_FD(fd);
}

static int find_and_hold(const struct nodes *nodes, const char *name, struct ipcfs_found *out,
                         struct ipcfs_hold **hold)
{
    AUTO_FD fd = nodes_path_descriptor(nodes, name, &out->stat);
    if (fd < 0)
        return fd == -ESTALE ? -ENOENT : fd;
    out->id = nodes_object_id(&out->stat);
    return nodes_make_hold(&fd, hold);
}

int nodes_find(const struct nodes *nodes, const char *name, struct ipcfs_found *out, struct ipcfs_hold **hold)
{
    if (strlen(name) > NAME_MAX)
        return -ENAMETOOLONG;
    if (nodes_hides(nodes, name))
        return -ENOENT;
    if (hold)
        return find_and_hold(nodes, name, out, hold);
    int error = nodes_stat_at(nodes->fd, name, &out->stat);
    if (error)
        return error;
    if (!nodes_is_name(name) || !nodes_shows(nodes, &out->stat))
        return -ENOENT;
    out->id = nodes_object_id(&out->stat);
    return 0;
}

int nodes_hold(const struct nodes *nodes, const struct ipcfs_ref *ref, struct ipcfs_hold **out)
{
    struct statx stat;
    AUTO_FD fd = nodes_resolve(nodes, ref, &stat);
    if (fd < 0)
        return fd;
    return nodes_make_hold(&fd, out);
}

int nodes_stat(const struct nodes *nodes, const struct ipcfs_ref *ref, struct statx *out)
{
    if (ref->hold)
        return nodes_stat_at(ref->hold->fd, "", out);
    int error = nodes_stat_at(nodes->fd, ref->name, out);
    if (error)
        return error == -ENOENT ? -ESTALE : error;
    if (!nodes_is_name(ref->name) || !nodes_shows(nodes, out) || !nodes_is_meant(ref, out))
        return -ESTALE;
    return 0;
}

int nodes_open_file(const struct nodes *nodes, const struct ipcfs_ref *ref, int flags)
{
    int error = fd_directory_check_search(nodes->fd);
    return error ? error : fd_file_open(ref->hold->fd, flags);
}
