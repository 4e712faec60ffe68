/* SPDX-License-Identifier: MIT */
#include "posix_sem_show.h"

#include "object_count.h"
#include "posix_sem.h"
#include "posix_sem_directory.h"
#include "posix_sem_object.h"
#include "sem_word.h"
#include "tmpfs.h"
#include "tmpfs_show.h"

#include "ipcfs/cleanup.h"

#include <errno.h>

/* ---- state ---- */

enum {
    FIELD_NAME,
    FIELD_VALUE,
    FIELD_WAITERS,
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

const struct ipcfs_field posix_sem_fields[] = {
    [FIELD_NAME] = {"name", IPCFS_NAME, "", "its name, without the leading slash of sem_open"},
    [FIELD_VALUE] = {"value", IPCFS_UNSIGNED, "", "so many can be taken without waiting"},
    [FIELD_WAITERS] = {"waiters", IPCFS_UNSIGNED, "",
                       "so many wait to take one, and those that were killed while they did"},
    [FIELD_MODE] = {"mode", IPCFS_MODE, "", "permission bits, of the file in the tmpfs"},
    [FIELD_UID] = {"uid", IPCFS_UNSIGNED, "", "owner"},
    [FIELD_GID] = {"gid", IPCFS_UNSIGNED, "", "owning group"},
    [FIELD_NLINK] = {"nlink", IPCFS_UNSIGNED, "", "number of names"},
    [FIELD_INO] = {"ino", IPCFS_UNSIGNED, "", "inode number"},
    [FIELD_ATIME] = {"atime", IPCFS_TIME, "", "last read of the file, or mapping by sem_open"},
    [FIELD_MTIME] = {"mtime", IPCFS_TIME, "", "last change of the file by write or truncate"},
    [FIELD_CTIME] = {"ctime", IPCFS_TIME, "", "last change of the file or its attributes"},
    [FIELD_BTIME] = {"btime", IPCFS_TIME, "", "creation"},
    {0},
};

/* −EACCES: not for the caller to know. −EAGAIN: somebody has a lease. −EIDRM: cut off. Then the word is not known. */
static int read_word(int path_fd, uint64_t *word, bool *known)
{
    struct ipcfs_hold hold = {.fd = path_fd};
    const struct ipcfs_ref ref = {.hold = &hold};
    AUTO_FD fd = posix_sem_open_file(&ref, O_RDONLY);
    int error = fd < 0 ? fd : sem_word_read(fd, word);
    *known = !error;
    return error == -EACCES || error == -EAGAIN || error == -EIDRM ? 0 : error;
}

int posix_sem_render(const struct ipcfs_ref *ref, struct ipcfs_value *values)
{
    struct statx stat;
    AUTO_FD own_fd = ref->hold ? -1 : posix_sem_resolve(ref, &stat);
    int path_fd = ref->hold ? ref->hold->fd : own_fd;
    if (path_fd < 0)
        return path_fd;
    uint64_t word = 0;
    bool known = false;
    /* The attributes first: to read the file may change its atime, where the caller is not its owner. */
    int error = nodes_stat_at(path_fd, "", &stat);
    if (!error)
        error = read_word(path_fd, &word, &known);
    if (error)
        return error;
    values[FIELD_NAME] = ipcfs_string(ref->name);
    tmpfs_show_attributes(&stat, values + FIELD_MODE);
    values[FIELD_VALUE] = (struct ipcfs_value){.known = known, .number = sem_word_value(word)};
    values[FIELD_WAITERS] = (struct ipcfs_value){.known = known, .number = sem_word_waiters(word)};
    return 0;
}

int posix_sem_list_render(struct ipcfs_lister *lister, const struct ipcfs_entry *entry,
                          struct ipcfs_value *values)
{
    (void)lister;
    struct ipcfs_ref ref = {.name = entry->name};
    return posix_sem_render(&ref, values);
}

/* ---- limits ---- */

enum {
    LIMIT_VALUE_MAX,
    LIMIT_NAME_MAX,
    LIMIT_SEMAPHORES,
    LIMIT_PATH,
    LIMIT_SIZE,
    LIMIT_USED,
    LIMIT_AVAILABLE,
    LIMIT_INODES,
    LIMIT_INODES_USED,
    LIMIT_INODES_AVAILABLE,
};
_Static_assert(LIMIT_INODES_AVAILABLE - LIMIT_SIZE == TMPFS_INODES_AVAILABLE,
               "in the order of tmpfs_show_limits()");

const struct ipcfs_field posix_sem_limit_fields[] = {
    [LIMIT_VALUE_MAX] = {"value_max", IPCFS_UNSIGNED, "", "the largest value (SEM_VALUE_MAX)"},
    [LIMIT_NAME_MAX] = {"name_max", IPCFS_UNSIGNED, "bytes", "longest name"},
    [LIMIT_SEMAPHORES] = {"semaphores", IPCFS_UNSIGNED, "", "so many exist; not there: more than 100000"},
    [LIMIT_PATH] = {"path", IPCFS_STRING, "",
                    "the tmpfs, whose mount options size= and nr_inodes= set these limits"},
    [LIMIT_SIZE] = {"size", IPCFS_UNSIGNED, "bytes", "all files in it together may use so much"},
    [LIMIT_USED] = {"used", IPCFS_UNSIGNED, "bytes", "in use"},
    [LIMIT_AVAILABLE] = {"available", IPCFS_UNSIGNED, "bytes", "left; a semaphore takes a page"},
    [LIMIT_INODES] = {"inodes", IPCFS_UNSIGNED, "", "so many files may exist in it"},
    [LIMIT_INODES_USED] = {"inodes_used", IPCFS_UNSIGNED, "", "in use"},
    [LIMIT_INODES_AVAILABLE] = {"inodes_available", IPCFS_UNSIGNED, "", "left"},
    {0},
};

const struct ipcfs_limit posix_sem_limit_rows[] = {
    {"mount option size= of " IPCFS_SHM_DIRECTORY, LIMIT_SIZE, LIMIT_USED, .scope = IPCFS_LIMITS_FILESYSTEM},
    {"mount option nr_inodes= of " IPCFS_SHM_DIRECTORY, LIMIT_INODES, LIMIT_INODES_USED,
     .scope = IPCFS_LIMITS_FILESYSTEM},
    {"compiled in (SEM_VALUE_MAX)", LIMIT_VALUE_MAX, IPCFS_NO_USE, .scope = IPCFS_LIMITS_OBJECT},
    {"compiled in (NAME_MAX, less 4)", LIMIT_NAME_MAX, IPCFS_NO_USE, .scope = IPCFS_LIMITS_OBJECT},
    {0},
};

const struct ipcfs_total posix_sem_totals[] = {
    {IPCFS_TOTAL_OBJECTS, LIMIT_SEMAPHORES},
    {IPCFS_TOTAL_SEMAPHORES, LIMIT_SEMAPHORES},
    {0},
};

/* Who waits has it mapped. The word counts also those who were killed while they waited, so it proves nothing. */
int posix_sem_traces(const struct ipcfs_ref *ref, void **kept, struct ipcfs_traces *out)
{
    (void)kept;
    struct statx stat;
    int error = posix_sem_stat(ref, &stat);
    if (error)
        return error;
    tmpfs_traces(&stat, out);
    out->content_known = true;
    return 0;
}

int posix_sem_limits(const struct caller *caller, struct ipcfs_value *values)
{
    (void)caller;
    struct statvfs system;
    int error = posix_sem_stat_system(&system);
    if (!error)
        error = object_count(&ipcfs_posix_sem_backend, &values[LIMIT_SEMAPHORES]);
    if (error)
        return error;
    values[LIMIT_VALUE_MAX] = ipcfs_number(SEM_VALUE_MAX);
    values[LIMIT_NAME_MAX] = ipcfs_number(POSIX_SEM_NAME_MAX);
    values[LIMIT_PATH] = ipcfs_string(IPCFS_SHM_DIRECTORY);
    tmpfs_show_limits(&system, values + LIMIT_SIZE);
    return 0;
}
