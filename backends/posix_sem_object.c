/* SPDX-License-Identifier: MIT */
#include "posix_sem_object.h"

#include "fd_path.h"
#include "posix_sem_directory.h"
#include "shm_directory.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <fcntl.h>

/* Who may read or write the file may also search the directory that it is shown as. */
void posix_sem_present(struct statx *stat)
{
    unsigned bits = stat->stx_mode & 0666U;
    stat->stx_mode = (uint16_t)(S_IFDIR | bits | ((bits >> 2 | bits >> 1) & 0111));
    stat->stx_size = 0;
}

int posix_sem_path_descriptor(const char *name, struct statx *stat)
{
    struct posix_sem_path path;
    *stat = (struct statx){0};
    int error = posix_sem_path(name, &path);
    if (error)
        return error;
    AUTO_FD fd = openat(posix_sem_directory_fd(), path.text, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    error = shm_stat_at(fd, "", stat);
    if (error)
        return error;
    if (!posix_sem_is_object(stat))
        return -ESTALE;
    return TAKE_FD(fd);
}

static bool is_meant(const struct ipcfs_ref *ref, const struct statx *stat)
{
    return ref->id.number == 0 || ipcfs_same_object(shm_object_id(stat), ref->id);
}

int posix_sem_resolve(const struct ipcfs_ref *ref, struct statx *stat)
{
    AUTO_FD fd = posix_sem_path_descriptor(ref->name, stat);
    if (fd < 0)
        return fd == -ENOENT ? -ESTALE : fd;
    if (!is_meant(ref, stat))
        return -ESTALE;
    return TAKE_FD(fd);
}

int posix_sem_make_hold(int *fd, struct ipcfs_hold **out)
{
    struct ipcfs_hold *hold = malloc(sizeof *hold);
    if (!hold)
        return -ENOMEM;
    hold->fd = TAKE_FD(*fd);
    *out = hold;
    return 0;
}

static int find_and_hold(const char *name, struct ipcfs_found *out, struct ipcfs_hold **hold)
{
    AUTO_FD fd = posix_sem_path_descriptor(name, &out->stat);
    if (fd < 0)
        return fd == -ESTALE ? -ENOENT : fd;
    return posix_sem_make_hold(&fd, hold);
}

int posix_sem_find(unsigned directory, const char *name, struct ipcfs_found *out, struct ipcfs_hold **hold)
{
    (void)directory;
    int error = hold ? find_and_hold(name, out, hold) : posix_sem_name_stat(name, &out->stat);
    if (error)
        return error;
    out->id = shm_object_id(&out->stat);
    posix_sem_present(&out->stat);
    return 0;
}

int posix_sem_hold(const struct ipcfs_ref *ref, struct ipcfs_hold **out)
{
    struct statx stat;
    AUTO_FD fd = posix_sem_resolve(ref, &stat);
    return fd < 0 ? fd : posix_sem_make_hold(&fd, out);
}

void posix_sem_release(struct ipcfs_hold *hold)
{
    close(hold->fd);
    free(hold);
}

static int stat_by_name(const struct ipcfs_ref *ref, struct statx *out)
{
    int error = posix_sem_name_stat(ref->name, out);
    if (error)
        return error == -ENOENT ? -ESTALE : error;
    return is_meant(ref, out) ? 0 : -ESTALE;
}

int posix_sem_stat(const struct ipcfs_ref *ref, struct statx *out)
{
    int error = ref->hold ? shm_stat_at(ref->hold->fd, "", out) : stat_by_name(ref, out);
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
        int error = posix_sem_check_search();
        return error ? error : open_path_descriptor(ref->hold->fd, access);
    }
    AUTO_FD fd = posix_sem_resolve(ref, &stat);
    return fd < 0 ? fd : open_path_descriptor(fd, access);
}
