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
    if (!ROWS_MAKE_ROOM(out->processes, out->process_count, build->process_room))
        return -ENOMEM;
    struct process *row = &out->processes[out->process_count++];
    *row = *process;
    row->descriptors = NULL;
    row->mappings = NULL;
    row->calls = NULL;
    row->polled = NULL;
    row->descriptor_count = row->mapping_count = row->call_count = row->polled_count = 0;
    row->memory = NULL;
    out->unreadable += !process->readable && !process->stuck;
    out->stuck += process->stuck;
    return 0;
}

/*
 * A descriptor costs its owner a few bytes, and here twenty times that. So a user other than root has a share of what is
 * kept, and all together have a bound: who goes beyond is passed over, as one who may not be looked into.
 */
enum { USES_MAX = 2 * 1024 * 1024, USES_OF_USER_MAX = USES_MAX / 8 };

/* How many uses the user's processes have so far. NULL without memory. */
static size_t *uses_of(struct build *build, uid_t uid)
{
    for (size_t i = 0; i < build->user_count; i++)
        if (build->users[i].uid == uid)
            return &build->users[i].uses;
    if (!ROWS_MAKE_ROOM(build->users, build->user_count, build->user_room))
        return NULL;
    build->users[build->user_count] = (struct build_user){.uid = uid};
    return &build->users[build->user_count++].uses;
}

static void keep_within_bounds(const struct build *build, size_t of_user, struct process *process)
{
    size_t most =
        process->descriptor_count + process->mapping_count + process->call_count + process->polled_count;
    bool within =
        build->out->use_count + most <= USES_MAX && (process->uid == 0 || of_user + most <= USES_OF_USER_MAX);
    if (!within) {
        process->readable = process->calls_known = false;
        process->descriptor_count = process->mapping_count = process->call_count = process->polled_count = 0;
    }
}

static int visit(void *data, struct process *process)
{
    struct build *build = data;
    size_t before = build->out->use_count;
    size_t *of_user = uses_of(build, process->uid);
    if (!of_user)
        return -ENOMEM;
    keep_within_bounds(build, *of_user, process);
    int error = put_process(build, process);
    if (!error)
        error = build_add_uses(build, process);
    if (!error && build->what & INSPECT_WAITERS)
        error = build_add_waits(build, process);
    *of_user += build->out->use_count - before;
    return error;
}

static bool is_one_of(const char *word, const char *const *words)
{
    while (*words && strcmp(word, *words) != 0)
        words++;
    return *words;
}

/* Who waits for one of these names an id; who opens a FIFO, and who waits in the daemon, may have nothing of it open yet. */
static bool calls_tell_alone(const struct build *build)
{
    static const char *const kinds[] = {"sysv/msg", "sysv/sem", NULL};
    bool parked = false;
    for (size_t i = 0; !parked && i < build->parked_count; i++)
        parked = build->parked[i].kind == build->kind && build->parked[i].number == build->subject.number;
    return parked || build->kind->makes & IPCFS_MAKES_FIFOS || is_one_of(build->kind->kind, kinds);
}

/* Of one object; who looks at files of the mount beside it is told, too, and not asked for. */
static int read_subject(struct build *build)
{
    static const char *const mapped[] = {"shm", "sem", "sysv/shm", NULL};
    unsigned what = PROCESS_DESCRIPTORS | PROCESS_CALLS;
    if (is_one_of(build->kind->kind, mapped))
        what |= PROCESS_MAPPINGS;
    build->subject.calls = calls_tell_alone(build);
    return processes_read_of(&build->subject, what, visit, build);
}

static int read_all(struct build *build, pid_t only)
{
    bool waiters = build->what & INSPECT_WAITERS;
    unsigned what = PROCESS_DESCRIPTORS | PROCESS_MAPPINGS | (waiters ? PROCESS_CALLS : 0U) |
                    (build->what & INSPECT_UNTIMED ? PROCESS_UNTIMED : 0U);
    int error = waiters ? build_read_parked(build) : 0;
    if (!error && waiters)
        error = build_read_locks(build);
    if (!error && build->kind)
        return read_subject(build);
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

static int make_inspection(struct build *build, pid_t only, struct inspection **out)
{
    struct inspection *made = calloc(1, sizeof *made);
    if (!made)
        return -ENOMEM;
    build->self = getpid();
    build->out = made;
    kernel_memory_start();
    objects_begin(&build->objects);
    (void)clock_gettime(CLOCK_REALTIME, &made->time);
    int error = make(build, only);
    objects_free(&build->objects);
    free(build->users);
    free(build->parked);
    free(build->lines);
    free(build->files);
    if (error)
        inspection_free(made);
    else
        *out = made;
    return error;
}

int inspection_make(const struct inspection_host *host, unsigned what, pid_t only, struct inspection **out)
{
    struct build build = {.host = host, .what = what};
    return make_inspection(&build, only, out);
}

int inspection_make_of(const struct inspection_host *host, const struct ipcfs_backend *kind, uint64_t number,
                       struct inspection **out)
{
    struct build build = {.host = host, .what = INSPECT_WAITERS};
    if (!(kind->makes &
          IPCFS_MAKES_SOCKETS)) { /* of a socket /proc tells its own number only, not its node's */
        build.kind = kind;
        build.subject = (struct process_subject){.known = true, .number = number};
    }
    return make_inspection(&build, 0, out);
}

void inspection_free(struct inspection *inspection)
{
    if (!inspection)
        return;
    for (size_t i = 0; i < inspection->object_count; i++)
        free((char *)inspection->objects[i].name);
    free(inspection->objects);
    free(inspection->users);
    free(inspection->processes);
    free(inspection->uses);
    free(inspection->locks);
    free(inspection);
}

/* ---- what was made ---- */

static int compare_object(const void *key, const void *row)
{
    const struct inspected_object *object = row;
    const struct object_key other = {
        .type = object->type, .kind = object->kind, .number = object->number, .device = object->device};
    return object_keys_compare(key, &other);
}

const struct inspected_object *inspection_object(const struct inspection *inspection,
                                                 const struct ipcfs_backend *kind, uint64_t number)
{
    const struct object_key key = {.type = INSPECTED_OBJECT, .kind = kind, .number = number};
    if (!inspection->object_count)
        return NULL;
    return bsearch(&key, inspection->objects, inspection->object_count, sizeof *inspection->objects,
                   compare_object);
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
