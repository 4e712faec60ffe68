/* SPDX-License-Identifier: MIT */
#include "inspection.h"

#include "inspection_build.h"
#include "kernel_memory.h"
#include "rows.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* ---- making ---- */

/* Its lists are the reader's: no process takes memory for more than its uses. */
static int put_process(struct build *build, const struct process *process)
{
    struct inspection *out = build->out;
    if (out->process_count == build->process_room && !ROWS_GROW(out->processes, build->process_room))
        return -ENOMEM;
    struct process *row = &out->processes[out->process_count++];
    *row = *process;
    row->descriptors = NULL;
    row->mappings = NULL;
    row->calls = NULL;
    row->descriptor_count = row->mapping_count = row->call_count = 0;
    row->memory = NULL;
    out->unreadable += !process->readable && !process->stuck;
    out->stuck += process->stuck;
    return 0;
}

static int visit(void *data, struct process *process)
{
    struct build *build = data;
    int error = put_process(build, process);
    if (!error)
        error = build_add_uses(build, process);
    if (!error && build->what & INSPECT_WAITERS)
        error = build_add_waits(build, process);
    return error;
}

static int read_all(struct build *build, pid_t only)
{
    bool waiters = build->what & INSPECT_WAITERS;
    unsigned what = PROCESS_DESCRIPTORS | PROCESS_MAPPINGS | (waiters ? PROCESS_CALLS : 0U);
    int error = waiters ? build_read_parked(build) : 0;
    if (!error && waiters)
        error = build_read_locks(build);
    return error ? error : processes_read(only, what, visit, build);
}

static int make(struct build *build, pid_t only)
{
    int error = read_all(build, only);
    if (!error)
        error = build_ask_sockets(build);
    if (!error)
        error = build_ask_names(build);
    if (!error && build->what & INSPECT_WAITERS)
        error = build_add_locks(build);
    return error ? error : build_put_in_order(build);
}

int inspection_make(const struct inspection_host *host, unsigned what, pid_t only, struct inspection **out)
{
    struct made_inspection *made = calloc(1, sizeof *made);
    if (!made)
        return -ENOMEM;
    struct build build = {.made = made,
                          .host = host,
                          .what = what,
                          .self = getpid(),
                          .out = &made->inspection,
                          .objects = &made->objects};
    kernel_memory_start();
    objects_begin(&made->objects);
    (void)clock_gettime(CLOCK_REALTIME, &made->inspection.time);
    int error = make(&build, only);
    free(build.parked);
    free(build.lines);
    free(build.files);
    if (error)
        inspection_free(&made->inspection);
    else
        *out = &made->inspection;
    return error;
}

/* ---- what was made ---- */

/* The structure is the first in that which the table is in. */
static const struct made_inspection *made_of(const struct inspection *inspection)
{
    return (const struct made_inspection *)inspection;
}

void inspection_free(struct inspection *inspection)
{
    struct made_inspection *made = (struct made_inspection *)inspection;
    if (!made)
        return;
    objects_free(&made->objects);
    free(made->users);
    free(inspection->processes);
    free(inspection->uses);
    free(inspection->locks);
    free(made);
}

const struct inspected_object *inspection_object(const struct inspection *inspection,
                                                 const struct ipcfs_backend *kind, uint64_t number)
{
    const struct object_key key = {.type = INSPECTED_OBJECT, .kind = kind, .number = number};
    size_t found = objects_find(&made_of(inspection)->objects, &key);
    return found == NO_OBJECT ? NULL : &inspection->objects[found];
}

static int compare_pid(const void *key, const void *row)
{
    pid_t pid = *(const pid_t *)key;
    const struct process *process = row;
    return (pid > process->pid) - (pid < process->pid);
}

const struct process *inspection_process(const struct inspection *inspection, pid_t pid)
{
    if (!inspection->process_count)
        return NULL;
    return bsearch(&pid, inspection->processes, inspection->process_count, sizeof *inspection->processes,
                   compare_pid);
}

const char *inspected_how_word(enum inspected_how how)
{
    static const char *const words[] = {
        [USE_DESCRIPTOR] = "descriptor",
        [USE_MAPPING] = "mapping",
        [USE_ATTACHMENT] = "attachment",
        [USE_WAITING] = "waiting",
    };
    return words[how];
}

const char *inspected_kind_word(const struct inspected_object *object)
{
    static const char *const words[] = {
        [INSPECTED_PIPE] = "pipe",     [INSPECTED_SOCKET] = "socket", [INSPECTED_MEMFD] = "memfd",
        [INSPECTED_SHARED] = "shared", [INSPECTED_FILE] = "file",     [INSPECTED_EXIT] = "exit",
    };
    return object->type == INSPECTED_OBJECT ? object->kind->kind : words[object->type];
}
