/* SPDX-License-Identifier: MIT */
#include "pipe_show.h"

#include "tmpfs_show.h"

const struct ipcfs_field pipe_fields[] = {
    {"name", IPCFS_NAME, "", "its name"},
    {"mode", IPCFS_MODE, "", "permission bits"},
    {"uid", IPCFS_UNSIGNED, "", "owner"},
    {"gid", IPCFS_UNSIGNED, "", "owning group"},
    {"nlink", IPCFS_UNSIGNED, "", "number of names"},
    {"ino", IPCFS_UNSIGNED, "", "inode number"},
    {"atime", IPCFS_TIME, "", "last access"},
    {"mtime", IPCFS_TIME, "", "last change"},
    {"ctime", IPCFS_TIME, "", "last change of attributes"},
    {"btime", IPCFS_TIME, "", "creation"},
    {0},
};
const struct ipcfs_field pipe_survey_fields[] = {{0}};
const struct ipcfs_field pipe_limit_fields[] = {{"name_max", IPCFS_UNSIGNED, "bytes", "longest name"}, {0}};
const struct ipcfs_verb pipe_verbs[] = {{0}};

int pipe_show_state(const struct ipcfs_ref *ref, const struct statx *stat, struct ipcfs_value *values)
{
    values[0] = ipcfs_string(ref->name);
    tmpfs_show_attributes(stat, values + 1);
    return 0;
}

int pipe_survey(ipcfs_survey_row *row, void *data)
{
    (void)row;
    (void)data;
    return 0;
}

int pipe_show_limits(struct ipcfs_value *values)
{
    values[0] = ipcfs_number(255);
    return 0;
}
