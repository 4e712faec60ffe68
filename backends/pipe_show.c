/* SPDX-License-Identifier: MIT */
#include "pipe_show.h"

#include "fd_path.h"
#include "nodes.h"
#include "object_count.h"
#include "pipe.h"
#include "pipe_ends.h"
#include "small_file.h"
#include "tmpfs_show.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/identity.h"
#include "ipcfs/number.h"
#include "ipcfs/place.h"

#include <inttypes.h>
#include <string.h>

/* ---- reaching the pipe ---- */

/* Whether the calling thread may open it so, R_OK or W_OK, and its number. 0, −EACCES or −ESTALE. */
static int check_right(const struct ipcfs_ref *ref, int right, uint64_t *number)
{
    struct statx stat;
    AUTO_FD own_fd = ref->hold ? -1 : pipe_resolve(ref, &stat);
    int fd = ref->hold ? ref->hold->fd : own_fd;
    if (fd < 0)
        return fd;
    int error = ref->hold ? nodes_stat_at(fd, "", &stat) : 0;
    if (error)
        return error;
    *number = nodes_number(stat.stx_ino);
    return faccessat(AT_FDCWD, fd_path(fd).text, right, AT_EACCESS) < 0 ? -errno : 0;
}

/* The same of either. */
static int check_any_right(const struct ipcfs_ref *ref, uint64_t *number)
{
    int error = check_right(ref, R_OK, number);
    return error == -EACCES ? check_right(ref, W_OK, number) : error;
}

/* All who have it open, whoever asks. */
static int find_ends(uint64_t number, struct pipe_ends *out)
{
    AUTO_IDENTITY daemon;
    int error = identity_put_on(&daemon, NULL);
    return error ? error : pipe_ends_of(number, out);
}

/*
 * Asks by the best of the descriptors and, where that is gone, by the next; those that are gone are taken out. −ESRCH where
 * none is left: there is no pipe.
 */
static int ask_any(struct pipe_ends *ends, pipe_act *act, uint64_t capacity, struct pipe_question *out)
{
    while (ends->count) {
        size_t best = pipe_ends_best(ends->rows, ends->count);
        *out = pipe_end_question(&ends->rows[best], act);
        out->capacity = capacity;
        int error = pipe_ask(out, 1);
        if (error)
            return error;
        if (out->acted || (out->error != -ESTALE && out->error != -ESRCH && out->error != -EBADF))
            return out->error;
        ends->rows[best] = ends->rows[--ends->count];
    }
    return -ESRCH;
}

/* As the daemon. */
static int ask_as_daemon(struct pipe_ends *ends, pipe_act *act, struct pipe_question *out)
{
    AUTO_IDENTITY daemon;
    int error = identity_put_on(&daemon, NULL);
    return error ? error : ask_any(ends, act, 0, out);
}

/* ---- state ---- */

enum {
    FIELD_NAME,
    FIELD_CAPACITY,
    FIELD_QUEUED,
    FIELD_READERS,
    FIELD_WRITERS,
    FIELD_MODE,
    FIELD_UID,
    FIELD_GID,
    FIELD_NLINK,
    FIELD_INO,
    FIELD_ATIME,
    FIELD_MTIME,
    FIELD_CTIME,
    FIELD_BTIME,
    FIELD_HOLDER,
    FIELDS,
};
_Static_assert(FIELD_BTIME - FIELD_MODE == TMPFS_BTIME, "in the order of tmpfs_show_attributes()");

const struct ipcfs_field pipe_fields[] = {
    [FIELD_NAME] = {"name", IPCFS_NAME, "", "its name"},
    [FIELD_CAPACITY] = {"capacity", IPCFS_UNSIGNED, "bytes",
                        "so much may wait in it; there is none while nobody has it open"},
    [FIELD_QUEUED] = {"queued", IPCFS_UNSIGNED, "bytes", "that wait to be read"},
    [FIELD_READERS] = {"readers", IPCFS_UNSIGNED, "", "processes that have it open for reading"},
    [FIELD_WRITERS] = {"writers", IPCFS_UNSIGNED, "", "processes that have it open for writing"},
    [FIELD_MODE] = {"mode", IPCFS_MODE, "", "permission bits"},
    [FIELD_UID] = {"uid", IPCFS_UNSIGNED, "", "owner"},
    [FIELD_GID] = {"gid", IPCFS_UNSIGNED, "", "owning group"},
    [FIELD_NLINK] = {"nlink", IPCFS_UNSIGNED, "", "number of names"},
    [FIELD_INO] = {"ino", IPCFS_UNSIGNED, "", "inode number of its node in the runtime directory"},
    [FIELD_ATIME] = {"atime", IPCFS_TIME, "", "as utimensat set it, or creation"},
    [FIELD_MTIME] = {"mtime", IPCFS_TIME, "", "as utimensat set it, or creation"},
    [FIELD_CTIME] = {"ctime", IPCFS_TIME, "", "last change of attributes"},
    [FIELD_BTIME] = {"btime", IPCFS_TIME, "", "creation"},
    [FIELD_HOLDER] = {"holder", IPCFS_TABLE, "",
                      "each descriptor by which a process has it open: pid, fd, and access: r, w or rw; not "
                      "those who wait in open"},
    {0},
};

