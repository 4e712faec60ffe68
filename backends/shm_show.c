/* SPDX-License-Identifier: MIT */
#include "shm_show.h"

#include "object_count.h"
#include "shm.h"
#include "tmpfs.h"
#include "tmpfs_show.h"

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
_Static_assert(FIELD_BTIME - FIELD_MODE == TMPFS_BTIME, "in the order of tmpfs_show_attributes()");

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

void shm_show_state(const char *name, const struct statx *stat, struct ipcfs_value *values)
{
    values[FIELD_NAME] = ipcfs_string(name);
    values[FIELD_SIZE] = ipcfs_number(stat->stx_size);
    values[FIELD_ALLOCATED] = ipcfs_number(stat->stx_blocks * 512);
    tmpfs_show_attributes(stat, values + FIELD_MODE);
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
    LIMIT_OBJECTS,
};
_Static_assert(LIMIT_INODES_AVAILABLE - LIMIT_SIZE == TMPFS_INODES_AVAILABLE,
               "in the order of tmpfs_show_limits()");

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
    [LIMIT_OBJECTS] = {"objects", IPCFS_UNSIGNED, "", "so many exist; not there: more than 100000"},
    {0},
};

const struct ipcfs_limit shm_limit_rows[] = {
    {"mount option size= of " IPCFS_SHM_DIRECTORY, LIMIT_SIZE, LIMIT_USED, .scope = IPCFS_LIMITS_FILESYSTEM},
    {"mount option nr_inodes= of " IPCFS_SHM_DIRECTORY, LIMIT_INODES, LIMIT_INODES_USED,
     .scope = IPCFS_LIMITS_FILESYSTEM},
    {"compiled in (NAME_MAX)", LIMIT_NAME_MAX, IPCFS_NO_USE, .scope = IPCFS_LIMITS_OBJECT},
    {0},
};

const struct ipcfs_total shm_totals[] = {
    {IPCFS_TOTAL_OBJECTS, LIMIT_OBJECTS},
    {IPCFS_TOTAL_BYTES, LIMIT_USED},
    {0},
};

int shm_show_limits(const struct statvfs *system, struct ipcfs_value *values)
{
    values[LIMIT_PATH] = ipcfs_string(IPCFS_SHM_DIRECTORY);
    tmpfs_show_limits(system, values + LIMIT_SIZE);
    values[LIMIT_NAME_MAX] = ipcfs_number(system->f_namemax);
    return object_count(&ipcfs_shm_backend, &values[LIMIT_OBJECTS]);
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
