/* SPDX-License-Identifier: MIT */
#include "shm_directory.h"

#include "fd_directory.h"

#include <string.h>

static struct tmpfs tmpfs = {.fd = -1};

const struct tmpfs *shm_tmpfs(void)
{
    return &tmpfs;
}

static bool has_prefix(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

bool shm_is_hidden(const char *name)
{
    return has_prefix(name, "sem.") || has_prefix(name, ".ipcfs.") || strchr(name, '/');
}

int shm_start(void)
{
    return tmpfs_open(&tmpfs);
}

void shm_stop(void)
{
    tmpfs_close(&tmpfs);
}

int shm_stat_directory(unsigned directory, struct ipcfs_directory *out)
{
    (void)directory;
    return fd_directory_stat(tmpfs.fd, out);
}

int shm_stat_system(struct statvfs *out)
{
    return fd_directory_stat_system(tmpfs.fd, out);
}

int shm_list_open(unsigned directory, struct ipcfs_lister **out)
{
    (void)directory;
    return tmpfs_list_open(&tmpfs, out);
}

static bool is_regular(const struct dirent *file)
{
    if (file->d_type != DT_UNKNOWN)
        return file->d_type == DT_REG;
    struct statx stat;
    return tmpfs_stat_at(tmpfs.fd, file->d_name, &stat) == 0 && S_ISREG(stat.stx_mode);
}

int shm_list_next(struct ipcfs_lister *lister, struct ipcfs_entry *out)
{
    const struct dirent *file = NULL;
    int more = 0;
    while ((more = tmpfs_list_next(lister, &file)) == 1) {
        if (!is_regular(file) || shm_is_hidden(file->d_name))
            continue;
        *out = tmpfs_entry(file, file->d_name, S_IFREG);
        return 1;
    }
    return more;
}