enum { HOLDER_PID, HOLDER_FD, HOLDER_ACCESS };

static const struct ipcfs_field holder_fields[] = {
    [HOLDER_PID] = {"pid", IPCFS_UNSIGNED, "", "process"},
    [HOLDER_FD] = {"fd", IPCFS_UNSIGNED, "", "its descriptor"},
    [HOLDER_ACCESS] = {"access", IPCFS_STRING, "", "r, w or rw"},
    {0},
};

static int show_holders(const struct pipe_ends *ends, struct ipcfs_value *value)
{
    struct ipcfs_table *table = ipcfs_table_new(holder_fields, ends->count);
    if (!table)
        return -ENOMEM;
    for (size_t i = 0; i < ends->count; i++) {
        const struct pipe_end *end = &ends->rows[i];
        struct ipcfs_value *row = ipcfs_table_row(table, i);
        row[HOLDER_PID] = ipcfs_number((unsigned)end->pid);
        row[HOLDER_FD] = ipcfs_number((unsigned)end->fd);
        row[HOLDER_ACCESS] = ipcfs_string(pipe_access_word(end->reads, end->writes));
    }
    *value = (struct ipcfs_value){.known = true, .table = table};
    return 0;
}

/* Both are known or neither is, but that nothing waits where there is no pipe. */
static int show_content(struct pipe_ends *ends, struct ipcfs_value *values)
{
    struct pipe_question question;
    if (!ends->count) {
        values[FIELD_QUEUED] = ipcfs_number(0);
        return 0;
    }
    int error = ask_as_daemon(ends, pipe_look, &question);
    if (!error) {
        values[FIELD_CAPACITY] = ipcfs_number(question.capacity);
        values[FIELD_QUEUED] = ipcfs_number(question.queued);
    }
    return error == -ENOMEM ? error : 0;
}

int pipe_show_state(const struct ipcfs_ref *ref, const struct statx *stat, struct ipcfs_value *values)
{
    uint64_t inode = 0;
    size_t readers = 0;
    size_t writers = 0;
    AUTO_PIPE_ENDS ends = {0};
    for (int i = 0; i < FIELDS; i++)
        values[i] = (struct ipcfs_value){.known = false};
    values[FIELD_NAME] = ipcfs_string(ref->name);
    tmpfs_show_attributes(stat, values + FIELD_MODE);
    int error = check_any_right(ref, &inode);
    if (error)
        return error == -EACCES ? 0 : error;
    error = find_ends(inode, &ends);
    if (error)
        return error;
    pipe_ends_count(ends.rows, ends.count, &readers, &writers);
    values[FIELD_READERS] = ipcfs_number(readers);
    values[FIELD_WRITERS] = ipcfs_number(writers);
    error = show_holders(&ends, &values[FIELD_HOLDER]);
    return error ? error : show_content(&ends, values);
}

/* ---- limits ---- */

enum {
    LIMIT_MAX_SIZE,
    LIMIT_PAGES_SOFT,
    LIMIT_PAGES_HARD,
    LIMIT_NAME_MAX,
    LIMIT_PATH,
    LIMIT_SIZE,
    LIMIT_USED,
    LIMIT_AVAILABLE,
    LIMIT_INODES,
    LIMIT_INODES_USED,
    LIMIT_INODES_AVAILABLE,
    LIMIT_OBJECTS,
};
_Static_assert(LIMIT_INODES_AVAILABLE - LIMIT_SIZE == TMPFS_INODES_AVAILABLE,
               "in the order of tmpfs_show_limits()");

