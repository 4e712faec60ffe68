/* SPDX-License-Identifier: MIT */
/* What limits open files: descriptors are what most objects are used by. */
#include "caller_limit.h"
#include "small_file.h"

#include "ipcfs/limits.h"

enum {
    LIMIT_FILE_MAX,
    LIMIT_FILES,
    LIMIT_NR_OPEN,
    LIMIT_NOFILE,
    LIMIT_DESCRIPTORS,
};

const struct ipcfs_field ipcfs_file_limit_fields[] = {
    [LIMIT_FILE_MAX] = {"file_max", IPCFS_UNSIGNED, "", "so many files may be open on the machine"},
    [LIMIT_FILES] = {"files", IPCFS_UNSIGNED, "", "that are open"},
    [LIMIT_NR_OPEN] = {"nr_open", IPCFS_UNSIGNED, "", "the highest that RLIMIT_NOFILE can be raised to"},
    [LIMIT_NOFILE] = {"nofile_limit", IPCFS_UNSIGNED, "", "so many descriptors the reading process may have"},
    [LIMIT_DESCRIPTORS] = {"descriptors", IPCFS_UNSIGNED, "", "that it has"},
    {0},
};

const struct ipcfs_limit ipcfs_file_limit_rows[] = {
    {"sysctl fs.file-max", LIMIT_FILE_MAX, LIMIT_FILES, .scope = IPCFS_LIMITS_SYSTEM},
    {"sysctl fs.nr_open", LIMIT_NR_OPEN, IPCFS_NO_USE, .scope = IPCFS_LIMITS_PROCESS},
    {"ulimit -n (RLIMIT_NOFILE)", LIMIT_NOFILE, LIMIT_DESCRIPTORS, .scope = IPCFS_LIMITS_PROCESS},
    {0},
};

static struct ipcfs_value setting(const char *path)
{
    uint64_t number = 0;
    bool known = small_file_number(path, "", &number) == 0;
    return (struct ipcfs_value){.known = known, .number = number};
}

int ipcfs_file_limits(const struct caller *caller, struct ipcfs_value *values)
{
    struct rlimit limit;
    int error = caller_limit(caller, RLIMIT_NOFILE, &limit);
    if (error)
        return error;
    values[LIMIT_FILE_MAX] = setting("/proc/sys/fs/file-max");
    values[LIMIT_FILES] =
        setting("/proc/sys/fs/file-nr"); /* the first of its numbers; since Linux 2.6 none is free */
    values[LIMIT_NR_OPEN] = setting("/proc/sys/fs/nr_open");
    values[LIMIT_NOFILE] =
        (struct ipcfs_value){.known = limit.rlim_cur != RLIM_INFINITY, .number = limit.rlim_cur};
    values[LIMIT_DESCRIPTORS] = caller_descriptors(caller);
    return 0;
}
