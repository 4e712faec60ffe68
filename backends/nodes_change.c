/* SPDX-License-Identifier: MIT */
#include "nodes.h"

#include "fd_directory.h"
#include "fd_file.h"
#include "fd_path.h"
#include "place_room.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <stdio.h>

/* How often nodes_create() goes round when a name keeps appearing and vanishing under it. */
enum { CREATE_ATTEMPTS = 64 };

/* Whether one more name may be made, and this one. */
static int check_new_name(const struct nodes *nodes, const char *name)
{
    if (nodes_hides(nodes, name))
        return -EPERM;
    return nodes->spares ? place_room(nodes->fd, 0) : 0;
}

/* ---- creation ---- */

/* What is being made or opened. */
struct making {
    const struct nodes *nodes;
    const struct ipcfs_wish *wish;
    struct ipcfs_created *out;
    int path_fd; /* owned, as the next; −1: none yet */
    int fd;
};

static int made_what(struct making *making, int fd)
{
    making->out->made = true;
    int error = nodes_stat_at(fd, "", &making->out->found.stat);
    making->out->found.id = nodes_object_id(&making->out->found.stat);
    return error;
}

static int make_file(struct making *making)
{
    const struct ipcfs_wish *wish = making->wish;
    int flags = (wish->flags & FD_FILE_FLAGS) | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    making->fd = openat(making->nodes->fd, wish->name, flags, wish->mode);
    if (making->fd < 0)
        return -errno;
    int error = made_what(making, making->fd);
    if (error)
        return error;
    making->path_fd = open(fd_path(making->fd).text, O_PATH | O_CLOEXEC);
    if (making->path_fd >= 0)
        return 0;
    error = -errno;
    nodes_remove_if(making->nodes, wish->name, making->out->found.id);
    return error;
}

static int make_node(struct making *making)
{
    const struct ipcfs_wish *wish = making->wish;
    int directory = making->nodes->fd;
    bool is_directory = S_ISDIR(wish->type);
    int done = is_directory ? mkdirat(directory, wish->name, wish->mode)
                            : mknodat(directory, wish->name, wish->type | wish->mode, 0);
    if (done < 0)
        return -errno;
    making->path_fd = openat(directory, wish->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (making->path_fd >= 0)
        return made_what(making, making->path_fd);
    int error = -errno;
    (void)unlinkat(directory, wish->name, is_directory ? AT_REMOVEDIR : 0);
    return error;
}

/* The object that is there. −ENOENT where there is nothing. */
static int open_existing(struct making *making)
{
    const struct ipcfs_wish *wish = making->wish;
    struct ipcfs_found *found = &making->out->found;
    AUTO_FD path = nodes_path_descriptor(making->nodes, wish->name, &found->stat);
    if (path < 0 && path != -ESTALE)
        return path;
    if (path < 0 || (found->stat.stx_mode & S_IFMT) != wish->type)
        return nodes_refusal(found->stat.stx_mode);
    AUTO_FD fd = S_ISREG(wish->type) ? fd_file_open(path, wish->flags) : -1;
    if (fd < 0 && S_ISREG(wish->type))
        return fd;
    int error = nodes_stat_at(path, "", &found->stat); /* again: O_TRUNC may have changed it */
    if (error)
        return error;
    found->id = nodes_object_id(&found->stat);
    making->path_fd = TAKE_FD(path);
    making->fd = TAKE_FD(fd);
    return 0;
}

static int make_or_open(struct making *making)
{
    for (int attempt = 0; attempt < CREATE_ATTEMPTS; attempt++) {
        int error = S_ISREG(making->wish->type) ? make_file(making) : make_node(making);
        if (error != -EEXIST || making->wish->flags & O_EXCL)
            return error;
        error = open_existing(making);
        if (error != -ENOENT)
            return error;
    }
    return -ESTALE;
}

int nodes_create(const struct nodes *nodes, const struct ipcfs_wish *wish, struct ipcfs_created *out, int *fd)
{
    *out = (struct ipcfs_created){0};
    *fd = -1;
    int error = check_new_name(nodes, wish->name);
    if (error)
        return error;
    struct making making = {.nodes = nodes, .wish = wish, .out = out, .path_fd = -1, .fd = -1};
    error = make_or_open(&making);
    AUTO_FD path_fd = making.path_fd;
    AUTO_FD file_fd = making.fd;
    if (error)
        return error;
    error = nodes_make_hold(&path_fd, &out->hold);
    if (error)
        nodes_uncreate(nodes, wish->name, out);
    else
        *fd = TAKE_FD(file_fd);
    return error;
}

void nodes_uncreate(const struct nodes *nodes, const char *name, const struct ipcfs_created *created)
{
    if (created->made)
        nodes_remove_if(nodes, name, created->found.id);
}

void nodes_take_back(const struct nodes *nodes, const char *name, struct ipcfs_created *created)
{
    nodes_release(TAKE_PTR(created->hold));
    nodes_uncreate(nodes, name, created);
}

/* ---- names ---- */

int nodes_remove(const struct nodes *nodes, const char *name, struct ipcfs_found *removed)
{
    struct ipcfs_found found;
    int error = nodes_find(nodes, name, &found, NULL); /* what is not shown is not removed or moved either */
    if (error)
        return error;
    if (unlinkat(nodes->fd, name, S_ISDIR(found.stat.stx_mode) ? AT_REMOVEDIR : 0) < 0)
        return -errno;
    if (removed)
        *removed = found;
    return 0;
}

int nodes_rename(const struct nodes *nodes, const char *name, const char *to_name, unsigned flags)
{
    if (nodes_hides(nodes, to_name))
        return -EPERM;
    struct ipcfs_found found;
    int error = nodes_find(nodes, name, &found, NULL);
    if (error)
        return error;
    return renameat2(nodes->fd, name, nodes->fd, to_name, flags) < 0 ? -errno : 0;
}

int nodes_link(const struct nodes *nodes, const struct ipcfs_ref *ref, const char *name)
{
    int error = check_new_name(nodes, name);
    if (error)
        return error;
    struct statx stat;
    AUTO_FD fd = ref->hold ? -1 : nodes_resolve(nodes, ref, &stat);
    int path_fd = ref->hold ? ref->hold->fd : fd;
    if (path_fd < 0)
        return path_fd;
    if (linkat(AT_FDCWD, fd_path(path_fd).text, nodes->fd, name, AT_SYMLINK_FOLLOW) < 0)
        return -errno;
    return 0;
}

/* ---- attributes ---- */

/* Sizes first and modes after owners: chown(2) and truncate(2) clear set-user-ID bits that `mode` may set again. */
static int apply_change(int path_fd, int fd, const struct ipcfs_change *change)
{
    if (change->mask & IPCFS_CHANGE_SIZE) {
        int error = fd_file_resize(path_fd, fd, change->size);
        if (error)
            return error;
    }
    return fd_path_change(path_fd, change);
}

int nodes_change(const struct nodes *nodes, const struct ipcfs_ref *ref, int fd,
                 const struct ipcfs_change *change)
{
    if (ref->hold) {
        int error = fd < 0 ? fd_directory_check_search(nodes->fd) : 0;
        return error ? error : apply_change(ref->hold->fd, fd, change);
    }
    struct statx stat;
    AUTO_FD path_fd = nodes_resolve(nodes, ref, &stat);
    if (path_fd < 0)
        return path_fd;
    return apply_change(path_fd, fd, change);
}
