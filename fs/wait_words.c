/* SPDX-License-Identifier: MIT */
#include "wait_words.h"

#include "ipcfs/cleanup.h"

#include <inttypes.h>
#include <string.h>

/* Of those who could end a wait, and of the waits of one deadlock, so many are named. */
enum { HOLDERS_MAX = 16, WAITS_MAX = 64 };

void wait_thing_words(struct text *out, const struct inspection *inspection, const struct waited *waited)
{
    const struct inspected_object *object = &inspection->objects[waited->object];
    if (waited->purpose == WAITS_FOR_CHILD) {
        text_string(out, object->number ? "end of a child" : "end of any child");
        return;
    }
    const char *kind = inspected_kind_word(object);
    const char *name = object->name ? object->name : "";
    /* Labels as "pipe:[12]" have it in them. */
    size_t length = strlen(kind);
    bool is_told = strncmp(name, kind, length) == 0 && name[length] == ':';
    if (!is_told)
        text_printf(out, "%s:", kind);
    text_escape_word(out, name);
    if (waited->member >= 0)
        text_printf(out, "/%d", waited->member);
    if (waited->purpose == WAITS_FOR_FUTEX || waited->purpose == WAITS_FOR_MUTEX)
        text_printf(out, "+0x%" PRIx64, waited->offset);
}

void wait_who_words(struct text *out, const struct inspection *inspection, size_t process, pid_t tid)
{
    const struct process *who = &inspection->processes[process];
    text_escape_word(out, who->command);
    text_printf(out, " (%d", who->pid);
    if (tid && tid != who->pid)
        text_printf(out, ", thread %d", tid);
    text_string(out, ")");
}

/* ---- sentences ---- */

/* What stands between the thing and who could end the wait for it. */
static const char *relation(enum wait_evidence evidence)
{
    switch (evidence) {
    case EVIDENCE_LOCK_TABLE:
    case EVIDENCE_LOCK_WORD:
    case EVIDENCE_HOLD:
        return "held by";
    case EVIDENCE_LOCK_FILE:
        return "which is locked and open only in";
    case EVIDENCE_OPEN:
        return "which only these have open or mapped:";
    case EVIDENCE_WRITES:
        return "which is open for writing only in";
    case EVIDENCE_READS:
        return "which is open for reading only in";
    case EVIDENCE_MAPPED:
        return "which is mapped for writing only in";
    case EVIDENCE_OTHER_END:
        return "the other end of which is only in";
    case EVIDENCE_CHANGED_LAST:
        return "which was last changed by";
    case EVIDENCE_SENT_LAST:
        return "to which the last was sent by";
    case EVIDENCE_RECEIVED_LAST:
        return "from which the last was received by";
    case EVIDENCE_NONE:
    case EVIDENCE_OWNER_LOST:
    case EVIDENCE_CHILD:
        break;
    }
    return "";
}

static void holder_words(struct text *out, const struct waits *waits, const struct waited *waited)
{
    const struct wait_holder *holders = waits->holders + waited->first;
    const char *last = waited->every ? " and " : " or ";
    size_t count = waited->count < HOLDERS_MAX ? waited->count : HOLDERS_MAX;
    for (size_t i = 0; i < count; i++) {
        const char *between = i + 1 < waited->count ? ", " : last;
        text_string(out, i ? between : " ");
        wait_who_words(out, waits->inspection, holders[i].process, holders[i].tid);
    }
    if (waited->count > count)
        text_printf(out, "%s%zu more", last, waited->count - count);
}

/* "waits for shm:locks+0x40 (mutex) held by worker (12)". */
static void wait_words(struct text *out, const struct waits *waits, const struct wait *wait)
{
    const struct waited *waited = &waits->waited[wait->waited];
    if (waited->purpose == WAITS_FOR_CHILD) {
        text_string(out, waited->count > 1 ? "waits for the end of any of its children"
                                           : "waits for the end of its child");
    } else {
        text_string(out, "waits for ");
        wait_thing_words(out, waits->inspection, waited);
        text_printf(out, " (%s) %s", wait_purpose_word(waited->purpose), relation(waited->evidence));
    }
    holder_words(out, waits, waited);
}

/* The first of the deadlock's waits, not yet told, that is of one who could end this one; the place among them. `count`: none. */
static size_t next_of(const struct waits *waits, const size_t *indices, const bool *told, size_t count,
                      const struct wait *wait)
{
    const struct waited *waited = &waits->waited[wait->waited];
    for (size_t i = 0; i < count; i++) {
        const struct wait *next = &waits->waits[indices[i]];
        for (size_t j = 0; !told[i] && j < waited->count; j++) {
            const struct wait_holder *holder = &waits->holders[waited->first + j];
            if (holder->process == next->process && (!holder->tid || holder->tid == next->tid))
                return i;
        }
    }
    return count;
}

/* "who waits …" of each, one after another as they wait for each other. */
static void chain_words(struct text *out, const struct waits *waits, const size_t *indices, bool *told,
                        size_t count)
{
    size_t at = 0;
    bool follows = false;
    for (size_t done = 0; done < count; done++) {
        const struct wait *wait = &waits->waits[indices[at]];
        const struct waited *waited = &waits->waited[wait->waited];
        if (follows) {
            text_string(out, ", which ");
        } else {
            text_string(out, done ? "; " : " ");
            wait_who_words(out, waits->inspection, wait->process, wait->tid);
            text_string(out, " ");
        }
        wait_words(out, waits, wait);
        told[at] = true;
        at = next_of(waits, indices, told, count, wait);
        follows = at < count && waited->count == 1;
        if (at == count)
            for (at = 0; at < count - 1 && told[at];)
                at++;
    }
}

static void doubt_words(struct text *out, unsigned doubts)
{
    if (doubts & DOUBT_PRESUMED)
        text_string(out, "; who has it is not recorded, but presumed");
    if (doubts & DOUBT_OPEN)
        text_string(out, "; somebody else could still come and end it");
    if (doubts & DOUBT_UNSEEN)
        text_string(out, "; there are processes that you may not look into, and one of them might end it");
}

void deadlock_words(struct text *out, const struct waits *waits, const struct deadlocks *deadlocks,
                    const struct deadlock *deadlock)
{
    bool told[WAITS_MAX] = {false};
    size_t count = deadlock->count < WAITS_MAX ? deadlock->count : WAITS_MAX;
    text_string(out, deadlock->doubts ? "possible deadlock:" : "deadlock:");
    chain_words(out, waits, deadlocks->waits + deadlock->first, told, count);
    if (deadlock->count > count)
        text_printf(out, "; and %zu more", deadlock->count - count);
    doubt_words(out, deadlock->doubts);
    text_string(out, ".\n");
}
