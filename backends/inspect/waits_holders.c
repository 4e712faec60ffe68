/* SPDX-License-Identifier: MIT */
#include "waits_build.h"

#include "boot_time.h"
#include "posix_sem.h"
#include "sock.h"
#include "sysv_msg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- whoever has it ---- */

typedef bool holder_test(const struct waited *waited, const struct inspected_use *use);

static int add_users(struct waits_build *build, struct waited *waited, const struct inspected_object *object,
                     holder_test *is_holder, enum wait_evidence evidence)
{
    const struct inspection *inspection = build->inspection;
    int error = 0;
    for (size_t i = 0; !error && i < object->user_count; i++) {
        const struct inspected_use *use = &inspection->uses[object->users[i]];
        if (use->how == USE_WAITING || !is_holder(waited, use))
            continue;
        error = waits_add_holder(build, waited, use->process, 0);
        if (waited->evidence == EVIDENCE_NONE)
            waited->evidence = evidence;
    }
    return error;
}

static bool has_open(const struct waited *waited, const struct inspected_use *use)
{
    (void)waited;
    return use->how == USE_DESCRIPTOR;
}

static bool has_write_end(const struct waited *waited, const struct inspected_use *use)
{
    (void)waited;
    return use->how == USE_DESCRIPTOR && use->writes;
}

static bool has_read_end(const struct waited *waited, const struct inspected_use *use)
{
    (void)waited;
    return use->how == USE_DESCRIPTOR && use->reads;
}

static bool has_mapped_for_writing(const struct waited *waited, const struct inspected_use *use)
{
    (void)waited;
    return use->how != USE_DESCRIPTOR && use->writes;
}

/* ---- semaphores ---- */

static bool is_hold(const struct inspected_use *use)
{
    return use->how == USE_DESCRIPTOR && use->part && strcmp(use->part, "hold") == 0;
}

/* Who can post, or gives back what he holds when he closes it. */
static bool can_post(const struct waited *waited, const struct inspected_use *use)
{
    bool of_member = waited->member < 0 || use->member < 0 || waited->member == use->member;
    return of_member && (use->writes || is_hold(use));
}

static bool only_by_hold(const struct waits_build *build, const struct waited *waited,
                         const struct inspected_object *object)
{
    for (size_t i = 0; i < object->user_count; i++) {
        const struct inspected_use *use = &build->inspection->uses[object->users[i]];
        if (use->how != USE_WAITING && can_post(waited, use) && !is_hold(use))
            return false;
    }
    return true;
}

static int find_of_semaphore(struct waits_build *build, struct waited *waited,
                             const struct inspected_object *object)
{
    bool all_hold = only_by_hold(build, waited, object);
    int error = add_users(build, waited, object, can_post, all_hold ? EVIDENCE_HOLD : EVIDENCE_OPEN);
    if (waited->count && all_hold)
        waited->open = false;
    if (!error && object->kind != &ipcfs_posix_sem_backend)
        error = waits_last_of_sem(build, waited);
    return error;
}

/* ---- locks ---- */

static int compare_locks(const void *one, const void *two)
{
    const struct inspected_lock *a = one;
    const struct inspected_lock *b = two;
    if (a->object != b->object)
        return a->object < b->object ? -1 : 1;
    if (a->waiter != b->waiter)
        return a->waiter < b->waiter ? -1 : 1;
    return (a->holder > b->holder) - (a->holder < b->holder);
}