const struct ipcfs_field pipe_limit_fields[] = {
    [LIMIT_MAX_SIZE] = {"pipe_max_size", IPCFS_UNSIGNED, "bytes",
                        "largest capacity that can be set without CAP_SYS_RESOURCE (fs.pipe-max-size)"},
    [LIMIT_PAGES_SOFT] =
        {"pipe_user_pages_soft", IPCFS_UNSIGNED, "pages",
         "all pipes of a user may have so much capacity; then new ones get two pages, and none "
         "grows; 0: no limit (fs.pipe-user-pages-soft)"},
    [LIMIT_PAGES_HARD] = {"pipe_user_pages_hard", IPCFS_UNSIGNED, "pages",
                          "and so much at most, then none is made; 0: no limit (fs.pipe-user-pages-hard)"},
    [LIMIT_NAME_MAX] = {"name_max", IPCFS_UNSIGNED, "bytes", "longest name"},
    [LIMIT_PATH] = {"path", IPCFS_STRING, "",
                    "the runtime directory, whose file system keeps a node for each pipe"},
    [LIMIT_SIZE] = {"size", IPCFS_UNSIGNED, "bytes", "all files in it together may use so much"},
    [LIMIT_USED] = {"used", IPCFS_UNSIGNED, "bytes", "in use"},
    [LIMIT_AVAILABLE] = {"available", IPCFS_UNSIGNED, "bytes", "left"},
    [LIMIT_INODES] = {"inodes", IPCFS_UNSIGNED, "", "so many files may exist in it"},
    [LIMIT_INODES_USED] = {"inodes_used", IPCFS_UNSIGNED, "", "in use"},
    [LIMIT_INODES_AVAILABLE] = {"inodes_available", IPCFS_UNSIGNED, "", "left"},
    [LIMIT_OBJECTS] = {"objects", IPCFS_UNSIGNED, "", "so many have a name in pipe/"},
    {0},
};

const struct ipcfs_limit pipe_limit_rows[] = {
    {"sysctl fs.pipe-max-size", LIMIT_MAX_SIZE, IPCFS_NO_USE, .scope = IPCFS_LIMITS_OBJECT},
    {"sysctl fs.pipe-user-pages-soft", LIMIT_PAGES_SOFT, IPCFS_NO_USE, .scope = IPCFS_LIMITS_USER,
     .zero_is_none = true},
    {"sysctl fs.pipe-user-pages-hard", LIMIT_PAGES_HARD, IPCFS_NO_USE, .scope = IPCFS_LIMITS_USER,
     .zero_is_none = true},
    {"size of the runtime directory's file system", LIMIT_SIZE, LIMIT_USED, .scope = IPCFS_LIMITS_FILESYSTEM},
    {"inodes of the runtime directory's file system", LIMIT_INODES, LIMIT_INODES_USED,
     .scope = IPCFS_LIMITS_FILESYSTEM},
    {"compiled in (NAME_MAX)", LIMIT_NAME_MAX, IPCFS_NO_USE, .scope = IPCFS_LIMITS_OBJECT},
    {0},
};

const struct ipcfs_total pipe_totals[] = {
    {IPCFS_TOTAL_OBJECTS, LIMIT_OBJECTS},
    {0},
};

#define PIPE_MAX_SIZE "/proc/sys/fs/pipe-max-size"

static struct ipcfs_value read_setting(const char *path)
{
    uint64_t number = 0;
    bool known = small_file_number(path, "", &number) == 0;
    return (struct ipcfs_value){.known = known, .number = number};
}

int pipe_show_limits(struct ipcfs_value *values)
{
    struct statvfs system;
    if (fstatvfs(pipe_nodes(), &system) < 0)
        return -errno;
    values[LIMIT_MAX_SIZE] = read_setting(PIPE_MAX_SIZE);
    values[LIMIT_PAGES_SOFT] = read_setting("/proc/sys/fs/pipe-user-pages-soft");
    values[LIMIT_PAGES_HARD] = read_setting("/proc/sys/fs/pipe-user-pages-hard");
    values[LIMIT_NAME_MAX] = ipcfs_number(system.f_namemax);
    values[LIMIT_PATH] = ipcfs_string(place_path());
    tmpfs_show_limits(&system, values + LIMIT_SIZE);
    return object_count(&ipcfs_pipe_backend, &values[LIMIT_OBJECTS]);
}

/* ---- capacity ---- */

