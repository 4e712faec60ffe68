/* SPDX-License-Identifier: MIT */
#include "waits_build.h"

#include "mq.h"
#include "pipe.h"
#include "posix_sem.h"
#include "rows.h"
#include "sock.h"
#include "sysv_msg.h"
#include "sysv_sem.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- words ---- */

const char *wait_purpose_word(enum wait_purpose purpose)
{
    static const char *const words[] = {
        [WAITS_FOR_FUTEX] = "futex", [WAITS_FOR_MUTEX] = "mutex",
        [WAITS_FOR_LOCK] = "lock",   [WAITS_FOR_SEMAPHORE] = "semaphore",
        [WAITS_FOR_ZERO] = "zero",   [WAITS_FOR_DATA] = "data",
        [WAITS_FOR_ROOM] = "room",   [WAITS_FOR_PARTNER] = "partner",
        [WAITS_FOR_CHILD] = "child", [WAITS_FOR_ANY] = "any",
        [WAITS_FOR_OTHER] = "other",
    };
    return words[purpose];
}

const char *wait_evidence_words(enum wait_evidence evidence)
{
    static const char *const words[] = {
        [EVIDENCE_LOCK_TABLE] = "lock table",
        [EVIDENCE_LOCK_FILE] = "locked file open",
        [EVIDENCE_LOCK_WORD] = "lock word",
        [EVIDENCE_OWNER_LOST] = "owner not found",
        [EVIDENCE_HOLD] = "hold open",
        [EVIDENCE_OPEN] = "open or mapped",
        [EVIDENCE_WRITES] = "open for writing",
        [EVIDENCE_READS] = "open for reading",
        [EVIDENCE_MAPPED] = "mapped",
        [EVIDENCE_OTHER_END] = "other end",
        [EVIDENCE_CHANGED_LAST] = "last changed it",
        [EVIDENCE_SENT_LAST] = "sent last",
        [EVIDENCE_RECEIVED_LAST] = "received last",
        [EVIDENCE_CHILD] = "child",
    };
    return words[evidence];
}

/* ---- what for ---- */

static bool is_one_of(const char *word, const char *const *words)
{
    while (*words && strcmp(word, *words) != 0)
        words++;
    return *words != NULL;
}

/* Calls that end when somebody comes to the other end. */
static bool is_for_partner(const struct inspected_use *use)
{
    static const char *const calls[] = {"open", "openat", "openat2", "connect", "accept", "accept4", NULL};
    return is_one_of(use->call, calls);
}

static bool carries_data(const struct inspected_object *object)
{
    const struct ipcfs_backend *kind = object->kind;
    if (object->type != INSPECTED_OBJECT)
        return object->type == INSPECTED_PIPE || object->type == INSPECTED_SOCKET;
    return kind == &ipcfs_mq_backend || kind == &ipcfs_sysv_msg_backend || kind == &ipcfs_pipe_backend ||
           kind == &ipcfs_sock_backend;
}

static bool is_semaphore(const struct inspected_object *object)
{
    return object->type == INSPECTED_OBJECT &&
           (object->kind == &ipcfs_posix_sem_backend || object->kind == &ipcfs_sysv_sem_backend);
}

static enum wait_purpose purpose_of(const struct inspection *inspection, const struct inspected_use *use)
{
    const struct inspected_object *object = &inspection->objects[use->object];
    if (object->type == INSPECTED_EXIT)
        return WAITS_FOR_CHILD;
    if (use->any)
        return WAITS_FOR_ANY;
    if (use->exclusive)
        return WAITS_FOR_LOCK;
    if (is_semaphore(object))
        return use->part && strcmp(use->part, "zero") == 0 ? WAITS_FOR_ZERO : WAITS_FOR_SEMAPHORE;
    if (use->futex)
        return WAITS_FOR_FUTEX;
    if (is_for_partner(use))
        return WAITS_FOR_PARTNER;
    if (!carries_data(object))
        return WAITS_FOR_OTHER;
    return use->writes ? WAITS_FOR_ROOM : WAITS_FOR_DATA;
}

/* Whether somebody who has not got it yet can come to it, by its name. */
static bool has_name(const struct inspected_object *object)
{
    switch (object->type) {
    case INSPECTED_OBJECT:
        return !object->removed && object->kind != &ipcfs_sock_backend;
    case INSPECTED_PIPE:
    case INSPECTED_SHARED:
        return object->name && *object->name == '/';
    default:
        return false;
    }
}

/* ---- what is the same ---- */

