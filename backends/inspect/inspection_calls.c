/* SPDX-License-Identifier: MIT */
/* What threads wait for: by their system calls, and by the requests that wait in the daemon. */
#include "inspection_build.h"
#include "inspection_known_calls.h"

#include "rows.h"

#include "ipcfs/place.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/wait.h>

/* ---- requests in the daemon ---- */

static int keep_parked(void *data, const struct inspection_parked *parked)
{
    struct build *build = data;
    if (!ROWS_MAKE_ROOM(build->parked, build->parked_count, build->parked_room))
        return -ENOMEM;
    build->parked[build->parked_count++] = *parked;
    return 0;
}

static int by_tid(const void *a, const void *b)
{
    pid_t one = ((const struct inspection_parked *)a)->tid;
    pid_t other = ((const struct inspection_parked *)b)->tid;
    return (one > other) - (one < other);
}

int build_read_parked(struct build *build)
{
    int error = build->host->each_parked(build->host->data, keep_parked, build);
    if (build->parked_count)
        qsort(build->parked, build->parked_count, sizeof *build->parked, by_tid);
    return error;
}

static const struct inspection_parked *parked_of(const struct build *build, pid_t tid)
{
    const struct inspection_parked key = {.tid = tid};
    if (!build->parked_count)
        return NULL;
    return bsearch(&key, build->parked, build->parked_count, sizeof key, by_tid);
}

/* ---- waits ---- */

/* A thread in a call, of the process that was put in last. */
struct waiting {
    struct build *build;
    const struct process *process;
    const struct process_call *call;
    const struct call *how;
};

static int add_wait(const struct waiting *waiting, const struct thing *thing,
                    void (*refine)(const struct waiting *, struct inspected_use *))
{
    struct build *build = waiting->build;
    size_t object = NO_OBJECT;
    int error = thing_object(build, thing, &object);
    if (error)
        return error;
    build->objects.notes[object].unwanted = false;
    struct inspected_use use = build_use(build, object, USE_WAITING);
    use.reads = !waiting->how->writes;
    use.writes = waiting->how->writes;
    use.part = thing->part;
    use.member = thing->member;
    use.tid = waiting->call->tid;
    use.call = waiting->how->name;
    use.timed = call_is_timed(waiting->call);
    use.since_known = waiting->call->since_known;
    use.since = waiting->call->since;
    if (refine)
        refine(waiting, &use);
    return build_add_use(build, &use);
}

/* ---- descriptors ---- */

static int descriptor_number(const struct waiting *waiting)
{
    return (int)waiting->call->arguments[waiting->how->argument];
}

static void refine_descriptor(const struct waiting *waiting, struct inspected_use *use)
{
    use->fd = descriptor_number(waiting);
}

static void refine_lock(const struct waiting *waiting, struct inspected_use *use)
{
    use->fd = descriptor_number(waiting);
    use->exclusive = true;
    use->reads = false;
}

/* False also where what the descriptor is of never makes such a call wait. */
static bool descriptor_thing(const struct waiting *waiting, const struct process_descriptor **found,
                             struct thing *out)
{
    *found = process_descriptor_find(waiting->process, descriptor_number(waiting));
    return *found && thing_of_descriptor(waiting->build, waiting->process, *found, out);
}

static int wait_for_descriptor(const struct waiting *waiting)
{
    const struct process_descriptor *descriptor = NULL;
    struct thing thing;
    if (!descriptor_thing(waiting, &descriptor, &thing) || !thing.called)
        return 0;
    if (waiting->how->sort == CALL_VMSPLICE && !descriptor->writes)
        return 0; /* it takes what is there */
    return add_wait(waiting, &thing, refine_descriptor);
}

static int wait_for_queue(const struct waiting *waiting)
{
    const struct process_descriptor *descriptor = NULL;
    struct thing thing;
    if (!descriptor_thing(waiting, &descriptor, &thing) || !thing.key.kind || thing.mount)
        return 0;
    return add_wait(waiting, &thing, refine_descriptor);
}

