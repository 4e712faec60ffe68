/* SPDX-License-Identifier: MIT */
#include "tmpfs.h"

#include "fd_directory.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

/* Inode numbers, as part of an identity (ipcfs/backend.h). */
static const uint64_t number_mask = (UINT64_C(1) << 48) - 1;

/* ---- the directory ---- */

int tmpfs_open(struct tmpfs *out)
{
    AUTO_FD fd = open(IPCFS_SHM_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    struct statfs system;
    struct stat stat;
    if (fstatfs(fd, &system) < 0 || fstat(fd, &stat) < 0)
        return -errno;
    /* The same test as glibc's: anything else is not what shm_open(3) and sem_open(3) use. */
    if (system.f_type != TMPFS_MAGIC && (unsigned long)system.f_type != RAMFS_MAGIC)
        return -ENOSYS;
    *out = (struct tmpfs){.fd = TAKE_FD(fd), .device = stat.st_dev};
    return 0;
}

void tmpfs_close(struct tmpfs *tmpfs)
{
    ipcfs_cleanup_fd(&tmpfs->fd);
    tmpfs->fd = -1;
}

/* ---- files ---- */

/*
 * A file system that somebody mounted on a name is not asked (AT_STATX_DONT_SYNC): it might never answer. To the tmpfs the
 * flag means nothing.
 */
int tmpfs_stat_at(int directory, const char *name, struct statx *out)
{
    int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC | (*name ? 0 : AT_EMPTY_PATH);
    if (statx(directory, name, flags, STATX_BASIC_STATS | STATX_BTIME, out) < 0)
        return -errno;
    return 0;
}

bool tmpfs_is_file(const struct tmpfs *tmpfs, const struct statx *stat)
{
    return S_ISREG(stat->stx_mode) && makedev(stat->stx_dev_major, stat->stx_dev_minor) == tmpfs->device;
}

struct ipcfs_objid tmpfs_object_id(const struct statx *stat)
{
    uint64_t birth = 0;
    if (stat->stx_mask & STATX_BTIME)
        birth = (uint64_t)stat->stx_btime.tv_sec * 1000000000U + stat->stx_btime.tv_nsec;
    return (struct ipcfs_objid){.number = stat->stx_ino & number_mask, .birth = birth};
}

bool tmpfs_is_meant(const struct ipcfs_ref *ref, const struct statx *stat)
{
    return ref->id.number == 0 || ipcfs_same_object(tmpfs_object_id(stat), ref->id);
}

int tmpfs_path_descriptor(const struct tmpfs *tmpfs, const char *name, struct statx *stat)
{
    *stat = (struct statx){0};
    AUTO_FD fd = openat(tmpfs->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int error = tmpfs_stat_at(fd, "", stat);
    if (error)
        return error;
    return tmpfs_is_file(tmpfs, stat) ? TAKE_FD(fd) : -ESTALE;
}

int tmpfs_refusal(mode_t mode)
{
    if (S_ISLNK(mode))
        return -ELOOP;
    return S_ISDIR(mode) ? -EISDIR : -EEXIST;
}

void tmpfs_remove_if(const struct tmpfs *tmpfs, const char *name, struct ipcfs_objid id)
{
    struct statx named;
    if (tmpfs_stat_at(tmpfs->fd, name, &named) == 0 && ipcfs_same_object(tmpfs_object_id(&named), id))
        (void)unlinkat(tmpfs->fd, name, 0);
}

/* ---- holds ---- */

int tmpfs_make_hold(int *fd, struct ipcfs_hold **out)
{
    struct ipcfs_hold *hold = malloc(sizeof *hold);
    if (!hold)
        return -ENOMEM;
    hold->fd = TAKE_FD(*fd);
    *out = hold;
    return 0;
}

void tmpfs_release(struct ipcfs_hold *hold)
{
    close(hold->fd);
    free(hold);
}

/* ---- walks ---- */

struct ipcfs_lister {
    DIR *directory;
};

int tmpfs_list_open(const struct tmpfs *tmpfs, struct ipcfs_lister **out)
{
    AUTO_FREE struct ipcfs_lister *lister = calloc(1, sizeof *lister);
    if (!lister)
        return -ENOMEM;
    int error = fd_directory_open(tmpfs->fd, &lister->directory);
    if (!error)
        *out = TAKE_PTR(lister);
    return error;
}

int tmpfs_list_seek(struct ipcfs_lister *lister, uint64_t position)
{
    if (position == 0)
        rewinddir(lister->directory);
    else
        seekdir(lister->directory, (long)position);
    return 0;
}

int tmpfs_list_next(struct ipcfs_lister *lister, const struct dirent **out)
{
    errno = 0;
    *out = readdir(lister->directory); // NOLINT(concurrency-mt-unsafe): one user per DIR
    return *out ? 1 : -errno;
}

void tmpfs_list_close(struct ipcfs_lister *lister)
{
    closedir(lister->directory);
    free(lister);
}

struct ipcfs_entry tmpfs_entry(const struct dirent *file, const char *name, mode_t type)
{
    return (struct ipcfs_entry){
        .name = name, .number = file->d_ino & number_mask, .next = (uint64_t)file->d_off, .type = type};
}
