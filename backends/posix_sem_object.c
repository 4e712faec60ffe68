/* SPDX-License-Identifier: MIT */
#include "posix_sem_object.h"

#include "fd_directory.h"
#include "fd_path.h"
#include "posix_sem_directory.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <fcntl.h>

/* Who may read or write the file may also search the directory that it is shown as. */
void posix_sem_present(struct statx *stat)
{
    stat->stx_mode = (uint16_t)ipcfs_directory_mode(stat->stx_mode);
    stat->stx_size = 0;
}

int posix_sem_path_descriptor(const char *name, struct statx *stat)
{
    struct posix_sem_path path;
    *stat = (struct statx){0};
    int error = posix_sem_path(name, &path);
    if (error)
        return error;
    AUTO_FD fd = nodes_path_descriptor(posix_sem_tmpfs(), path.text, stat);
    if (fd >= 0 && !posix_sem_is_object(stat))
        return -ESTALE;
    return TAKE_FD(fd);
}

int posix_sem_resolve(const struct ipcfs_ref *ref, struct statx *stat)
{
    AUTO_FD fd = posix_sem_path_descriptor(ref->name, stat);
    if (fd < 0)
        return fd == -ENOENT ? -ESTALE : fd;
    if (!nodes_is_meant(ref, stat))
        return -ESTALE;
    return TAKE_FD(fd);
}

static int find_and_hold(const char *name, struct ipcfs_found *out, struct ipcfs_hold **hold)
{
    AUTO_FD fd = posix_sem_path_descriptor(name, &out->stat);
    if (fd < 0)
        return fd == -ESTALE ? -ENOENT : fd;
    return nodes_make_hold(&fd, hold);
}

int posix_sem_find(unsigned directory, const char *name, struct ipcfs_found *out, struct ipcfs_hold **hold)
{
    (void)directory;
    int error = hold ? find_and_hold(name, out, hold) : posix_sem_name_stat(name, &out->stat);
    if (error)
        return error;
    out->id = nodes_object_id(&out->stat);
    posix_sem_present(&out->stat);
    return 0;
}

int posix_sem_hold(const struct ipcfs_ref *ref, struct ipcfs_hold **out)
{
    struct statx stat;
    AUTO_FD fd = posix_sem_resolve(ref, &stat);
    return fd < 0 ? fd : nodes_make_hold(&fd, out);
}

static int stat_by_name(const struct ipcfs_ref *ref, struct statx *out)
{
    int error = posix_sem_name_stat(ref->name, out);
    if (error)
        return error == -ENOENT ? -ESTALE : error;
    return nodes_is_meant(ref, out) ? 0 : -ESTALE;
}

int posix_sem_stat(const struct ipcfs_ref *ref, struct statx *out)
{
    int error = ref->hold ? nodes_stat_at(ref->hold->fd, "", out) : stat_by_name(ref, out);
    if (!error)
        posix_sem_present(out);
    return error;
}

static int open_path_descriptor(int path_fd, int access)
{
    struct fd_path path = fd_path(path_fd);
    /* O_NONBLOCK: where somebody has a lease on the file (fcntl(2), F_SETLEASE), open(2) would wait for him. */
    int flags = access | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    /* A look shall leave no trace; but the kernel allows that to the owner only. */
    int fd = access == O_RDONLY ? open(path.text, flags | O_NOATIME) : -1;
    if (fd < 0 && (access != O_RDONLY || errno == EPERM))
        fd = open(path.text, flags);
    return fd < 0 ? -errno : fd;
}

int posix_sem_open_file(const struct ipcfs_ref *ref, int access)
{
    struct statx stat;
    if (ref->hold) {
        int error = fd_directory_check_search(posix_sem_tmpfs()->fd);
        return error ? error : open_path_descriptor(ref->hold->fd, access);
    }
    AUTO_FD fd = posix_sem_resolve(ref, &stat);
    return fd < 0 ? fd : open_path_descriptor(fd, access);
}