/* A wait, and what tells whether others wait for the same. */
struct wanted {
    struct wait wait;
    size_t object;
    enum wait_purpose purpose;
    int member;
    uint64_t offset;
    ptrdiff_t asker; /* of a lock or a child: whom it is told for; otherwise NO_PROCESS */
};

static int compare(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_wanted(const void *one, const void *two)
{
    const struct wanted *a = one;
    const struct wanted *b = two;
    int order = compare(a->purpose, b->purpose);
    if (!order)
        order = compare(a->object, b->object);
    if (!order)
        order = compare((uint64_t)a->member, (uint64_t)b->member);
    if (!order)
        order = compare(a->offset, b->offset);
    return order ? order : compare((uint64_t)a->asker, (uint64_t)b->asker);
}

static struct wanted wanted_of(const struct inspection *inspection, size_t index)
{
    const struct inspected_use *use = &inspection->uses[index];
    enum wait_purpose purpose = purpose_of(inspection, use);
    bool is_own = purpose == WAITS_FOR_LOCK || purpose == WAITS_FOR_CHILD;
    return (struct wanted){
        .wait = {.use = index, .process = use->process, .tid = use->tid, .several = use->any},
        .object = use->object,
        .purpose = purpose,
        .member = use->member,
        .offset = purpose == WAITS_FOR_FUTEX ? use->offset : 0,
        .asker = is_own ? (ptrdiff_t)use->process : NO_PROCESS,
    };
}

static size_t collect_wanted(const struct inspection *inspection, struct wanted *out)
{
    size_t count = 0;
    for (size_t i = 0; i < inspection->use_count; i++)
        if (inspection->uses[i].how == USE_WAITING)
            out[count++] = wanted_of(inspection, i);
    return count;
}

static void put_together(struct waits_build *build, const struct wanted *wanted)
{
    struct waits *out = build->out;
    for (size_t i = 0; i < out->count; i++) {
        if (!i || compare_wanted(&wanted[i - 1], &wanted[i]) != 0) {
            out->waited[out->waited_count++] = (struct waited){
                .object = wanted[i].object,
                .member = wanted[i].member,
                .offset = wanted[i].offset,
                .purpose = wanted[i].purpose,
                .open = has_name(&build->inspection->objects[wanted[i].object]),
            };
        }
        out->waits[i] = wanted[i].wait;
        out->waits[i].waited = out->waited_count - 1;
    }
}

/* ---- holders ---- */

/* Of all that is waited for: as many as there are things times processes would be more than there is memory. */
enum { HOLDERS_MAX = 1024 * 1024 };

ptrdiff_t waits_process(const struct inspection *inspection, pid_t pid)
{
    const struct process *process = inspection_process(inspection, pid);
    return process ? process - inspection->processes : NO_PROCESS;
}

static bool is_holder(const struct wait_holder *holder, size_t process, pid_t tid)
{
    return holder->process == process && holder->tid == tid;
}

int waits_add_holder(struct waits_build *build, struct waited *waited, size_t process, pid_t tid)
{
    struct waits *out = build->out;
    if (waited->count == 0)
        waited->first = out->holder_count;
    else if (is_holder(&out->holders[out->holder_count - 1], process, tid))
        return 0;
    if (out->holder_count == HOLDERS_MAX)
        return -E2BIG;
    if (!ROWS_MAKE_ROOM(out->holders, out->holder_count, build->holder_room))
        return -ENOMEM;
    out->holders[out->holder_count++] = (struct wait_holder){.process = process, .tid = tid, .wait = NO_WAIT};
    waited->count++;
    return 0;
}

/* Where there are too many, nobody is told to be able to end that wait: as of one that somebody unknown can end. */
static int find_holders(struct waits_build *build, struct waited *waited, const struct wait *wait)
{
    int error = waits_find_holders(build, waited, wait);
    if (error != -E2BIG)
        return error;
    build->out->holder_count -= waited->count;
    waited->count = 0;
    waited->evidence = EVIDENCE_NONE;
    return 0;
}

/* Those who wait for the same stand together. */
static int find_all_holders(struct waits_build *build)
{
    const struct waits *out = build->out;
    int error = 0;
    for (size_t i = 0; !error && i < out->count; i++)
        if (!i || out->waits[i].waited != out->waits[i - 1].waited)
            error = find_holders(build, &out->waited[out->waits[i].waited], &out->waits[i]);
    return error;
}

/* ---- in order ---- */

static int compare_waits(const void *one, const void *two)
{
    const struct wait *a = one;
    const struct wait *b = two;
    int order = compare(a->process, b->process);
    return order ? order : compare((uint64_t)a->tid, (uint64_t)b->tid);
}

static bool is_same_thread(const struct wait *a, const struct wait *b)
{
    return a->process == b->process && a->tid == b->tid;
}

size_t waits_of_process(const struct waits *waits, size_t process, size_t *count)
{
    size_t low = 0;
    size_t high = waits->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (waits->waits[middle].process < process)
            low = middle + 1;
        else
            high = middle;
    }
    *count = 0;
    while (low + *count < waits->count && waits->waits[low + *count].process == process)
        ++*count;
    return low;
}