/* The first that this one waits for, and those behind it. */
static const struct inspected_lock *find_locks(const struct waits_build *build, size_t object, pid_t waiter)
{
    const struct inspected_lock wanted = {.object = object, .waiter = waiter};
    size_t low = 0;
    size_t high = build->inspection->lock_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_locks(&build->locks[middle], &wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return build->locks + low;
}

/* Whether it lives, and has the file open: the number of one that has ended may be another's by now. */
static ptrdiff_t process_of_lock(const struct inspection *inspection, const struct inspected_lock *lock)
{
    const struct inspected_object *object = &inspection->objects[lock->object];
    ptrdiff_t process = lock->holder > 0 ? waits_process(inspection, lock->holder) : NO_PROCESS;
    if (process == NO_PROCESS || !inspection->processes[process].readable)
        return process;
    const struct inspected_use *use = NULL;
    for (size_t at = waits_uses_begin(inspection, object, (size_t)process);
         (use = waits_use(inspection, object, (size_t)process, at)); at++)
        if (use->how == USE_DESCRIPTOR)
            return process;
    return NO_PROCESS;
}

/* Those who are told to have it. `*known`: and nobody else has it. */
static int add_lock_holders(struct waits_build *build, struct waited *waited, pid_t waiter, bool *known)
{
    const struct inspection *inspection = build->inspection;
    const struct inspected_lock *lock = find_locks(build, waited->object, waiter);
    const struct inspected_lock *end = build->locks + inspection->lock_count;
    int error = 0;
    *known = lock < end && lock->object == waited->object && lock->waiter == waiter;
    for (; !error && *known && lock < end && lock->object == waited->object && lock->waiter == waiter;
         lock++) {
        ptrdiff_t process = process_of_lock(inspection, lock);
        *known = process != NO_PROCESS;
        if (*known)
            error = waits_add_holder(build, waited, (size_t)process, 0);
    }
    return error;
}

/* A lock that a process took which has ended, or that an open file description has, is told of nobody, or not at all: whoever
 * has the file open may have inherited it, or it is somebody's out of this process name space. */
static int find_of_lock(struct waits_build *build, struct waited *waited, const struct wait *wait)
{
    const struct inspection *inspection = build->inspection;
    bool known = false;
    waited->open = false;
    int error = add_lock_holders(build, waited, inspection->processes[wait->process].pid, &known);
    if (error)
        return error;
    if (known) {
        waited->every = true;
        waited->evidence = EVIDENCE_LOCK_TABLE;
        return 0;
    }
    build->out->holder_count -= waited->count;
    waited->count = 0;
    waited->presumed = true;
    return add_users(build, waited, &inspection->objects[waited->object], has_open, EVIDENCE_LOCK_FILE);
}

/* ---- data and room ---- */

static int compare_sockets(const void *one, const void *two)
{
    const struct socket_object *a = one;
    const struct socket_object *b = two;
    return (a->socket > b->socket) - (a->socket < b->socket);
}

static int find_of_socket(struct waits_build *build, struct waited *waited,
                          const struct inspected_object *object)
{
    const struct socket_object wanted = {.socket = object->peer};
    if (!object->peer)
        return 0;
    const struct socket_object *peer =
        bsearch(&wanted, build->sockets, build->socket_count, sizeof wanted, compare_sockets);
    return peer ? add_users(build, waited, &build->inspection->objects[peer->object], has_open,
                            EVIDENCE_OTHER_END)
                : 0;
}

/* The other end of a connection of a listening socket's directory is not told. */
static int find_of_traffic(struct waits_build *build, struct waited *waited, const struct wait *wait,
                           const struct inspected_object *object)
{
    if (object->type == INSPECTED_SOCKET || object->kind == &ipcfs_sock_backend)
        return build->inspection->uses[wait->use].parked ? 0 : find_of_socket(build, waited, object);
    bool data = waited->purpose == WAITS_FOR_DATA;
    int error = add_users(build, waited, object, data ? has_write_end : has_read_end,
                          data ? EVIDENCE_WRITES : EVIDENCE_READS);
    if (!error && object->type == INSPECTED_OBJECT && object->kind == &ipcfs_sysv_msg_backend)
        error = waits_last_of_msg(build, waited);
    return error;
}

/* ---- the end of a child ---- */

static int find_of_child(struct waits_build *build, struct waited *waited, const struct wait *wait,
                         const struct inspected_object *object)
{
    const struct inspection *inspection = build->inspection;
    pid_t parent = inspection->processes[wait->process].pid;
    int error = 0;
    waited->evidence = EVIDENCE_CHILD;
    if (object->number) {
        ptrdiff_t child = waits_process(inspection, (pid_t)object->number);
        return child == NO_PROCESS ? 0 : waits_add_holder(build, waited, (size_t)child, 0);
    }
    for (size_t i = 0; !error && i < inspection->process_count; i++)
        if (inspection->processes[i].parent == parent)
            error = waits_add_holder(build, waited, i, 0);
    return error;
}

/* ---- all ---- */

static int prepare_sockets(struct waits_build *build)
{
    const struct inspection *inspection = build->inspection;
    build->sockets = calloc(inspection->object_count + 1, sizeof *build->sockets);
    if (!build->sockets)
        return -ENOMEM;
    for (size_t i = 0; i < inspection->object_count; i++)
        if (inspection->objects[i].socket)
            build->sockets[build->socket_count++] =
                (struct socket_object){.socket = inspection->objects[i].socket, .object = i};
    qsort(build->sockets, build->socket_count, sizeof *build->sockets, compare_sockets);
    return 0;
}

int waits_prepare_holders(struct waits_build *build)
{
    const struct inspection *inspection = build->inspection;
    build->boot = boot_time_earliest();
    build->locks = calloc(inspection->lock_count + 1, sizeof *build->locks);
    if (!build->locks)
        return -ENOMEM;
    if (inspection->lock_count)
        memcpy(build->locks, inspection->locks, inspection->lock_count * sizeof *build->locks);
    qsort(build->locks, inspection->lock_count, sizeof *build->locks, compare_locks);
    return prepare_sockets(build);
}

int waits_find_holders(struct waits_build *build, struct waited *waited, const struct wait *wait)
{
    const struct inspected_object *object = &build->inspection->objects[waited->object];
    int error = 0;
    switch (waited->purpose) {
    case WAITS_FOR_FUTEX:
        error = waits_find_owner(build, waited);
        if (error || waited->purpose != WAITS_FOR_FUTEX)
            return error;
        return add_users(build, waited, object, has_mapped_for_writing, EVIDENCE_MAPPED);
    case WAITS_FOR_LOCK:
        return find_of_lock(build, waited, wait);
    case WAITS_FOR_SEMAPHORE:
        return find_of_semaphore(build, waited, object);
    case WAITS_FOR_DATA:
    case WAITS_FOR_ROOM:
        return find_of_traffic(build, waited, wait, object);
    case WAITS_FOR_CHILD:
        return find_of_child(build, waited, wait, object);
    case WAITS_FOR_MUTEX:
    case WAITS_FOR_ZERO:
    case WAITS_FOR_PARTNER:
    case WAITS_FOR_ANY:
    case WAITS_FOR_OTHER:
        break;
    }
    return error;
}
