/* SPDX-License-Identifier: MIT */
#include "pipe_ends.h"

#include "proc_fds.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/place.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum { FIRST_ROOM = 64 };

void pipe_ends_free(struct pipe_ends *ends)
{
    for (size_t i = 0; i < ends->count; i++)
        free(ends->rows[i].path);
    free(ends->rows);
    *ends = (struct pipe_ends){0};
}

/* ---- collecting ---- */

struct search {
    struct pipe_ends *ends;
    dev_t anonymous; /* the device of pipes without a name */
    uint64_t number; /* of the one FIFO that is looked for */
};

static int add(struct pipe_ends *ends, const struct pipe_end *end)
{
    if (ends->count == ends->room) {
        size_t room = ends->room ? 2 * ends->room : FIRST_ROOM;
        struct pipe_end *rows = realloc(ends->rows, room * sizeof *rows);
        if (!rows)
            return -ENOMEM;
        ends->rows = rows;
        ends->room = room;
    }
    ends->rows[ends->count++] = *end;
    return 0;
}

/* Whether it is of a FIFO. Only what has a path can be; the others need not be looked at. */
static bool look_at_fifo(const struct proc_fd *fd, struct pipe_end *end)
{
    struct statx stat;
    if ((*fd->target && *fd->target != '/') || proc_fd_stat(fd, &stat) || !S_ISFIFO(stat.stx_mode))
        return false;
    end->device = makedev(stat.stx_dev_major, stat.stx_dev_minor);
    end->ino = stat.stx_ino;
    return true;
}

/* False also where it is closed by now, and where it only marks a place (O_PATH). */
static bool look_at_access(const struct proc_fd *fd, struct pipe_end *end)
{
    return proc_fd_access(fd, &end->reads, &end->writes) && (end->reads || end->writes);
}

static int visit_all(void *data, const struct proc_fd *fd)
{
    struct search *search = data;
    struct pipe_end end = {.device = search->anonymous, .pid = fd->pid, .fd = fd->fd};
    bool anonymous = proc_fd_number(fd, "pipe", &end.ino);
    if ((!anonymous && !look_at_fifo(fd, &end)) || !look_at_access(fd, &end))
        return 0;
    if (!anonymous && !(end.path = strdup(fd->target)))
        return -ENOMEM;
    int error = add(search->ends, &end);
    if (error)
        free(end.path);
    return error;
}

static int visit_own(void *data, const struct proc_fd *fd)
{
    struct search *search = data;
    struct pipe_end end = {.pid = fd->pid, .fd = fd->fd};
    if (!look_at_fifo(fd, &end) || !pipe_end_is_own(&end) || pipe_end_number(&end) != search->number ||
        !look_at_access(fd, &end))
        return 0;
    return add(search->ends, &end);
}

static int compare(const void *left, const void *right)
{
    const struct pipe_end *a = left;
    const struct pipe_end *b = right;
    if (a->device != b->device)
        return a->device < b->device ? -1 : 1;
    if (a->ino != b->ino)
        return a->ino < b->ino ? -1 : 1;
    if (a->pid != b->pid)
        return a->pid < b->pid ? -1 : 1;
    return a->fd < b->fd ? -1 : a->fd > b->fd;
}

static int collect(proc_fd_visit *visit, struct search *search)
{
    int error = proc_fds_walk(visit, search);
    if (error)
        pipe_ends_free(search->ends);
    else if (search->ends->count)
        qsort(search->ends->rows, search->ends->count, sizeof *search->ends->rows, compare);
    return error;
}

/* All of them are on one device, which no file tells. */
static int find_anonymous_device(dev_t *out)
{
    int ends[2];
    struct stat stat;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    AUTO_FD reader = ends[0];
    AUTO_FD writer = ends[1];
    (void)writer;
    if (fstat(reader, &stat) < 0)
        return -errno;
    *out = stat.st_dev;
    return 0;
}

int pipe_ends_of_all(struct pipe_ends *out)
{
    struct search search = {.ends = out};
    *out = (struct pipe_ends){0};
    int error = find_anonymous_device(&search.anonymous);
    return error ? error : collect(visit_all, &search);
}

int pipe_ends_of(uint64_t number, struct pipe_ends *out)
{
    struct search search = {.ends = out, .number = number};
    *out = (struct pipe_ends){0};
    return collect(visit_own, &search);
}

/* ---- what they tell ---- */

bool pipe_end_is_own(const struct pipe_end *end)
{
    return end->device == place_device() && end->device;
}

uint64_t pipe_end_number(const struct pipe_end *end)
{
    return end->ino & ((UINT64_C(1) << 48) - 1);
}

size_t pipe_ends_process(const struct pipe_end *ends, size_t count, struct pipe_process *out)
{
    size_t rows = 0;
    *out = (struct pipe_process){.pid = ends->pid};
    for (; rows < count && ends[rows].pid == ends->pid; rows++) {
        out->reads = out->reads || ends[rows].reads;
        out->writes = out->writes || ends[rows].writes;
    }
    return rows;
}

void pipe_ends_count(const struct pipe_end *ends, size_t count, size_t *readers, size_t *writers)
{
    *readers = *writers = 0;
    for (size_t i = 0; i < count;) {
        struct pipe_process process;
        i += pipe_ends_process(ends + i, count - i, &process);
        *readers += process.reads;
        *writers += process.writes;
    }
}

size_t pipe_ends_best(const struct pipe_end *ends, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (ends[i].reads)
            return i;
    return 0;
}

struct pipe_question pipe_end_question(const struct pipe_end *end, pipe_act *act)
{
    return (struct pipe_question){
        .device = end->device, .ino = end->ino, .pid = end->pid, .fd = end->fd, .act = act};
}

const char *pipe_access_word(bool reads, bool writes)
{
    return reads && writes ? "rw" : reads ? "r" : "w";
}