/* Of a file that nothing else is known of, it is told only where /proc/locks had it. */
static int wait_for_lock(const struct waiting *waiting)
{
    const struct process_descriptor *descriptor = NULL;
    struct thing thing;
    if (!descriptor_thing(waiting, &descriptor, &thing))
        return 0;
    return add_wait(waiting, &thing, refine_lock);
}

/* ---- any of several ---- */

static bool is_meant(const struct process_descriptor *descriptor, const struct process_polled *polled)
{
    ino_t number = descriptor->ino;
    return !polled->ino || ((number || process_descriptor_number(descriptor, "pipe", &number) ||
                             process_descriptor_number(descriptor, "socket", &number)) &&
                            number == polled->ino);
}

static int wait_for_one(const struct waiting *waiting, const struct process_polled *polled)
{
    const struct process_descriptor *descriptor = process_descriptor_find(waiting->process, polled->fd);
    struct thing thing;
    if (!descriptor || !is_meant(descriptor, polled) ||
        !thing_of_descriptor(waiting->build, waiting->process, descriptor, &thing) || !thing.called)
        return 0;
    int error = add_wait(waiting, &thing, NULL);
    if (error)
        return error;
    struct inspected_use *use = &waiting->build->out->uses[waiting->build->out->use_count - 1];
    use->any = true;
    use->fd = polled->fd;
    use->reads = polled->reads;
    use->writes = polled->writes;
    return 0;
}

static int wait_for_any(const struct waiting *waiting)
{
    const struct process_call *call = waiting->call;
    int error = 0;
    for (size_t i = 0; !error && i < call->polled_count; i++)
        error = wait_for_one(waiting, &waiting->process->polled[call->polled_first + i]);
    return error;
}

/* ---- FIFOs that are being opened ---- */

static void refine_open(const struct waiting *waiting, struct inspected_use *use)
{
    use->call = "open";
    use->writes = waiting->call->writes;
    use->reads = !use->writes;
}

static int wait_for_partner(const struct waiting *waiting)
{
    struct thing thing;
    if (!waiting->call->fifo)
        return 0;
    thing_of_fifo(waiting->build, waiting->call->fifo, &thing);
    return add_wait(waiting, &thing, refine_open);
}

/* ---- words of memory ---- */

static void refine_futex(const struct waiting *waiting, struct inspected_use *use)
{
    uint64_t address = waiting->call->arguments[0];
    const struct process_mapping *mapping = process_mapping_find(waiting->process, address);
    use->futex = true;
    use->offset = address - mapping->start + mapping->offset;
}

static int wait_for_word(const struct waiting *waiting)
{
    const struct process_mapping *mapping =
        process_mapping_find(waiting->process, waiting->call->arguments[0]);
    struct thing thing;
    if (!mapping || !mapping->shared || !thing_of_mapping(waiting->build, waiting->process, mapping, &thing))
        return 0;
    return add_wait(waiting, &thing, refine_futex);
}

/* futex(2): argument 1 says what is done. */
static bool is_shared_wait(const struct process_call *call)
{
    int operation = (int)call->arguments[1];
    if (operation & FUTEX_PRIVATE_FLAG)
        return false;
    switch (operation & FUTEX_CMD_MASK) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET:
    case FUTEX_WAIT_REQUEUE_PI:
    case FUTEX_LOCK_PI:
    case 13: /* FUTEX_LOCK_PI2, Linux 5.14 */
        return true;
    default:
        return false;
    }
}

/* ---- ids and children ---- */

static const struct ipcfs_backend *kind_named(const char *name)
{
    for (size_t i = 0; ipcfs_backends[i]; i++)
        if (strcmp(ipcfs_backends[i]->kind, name) == 0)
            return ipcfs_backends[i];
    return NULL;
}

/* An id is of the name space of the process. */
static int wait_for_id(const struct waiting *waiting, const char *kind)
{
    const struct thing thing = {.key = {.type = INSPECTED_OBJECT,
                                        .kind = kind_named(kind),
                                        .number = (uint32_t)waiting->call->arguments[0]},
                                .member = -1,
                                .path = ""};
    return waiting->process->same_ipc && thing.key.kind ? add_wait(waiting, &thing, NULL) : 0;
}

