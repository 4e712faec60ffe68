/* SPDX-License-Identifier: MIT */
/*
 * Threads that wait for each other and for nobody else.
 *
 * A thread is stuck when nobody who could end its wait can ever do so: all holders are stuck; or one of them, where each has
 * to let go. A process is stuck when all its threads are. Everybody else may act at any time: who runs, sleeps, waits with
 * a timeout, or waits for something of which it is not known who can end it. A deadlock is a smallest set of threads that are
 * stuck by each other alone; those who merely wait for one of them are not part of it.
 *
 * Others can always come by name to most objects: two readers of one queue, or of two, are idle and not stuck, though nobody
 * else has it open. So where objects that have names are part of it, or holders that are presumed, it is one only if at least two things are waited for, and
 * not all of these are data that those who wait could write themselves, or messages. And even then it is only possible.
 */
#ifndef IPCFS_BACKENDS_INSPECT_DEADLOCKS_H
#define IPCFS_BACKENDS_INSPECT_DEADLOCKS_H

#include "waits.h"

/* Why a deadlock may be none. Bits. */
enum {
    DOUBT_PRESUMED = 1 << 0, /* a holder is presumed */
    DOUBT_OPEN = 1 << 1,     /* somebody else can come by an object's name and end it */
    DOUBT_UNSEEN = 1 << 2,   /* there are processes of which it is not known what they have open */
};

struct deadlock {
    size_t first, count; /* of its waits, in the order of processes */
    unsigned doubts;
};

struct deadlocks {
    struct deadlock *all;
    size_t count;
    size_t *waits; /* indices into the waits */
};

/* 0 or −ENOMEM. *out is the caller's: deadlocks_free(), which takes NULL. */
int deadlocks_find(const struct waits *waits, struct deadlocks **out);
void deadlocks_free(struct deadlocks *deadlocks);
/* Whether the wait of that index is part of it. */
bool deadlock_has(const struct deadlocks *deadlocks, const struct deadlock *deadlock, size_t wait);

/*
 * An inspection is made over some time, and shows what may never have been at one time. Takes out of `now` what is not
 * certain to have been: each thread has to be stuck in the earlier inspection `then` as well, for the same and since the
 * same moment, and to have waited ever since.
 */
void deadlocks_confirm(struct deadlocks *now, const struct waits *now_waits, const struct deadlocks *then,
                       const struct waits *then_waits);

#endif
