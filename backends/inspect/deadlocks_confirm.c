/* SPDX-License-Identifier: MIT */
#include "deadlocks.h"

#include <stdlib.h>
#include <string.h>

static bool is_later(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

static bool is_same_object(const struct inspected_object *a, const struct inspected_object *b)
{
    return a->type == b->type && a->kind == b->kind && a->number == b->number && a->device == b->device &&
           a->socket == b->socket;
}

static bool is_same_wait(const struct waits *now_waits, const struct wait *now,
                         const struct waits *then_waits, const struct wait *then)
{
    const struct inspection *now_seen = now_waits->inspection;
    const struct inspection *then_seen = then_waits->inspection;
    const struct inspected_use *a = &now_seen->uses[now->use];
    const struct inspected_use *b = &then_seen->uses[then->use];
    if (now_seen == then_seen && !a->since_known)
        return false;
    return now_seen->processes[now->process].start == then_seen->processes[then->process].start &&
           strcmp(a->call, b->call) == 0 && a->member == b->member && a->offset == b->offset &&
           a->since_known == b->since_known && !(a->since_known && is_later(&a->since, &then_seen->time)) &&
           is_same_object(&now_seen->objects[a->object], &then_seen->objects[b->object]);
}

/* What that thread waited for then. NULL: it did not wait. */
static const struct wait *find_thread(const struct waits *waits, pid_t pid, pid_t tid)
{
    const struct process *process = inspection_process(waits->inspection, pid);
    size_t count = 0;
    size_t first =
        process ? waits_of_process(waits, (size_t)(process - waits->inspection->processes), &count) : 0;
    for (size_t i = first; i < first + count; i++)
        if (waits->waits[i].tid == tid)
            return &waits->waits[i];
    return NULL;
}

static bool is_deadlocked(const struct deadlocks *deadlocks, size_t wait)
{
    for (size_t i = 0; i < deadlocks->count; i++)
        if (deadlock_has(deadlocks, &deadlocks->all[i], wait))
            return true;
    return false;
}

static bool was_before(const struct deadlocks *now, const struct deadlock *deadlock,
                       const struct waits *now_waits, const struct deadlocks *then,
                       const struct waits *then_waits)
{
    for (size_t i = deadlock->first; i < deadlock->first + deadlock->count; i++) {
        const struct wait *wait = &now_waits->waits[now->waits[i]];
        const struct wait *before =
            find_thread(then_waits, now_waits->inspection->processes[wait->process].pid, wait->tid);
        if (!before || !is_same_wait(now_waits, wait, then_waits, before) ||
            !is_deadlocked(then, (size_t)(before - then_waits->waits)))
            return false;
    }
    return true;
}

void deadlocks_confirm(struct deadlocks *now, const struct waits *now_waits, const struct deadlocks *then,
                       const struct waits *then_waits)
{
    size_t kept = 0;
    for (size_t i = 0; i < now->count; i++)
        if (was_before(now, &now->all[i], now_waits, then, then_waits))
            now->all[kept++] = now->all[i];
    now->count = kept;
}
