/* SPDX-License-Identifier: MIT */
#include "tmpfs_show.h"

static struct ipcfs_value time_value(const struct statx *stat, unsigned bit,
                                     const struct statx_timestamp *time)
{
    return (struct ipcfs_value){
        .known = stat->stx_mask & bit,
        .time = {.tv_sec = time->tv_sec, .tv_nsec = time->tv_nsec},
    };
}

void tmpfs_show_attributes(const struct statx *stat, struct ipcfs_value *values)
{
    values[TMPFS_MODE] = ipcfs_number(stat->stx_mode & 07777);
    values[TMPFS_UID] = ipcfs_number(stat->stx_uid);
    values[TMPFS_GID] = ipcfs_number(stat->stx_gid);
    values[TMPFS_NLINK] = ipcfs_number(stat->stx_nlink);
    values[TMPFS_INO] = ipcfs_number(stat->stx_ino);
    values[TMPFS_ATIME] = time_value(stat, STATX_ATIME, &stat->stx_atime);
    values[TMPFS_MTIME] = time_value(stat, STATX_MTIME, &stat->stx_mtime);
    values[TMPFS_CTIME] = time_value(stat, STATX_CTIME, &stat->stx_ctime);
    values[TMPFS_BTIME] = time_value(stat, STATX_BTIME, &stat->stx_btime);
}

static struct timespec time_of(const struct statx_timestamp *time)
{
    return (struct timespec){.tv_sec = time->tv_sec, .tv_nsec = time->tv_nsec};
}

void tmpfs_traces(const struct statx *stat, struct ipcfs_traces *out)
{
    *out = (struct ipcfs_traces){.used = time_of(&stat->stx_mtime), .created = time_of(&stat->stx_ctime)};
    if (stat->stx_mask & STATX_BTIME)
        out->created = time_of(&stat->stx_btime);
}

/* tmpfs says 0 of everything where it was mounted without a limit (size=0, nr_inodes=0). */
void tmpfs_show_limits(const struct statvfs *system, struct ipcfs_value *values)
{
    for (int i = 0; i <= TMPFS_INODES_AVAILABLE; i++)
        values[i] = (struct ipcfs_value){.known = false};
    if (system->f_blocks) {
        values[TMPFS_SIZE] = ipcfs_number(system->f_blocks * system->f_frsize);
        values[TMPFS_USED] = ipcfs_number((system->f_blocks - system->f_bfree) * system->f_frsize);
        values[TMPFS_AVAILABLE] = ipcfs_number(system->f_bavail * system->f_frsize);
    }
    if (system->f_files) {
        values[TMPFS_INODES] = ipcfs_number(system->f_files);
        values[TMPFS_INODES_USED] = ipcfs_number(system->f_files - system->f_ffree);
        values[TMPFS_INODES_AVAILABLE] = ipcfs_number(system->f_favail);
    }
}
