/* SPDX-License-Identifier: MIT */
#include "shm_show.h"

#include "tmpfs.h"

#include <errno.h>
#include <stdio.h>

enum {
    FIELD_NAME,
    FIELD_SIZE,
    FIELD_ALLOCATED,
    FIELD_MODE,
    FIELD_UID,
    FIELD_GID,
    FIELD_NLINK,
    FIELD_INO,
    FIELD_ATIME,
    FIELD_MTIME,
    FIELD_CTIME,
    FIELD_BTIME,
};

const struct ipcfs_field shm_fields[] = {
    [FIELD_NAME] = {"name", IPCFS_NAME, "", "its name, without the leading slash of shm_open"},
    [FIELD_SIZE] = {"size", IPCFS_UNSIGNED, "bytes", "length, as ftruncate set it"},
    [FIELD_ALLOCATED] = {"allocated", IPCFS_UNSIGNED, "bytes", "memory and swap in use by its pages"},
    [FIELD_MODE] = {"mode", IPCFS_MODE, "", "permission bits"},
    [FIELD_UID] = {"uid", IPCFS_UNSIGNED, "", "owner"},
    [FIELD_GID] = {"gid", IPCFS_UNSIGNED, "", "owning group"},
    [FIELD_NLINK] = {"nlink", IPCFS_UNSIGNED, "", "number of names"},
    [FIELD_INO] = {"ino", IPCFS_UNSIGNED, "", "inode number"},
    [FIELD_ATIME] = {"atime", IPCFS_TIME, "", "last read"},
    [FIELD_MTIME] = {"mtime", IPCFS_TIME, "", "last change of content by write or truncate"},
    [FIELD_CTIME] = {"ctime", IPCFS_TIME, "", "last change of content or attributes"},
    [FIELD_BTIME] = {"btime", IPCFS_TIME, "", "creation"},
    {0},
};

static struct ipcfs_value time_value(const struct statx *stat, unsigned bit,
                                     const struct statx_timestamp *time)
{
    return (struct ipcfs_value){
        .known = stat->stx_mask & bit,
        .time = {.tv_sec = time->tv_sec, .tv_nsec = time->tv_nsec},
    };
}

void shm_show_state(const char *name, const struct statx *stat, struct ipcfs_value *values)
{
    values[FIELD_NAME] = ipcfs_string(name);
    values[FIELD_SIZE] = ipcfs_number(stat->stx_size);
    values[FIELD_ALLOCATED] = ipcfs_number(stat->stx_blocks * 512);
    values[FIELD_MODE] = ipcfs_number(stat->stx_mode & 07777);
    values[FIELD_UID] = ipcfs_number(stat->stx_uid);
    values[FIELD_GID] = ipcfs_number(stat->stx_gid);
    values[FIELD_NLINK] = ipcfs_number(stat->stx_nlink);
    values[FIELD_INO] = ipcfs_number(stat->stx_ino);
    values[FIELD_ATIME] = time_value(stat, STATX_ATIME, &stat->stx_atime);
    values[FIELD_MTIME] = time_value(stat, STATX_MTIME, &stat->stx_mtime);
    values[FIELD_CTIME] = time_value(stat, STATX_CTIME, &stat->stx_ctime);
    values[FIELD_BTIME] = time_value(stat, STATX_BTIME, &stat->stx_btime);
}

enum {
    LIMIT_PATH,
    LIMIT_SIZE,
    LIMIT_USED,
    LIMIT_AVAILABLE,
    LIMIT_INODES,
    LIMIT_INODES_USED,
    LIMIT_INODES_AVAILABLE,
    LIMIT_NAME_MAX,
};

const struct ipcfs_field shm_limit_fields[] = {
    [LIMIT_PATH] = {"path", IPCFS_STRING, "",
                    "the tmpfs, whose mount options size= and nr_inodes= set these limits"},
    [LIMIT_SIZE] = {"size", IPCFS_UNSIGNED, "bytes", "all objects together may use so much"},
    [LIMIT_USED] = {"used", IPCFS_UNSIGNED, "bytes", "in use"},
    [LIMIT_AVAILABLE] = {"available", IPCFS_UNSIGNED, "bytes", "left"},
    [LIMIT_INODES] = {"inodes", IPCFS_UNSIGNED, "", "so many objects may exist"},
    [LIMIT_INODES_USED] = {"inodes_used", IPCFS_UNSIGNED, "", "in use"},
    [LIMIT_INODES_AVAILABLE] = {"inodes_available", IPCFS_UNSIGNED, "", "left"},
    [LIMIT_NAME_MAX] = {"name_max", IPCFS_UNSIGNED, "bytes", "longest name"},
    {0},
};

void shm_show_limits(const struct statvfs *system, struct ipcfs_value *values)
{
    values[LIMIT_PATH] = ipcfs_string(IPCFS_SHM_DIRECTORY);
    /* tmpfs says 0 of everything where it was mounted without a limit (size=0, nr_inodes=0). */
    if (system->f_blocks) {
        values[LIMIT_SIZE] = ipcfs_number(system->f_blocks * system->f_frsize);
        values[LIMIT_USED] = ipcfs_number((system->f_blocks - system->f_bfree) * system->f_frsize);
        values[LIMIT_AVAILABLE] = ipcfs_number(system->f_bavail * system->f_frsize);
    }
    if (system->f_files) {
        values[LIMIT_INODES] = ipcfs_number(system->f_files);
        values[LIMIT_INODES_USED] = ipcfs_number(system->f_files - system->f_ffree);
        values[LIMIT_INODES_AVAILABLE] = ipcfs_number(system->f_favail);
    }
    values[LIMIT_NAME_MAX] = ipcfs_number(system->f_namemax);
}

static int shm_native(const struct ipcfs_ref *ref, char *target, size_t room)
{
    int length = snprintf(target, room, IPCFS_SHM_DIRECTORY "/%s", ref->name);
    return length < 0 || (size_t)length >= room ? -ENAMETOOLONG : 0;
}

const struct ipcfs_verb shm_verbs[] = {
    {.name = "native",
     .type = IPCFS_VERB_LINK,
     .mode = 0777,
     .help = "symbolic link to the object in the tmpfs",
     .link = shm_native},
    {0},
};
