/* SPDX-License-Identifier: MIT */
#include "posix_sem_directory.h"

#include "fd_directory.h"
#include "sem_word.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct nodes tmpfs = {.fd = -1, .shows = IPCFS_MAKES_FILES};

const struct nodes *posix_sem_tmpfs(void)
{
    return &tmpfs;
}

/* ---- start and stop ---- */

int posix_sem_start(void)
{
    int error = sem_word_start();
    if (error)
        return error;
    error = tmpfs_open(&tmpfs);
    if (error)
        sem_word_stop();
    return error;
}

void posix_sem_stop(void)
{
    nodes_close(&tmpfs);
    sem_word_stop();
}

/* ---- names ---- */

int posix_sem_watched(void)
{
    return tmpfs.fd;
}

/* Where glibc makes a semaphore before it links it to its name (sem_open(3)): mktemp(3) of "sem.XXXXXX". */
static bool is_passing(const char *name)
{
    enum { RANDOM = 6 };
    size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
    return length == RANDOM && !name[length];
}

const char *posix_sem_watched_name(const char *file, bool *passing)
{
    static const size_t prefix = sizeof POSIX_SEM_PREFIX - 1;
    struct posix_sem_path path;
    if (strncmp(file, POSIX_SEM_PREFIX, prefix) != 0 || posix_sem_path(file + prefix, &path))
        return NULL;
    *passing = is_passing(file + prefix);
    return file + prefix;
}

int posix_sem_path(const char *name, struct posix_sem_path *out)
{
    if (strlen(name) > POSIX_SEM_NAME_MAX)
        return -ENAMETOOLONG;
    /* glibc takes "." and ".." as names, but no directory can show them. */
    if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strchr(name, '/'))
        return -ENOENT;
    (void)snprintf(out->text, sizeof out->text, POSIX_SEM_PREFIX "%s", name);
    return 0;
}

bool posix_sem_is_object(const struct statx *stat)
{
    return nodes_shows(&tmpfs, stat) && stat->stx_size >= sizeof(sem_t);
}

int posix_sem_name_stat(const char *name, struct statx *out)
{
    struct posix_sem_path path;
    int error = posix_sem_path(name, &path);
    if (!error)
        error = nodes_stat_at(tmpfs.fd, path.text, out);
    if (!error && !posix_sem_is_object(out))
        error = -ENOENT;
    return error;
}

/* ---- the directory itself ---- */

int posix_sem_stat_directory(unsigned directory, struct ipcfs_directory *out)
{
    (void)directory;
    return fd_directory_stat(tmpfs.fd, out);
}

int posix_sem_stat_system(struct statvfs *out)
{
    return fd_directory_stat_system(tmpfs.fd, out);
}

/* ---- walks ---- */

int posix_sem_list_open(unsigned directory, struct ipcfs_lister **out)
{
    (void)directory;
    return nodes_list_open(&tmpfs, out);
}

/* The name of the semaphore that the entry is, or NULL. */
static const char *name_of(const struct dirent *entry)
{
    static const size_t prefix = sizeof POSIX_SEM_PREFIX - 1;
    bool may_be = entry->d_type == DT_REG || entry->d_type == DT_UNKNOWN;
    if (!may_be || strncmp(entry->d_name, POSIX_SEM_PREFIX, prefix) != 0)
        return NULL;
    struct statx stat;
    const char *name = entry->d_name + prefix;
    int error = posix_sem_name_stat(name, &stat);
    /* Who may list the directory but not search it is told the names. */
    return error == 0 || (error == -EACCES && entry->d_type == DT_REG) ? name : NULL;
}

int posix_sem_list_next(struct ipcfs_lister *lister, struct ipcfs_entry *out)
{
    const struct dirent *file = NULL;
    int more = 0;
    while ((more = nodes_list_file(lister, &file)) == 1) {
        const char *name = name_of(file);
        if (!name)
            continue;
        *out = nodes_entry(file, name, S_IFDIR);
        return 1;
    }
    return more;
}

/* ---- what processes have ---- */

bool posix_sem_recognize(const struct ipcfs_thing *thing, uint64_t *number)
{
    return tmpfs_has(&tmpfs, thing, true, number);
}