/* Nothing, where there is no pipe. */
static int capacity_read(const struct ipcfs_ref *ref, int64_t number, struct text *out)
{
    (void)number;
    uint64_t inode = 0;
    struct pipe_question question;
    AUTO_PIPE_ENDS ends = {0};
    int error = check_any_right(ref, &inode);
    if (!error)
        error = find_ends(inode, &ends);
    if (!error)
        error = ask_as_daemon(&ends, pipe_look, &question);
    if (error)
        return error == -ESRCH ? 0 : error;
    text_printf(out, "%" PRIu64 "\n", question.capacity);
    return text_error(out);
}

static void explain_refusal(int error, uint64_t capacity, const struct pipe_question *question,
                            struct text *reason)
{
    struct ipcfs_value most = read_setting(PIPE_MAX_SIZE);
    text_printf(reason, "capacity=%" PRIu64 ": ", capacity);
    if (error == -ENXIO)
        text_string(reason, "nobody has the pipe open, so there is none");
    else if (error == -EAGAIN)
        text_string(reason, "the pipe does not answer, because who reads or writes it is held up");
    else if (!question->acted)
        text_string(reason, "the pipe cannot be reached");
    else if (error == -EBUSY)
        text_string(reason, "more waits in it");
    else if (error == -EINVAL)
        text_string(reason, "more than a pipe can have");
    else if (error == -EPERM && most.known && capacity > most.number)
        text_printf(reason, "over fs.pipe-max-size (%" PRIu64 "), needs CAP_SYS_RESOURCE", most.number);
    else if (error == -EPERM)
        text_string(reason, "over fs.pipe-user-pages-soft or -hard for who made the pipe");
    else
        text_string(reason, "refused");
}

/* The caller's own limits count: the pipe is told by him. */
static int capacity_write(const struct ipcfs_ref *ref, int64_t number, const struct ipcfs_written *written)
{
    (void)number;
    uint64_t inode = 0;
    uint64_t capacity = 0;
    if (parse_digits(written->data, written->size, 10, UINT64_MAX, &capacity)) {
        text_string(written->reason, "capacity: a number of bytes is wanted");
        return -EINVAL;
    }
    AUTO_PIPE_ENDS ends = {0};
    int error = check_right(ref, W_OK, &inode);
    if (!error)
        error = find_ends(inode, &ends);
    if (error)
        return error;
    struct pipe_question question = {0};
    error = ask_any(&ends, pipe_resize, capacity, &question);
    if (error == -ESRCH)
        error = -ENXIO;
    if (error)
        explain_refusal(error, capacity, &question, written->reason);
    return error;
}

/* ---- peek ---- */

/*
 * Nothing, where there is no pipe. tee(2) wants a descriptor that reads; where none is found, it can still be told whether
 * something waits: −ENXIO.
 */
static int copy_content(uint64_t inode, struct pipe_question *out)
{
    AUTO_PIPE_ENDS ends = {0};
    int error = find_ends(inode, &ends);
    if (!error)
        error = ask_as_daemon(&ends, pipe_copy, out);
    if (error != -EBADF)
        return error == -ESRCH ? 0 : error;
    error = ask_as_daemon(&ends, pipe_look, out);
    if (error)
        return error == -ESRCH ? 0 : error;
    return out->queued ? -ENXIO : 0;
}

static int peek_read(const struct ipcfs_ref *ref, int64_t number, struct text *out)
{
    (void)number;
    uint64_t inode = 0;
    struct pipe_question question = {0};
    int error = check_right(ref, R_OK, &inode);
    if (error)
        return error;
    error = copy_content(inode, &question);
    if (error == -ENXIO)
        error = copy_content(inode, &question); /* who has just opened it may have been passed by */
    if (error)
        return error;
    text_bytes(out, question.content.data, question.content.length);
    text_reset(&question.content);
    return text_error(out);
}

const struct ipcfs_verb pipe_verbs[] = {
    {.name = "capacity",
     .type = IPCFS_VERB_TEXT,
     .mode = 0666,
     .slow = true,
     .help =
         "so many bytes may wait in it; a write sets that (F_SETPIPE_SZ). There is a pipe only while somebody "
         "has it open: otherwise this is empty, and a write is refused (ENXIO)",
     .read = capacity_read,
     .write = capacity_write},
    {.name = "peek",
     .type = IPCFS_VERB_TEXT,
     .mode = 0444,
     .slow = true,
     .help = "what waits in it, all of which stays there (ENXIO: something waits, but nobody has it open for "
             "reading)",
     .read = peek_read},
    {0},
};