static ptrdiff_t wait_of_thread(const struct waits *waits, size_t process, pid_t tid)
{
    size_t count = 0;
    size_t first = waits_of_process(waits, process, &count);
    for (size_t i = first; i < first + count; i++)
        if (waits->waits[i].tid == tid)
            return (ptrdiff_t)i;
    return NO_WAIT;
}

size_t waits_uses_begin(const struct inspection *inspection, const struct inspected_object *object,
                        size_t process)
{
    size_t low = 0;
    size_t high = object->user_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (inspection->uses[object->users[middle]].process < process)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct inspected_use *waits_use(const struct inspection *inspection,
                                      const struct inspected_object *object, size_t process, size_t at)
{
    const struct inspected_use *use = at < object->user_count ? &inspection->uses[object->users[at]] : NULL;
    return use && use->process == process ? use : NULL;
}

/* Whether the process itself has it open for writing. */
static bool can_write(const struct inspection *inspection, const struct inspected_object *object,
                      size_t process)
{
    const struct inspected_use *use = NULL;
    for (size_t at = waits_uses_begin(inspection, object, process);
         (use = waits_use(inspection, object, process, at)); at++)
        if (use->how == USE_DESCRIPTOR && use->writes)
            return true;
    return false;
}

static void put_in_order(struct waits *waits)
{
    const struct inspection *inspection = waits->inspection;
    qsort(waits->waits, waits->count, sizeof *waits->waits, compare_waits);
    for (size_t i = 0; i < waits->count; i++) {
        struct wait *wait = &waits->waits[i];
        const struct waited *waited = &waits->waited[wait->waited];
        wait->serves = waited->purpose == WAITS_FOR_DATA && waited->open &&
                       can_write(inspection, &inspection->objects[waited->object], wait->process);
        if (i && is_same_thread(wait - 1, wait))
            wait->several = wait[-1].several = true;
    }
    for (size_t i = 0; i < waits->holder_count; i++) {
        struct wait_holder *holder = &waits->holders[i];
        if (holder->tid)
            holder->wait = wait_of_thread(waits, holder->process, holder->tid);
    }
}

bool wait_has_holders(const struct waits *waits, const struct wait *wait)
{
    const struct waited *waited = &waits->waited[wait->waited];
    const struct wait_holder *holders = waits->holders + waited->first;
    bool only_itself = waited->count == 1 && waited->presumed && holders->process == wait->process;
    return waited->count > 0 && !only_itself;
}

/* ---- all ---- */

static int fill(struct waits_build *build)
{
    const struct inspection *inspection = build->inspection;
    struct waits *out = build->out;
    AUTO_FREE struct wanted *wanted = calloc(inspection->use_count + 1, sizeof *wanted);
    if (!wanted)
        return -ENOMEM;
    out->count = collect_wanted(inspection, wanted);
    out->waits = calloc(out->count + 1, sizeof *out->waits);
    out->waited = calloc(out->count + 1, sizeof *out->waited);
    if (!out->waits || !out->waited)
        return -ENOMEM;
    qsort(wanted, out->count, sizeof *wanted, compare_wanted);
    put_together(build, wanted);
    int error = waits_read_words(build);
    if (!error)
        error = waits_prepare_holders(build);
    if (!error)
        error = find_all_holders(build);
    if (!error)
        put_in_order(out);
    return error;
}

int waits_make(const struct inspection *inspection, struct waits **out)
{
    struct waits *waits = calloc(1, sizeof *waits);
    if (!waits)
        return -ENOMEM;
    waits->inspection = inspection;
    struct waits_build build = {.inspection = inspection, .out = waits};
    int error = fill(&build);
    free(build.sockets);
    free(build.locks);
    free(build.words);
    if (error)
        waits_free(waits);
    else
        *out = waits;
    return error;
}

void waits_free(struct waits *waits)
{
    if (!waits)
        return;
    free(waits->waits);
    free(waits->waited);
    free(waits->holders);
    free(waits);
}
