/* SPDX-License-Identifier: MIT */
#include "pipe_ends.h"

#include "inspect/process.h"

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
    /* Adds that end, if the descriptor is one. */
    int (*add)(struct search *search, const struct process_descriptor *descriptor, struct pipe_end *end);
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

static int add_any(struct search *search, const struct process_descriptor *descriptor, struct pipe_end *end)
{
    bool anonymous = process_descriptor_number(descriptor, "pipe", &end->ino);
    if (anonymous)
        end->device = search->anonymous;
    else if (!S_ISFIFO(descriptor->type))
        return 0;
    if (!anonymous && !(end->path = strdup(descriptor->target)))
        return -ENOMEM;
    int error = add(search->ends, end);
    if (error)
        free(end->path);
    return error;
}

static int add_own(struct search *search, const struct process_descriptor *descriptor, struct pipe_end *end)
{
    if (!S_ISFIFO(descriptor->type) || !pipe_end_is_own(end) || pipe_end_number(end) != search->number)
        return 0;
    return add(search->ends, end);
}

static int visit(void *data, struct process *process)
{
    struct search *search = data;
    int error = 0;
    for (size_t i = 0; !error && i < process->descriptor_count; i++) {
        const struct process_descriptor *descriptor = &process->descriptors[i];
        struct pipe_end end = {.device = descriptor->device,
                               .ino = descriptor->ino,
                               .pid = process->pid,
                               .fd = descriptor->fd,
                               .reads = descriptor->reads,
                               .writes = descriptor->writes};
        if (end.reads || end.writes) /* not what only marks a place (O_PATH) */
            error = search->add(search, descriptor, &end);
    }
    return error;
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

static int collect(struct search *search)
{
    int error = processes_read(0, PROCESS_DESCRIPTORS | PROCESS_UNNAMED, visit, search);
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
    struct search search = {.ends = out, .add = add_any};
    *out = (struct pipe_ends){0};
    int error = find_anonymous_device(&search.anonymous);
    return error ? error : collect(&search);
}

int pipe_ends_of(uint64_t number, struct pipe_ends *out)
{
    struct search search = {.ends = out, .number = number, .add = add_own};
    *out = (struct pipe_ends){0};
    return collect(&search);
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