/* Each waits for children of its own: until all is put in order, its pid stands for the device. */
static int wait_for_child(const struct waiting *waiting, int64_t pid)
{
    const struct thing thing = {.key = {.type = INSPECTED_EXIT,
                                        .number = pid > 0 ? (uint64_t)pid : 0,
                                        .device = (dev_t)waiting->process->pid},
                                .member = -1,
                                .path = pid > 0 ? "the end of a child" : "the end of any child"};
    return add_wait(waiting, &thing, NULL);
}

/* ---- all ---- */

static int wait_of(const struct waiting *waiting)
{
    const uint64_t *arguments = waiting->call->arguments;
    int command = (int)arguments[1];
    switch (waiting->how->sort) {
    case CALL_FD:
    case CALL_VMSPLICE:
        return wait_for_descriptor(waiting);
    case CALL_QUEUE:
        return wait_for_queue(waiting);
    case CALL_LOCK:
        return wait_for_lock(waiting);
    case CALL_FCNTL:
        return command == F_SETLKW || command == F_OFD_SETLKW ? wait_for_lock(waiting) : 0;
    case CALL_FUTEX:
        return is_shared_wait(waiting->call) ? wait_for_word(waiting) : 0;
    case CALL_FUTEX2:
        return arguments[3] & FUTEX_PRIVATE_FLAG ? 0 : wait_for_word(waiting);
    case CALL_SEM:
        return wait_for_id(waiting, "sysv/sem");
    case CALL_MSG:
        return wait_for_id(waiting, "sysv/msg");
    case CALL_WAIT4:
        return wait_for_child(waiting, (int)arguments[0]);
    case CALL_WAITID:
        return wait_for_child(waiting, arguments[0] == P_PID ? (int)arguments[1] : 0);
    case CALL_POLL:
        return wait_for_any(waiting);
    case CALL_OPEN:
        return wait_for_partner(waiting);
    }
    return 0;
}

/* ---- requests that wait in the daemon ---- */

static bool names_descriptor(const struct call *call)
{
    return call && (call->sort == CALL_FD || call->sort == CALL_LOCK || call->sort == CALL_FCNTL);
}

static int add_parked(const struct waiting *waiting, const struct inspection_parked *parked)
{
    struct build *build = waiting->build;
    const struct object_key key = {.type = INSPECTED_OBJECT, .kind = parked->kind, .number = parked->number};
    bool is_lock = waiting->how && (waiting->how->sort == CALL_LOCK || waiting->how->sort == CALL_FCNTL);
    size_t object = NO_OBJECT;
    int error = objects_add(&build->objects, &key, &object);
    if (error)
        return error;
    struct inspected_use use = build_use(build, object, USE_WAITING);
    use.reads = !is_lock && !parked->writes;
    use.writes = !is_lock && parked->writes;
    use.part = parked->part;
    use.member = parked->member;
    use.fd = names_descriptor(waiting->how) ? descriptor_number(waiting) : -1;
    use.tid = waiting->call->tid;
    use.call = parked->call;
    use.parked = true;
    use.exclusive = is_lock;
    use.since_known = true;
    use.since = parked->since;
    return build_add_use(build, &use);
}

/* The request may have ended since, and the thread wait for something else: then it is in another call, or on a file that is
 * not of the mount. */
static bool may_be_parked(const struct waiting *waiting)
{
    const struct call *how = waiting->how;
    if (!how || how->sort == CALL_OPEN)
        return true;
    if (!names_descriptor(how))
        return false;
    const struct process_descriptor *descriptor =
        process_descriptor_find(waiting->process, descriptor_number(waiting));
    return descriptor && descriptor->device == place_device();
}

int build_add_waits(struct build *build, const struct process *process)
{
    int error = 0;
    for (size_t i = 0; !error && i < process->call_count; i++) {
        const struct process_call *call = &process->calls[i];
        const struct waiting waiting = {build, process, call, known_call(call->number)};
        const struct inspection_parked *parked = parked_of(build, call->tid);
        if (parked && may_be_parked(&waiting))
            error = add_parked(&waiting, parked);
        else if (waiting.how)
            error = wait_of(&waiting);
    }
    return error;
}
