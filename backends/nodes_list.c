/* SPDX-License-Identifier: MIT */
#include "nodes.h"

#include "fd_directory.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <string.h>

struct ipcfs_lister {
    DIR *directory;
};

int nodes_list_open(const struct nodes *nodes, struct ipcfs_lister **out)
{
    AUTO_FREE struct ipcfs_lister *lister = calloc(1, sizeof *lister);
    if (!lister)
        return -ENOMEM;
    int error = fd_directory_open(nodes->fd, &lister->directory);
    if (!error)
        *out = TAKE_PTR(lister);
    return error;
}

int nodes_list_seek(struct ipcfs_lister *lister, uint64_t position)
{
    if (position == 0)
        rewinddir(lister->directory);
    else
        seekdir(lister->directory, (long)position);
    return 0;
}

int nodes_list_file(struct ipcfs_lister *lister, const struct dirent **out)
{
    errno = 0;
    *out = readdir(lister->directory); // NOLINT(concurrency-mt-unsafe): one user per DIR
    return *out ? 1 : -errno;
}

void nodes_list_close(struct ipcfs_lister *lister)
{
    closedir(lister->directory);
    free(lister);
}

struct ipcfs_entry nodes_entry(const struct dirent *file, const char *name, mode_t type)
{
    return (struct ipcfs_entry){
        .name = name, .number = nodes_number(file->d_ino), .next = (uint64_t)file->d_off, .type = type};
}

/* 0 where it is gone. */
static mode_t type_of(const struct nodes *nodes, const struct dirent *file)
{
    if (file->d_type != DT_UNKNOWN)
        return DTTOIF(file->d_type);
    struct statx stat;
    return nodes_stat_at(nodes->fd, file->d_name, &stat) == 0 ? stat.stx_mode & S_IFMT : 0;
}

int nodes_list_next(const struct nodes *nodes, struct ipcfs_lister *lister, struct ipcfs_entry *out)
{
    const struct dirent *file = NULL;
    int more = 0;
    while ((more = nodes_list_file(lister, &file)) == 1) {
        mode_t type = type_of(nodes, file);
        if (!(nodes->shows & ipcfs_type_bit(type)) || !nodes_is_name(file->d_name) ||
            nodes_hides(nodes, file->d_name))
            continue;
        *out = nodes_entry(file, file->d_name, type);
        return 1;
    }
    return more;
}
