/* SPDX-License-Identifier: MIT */
/* A look at who waits for whom: what the files waits, waits.dot and deadlocks show. */
#ifndef IPCFS_FS_CONTROL_WAITS_H
#define IPCFS_FS_CONTROL_WAITS_H

#include "inspect.h"

#include "inspect/deadlocks.h"

struct waits_seen {
    struct inspected *inspected;
    struct waits *waits;
    struct deadlocks *deadlocks; /* NULL where they were not looked for */
};

/* Each acts as the caller. 0 or −errno; the look is the caller's in any case: waits_seen_release(). */
int waits_look(struct ipcfs *fs, const struct caller *caller, struct waits_seen *out);
/* Where there may be deadlocks it looks twice, and rests between. */
int waits_look_for_deadlocks(struct ipcfs *fs, const struct caller *caller, struct waits_seen *out);
/* Which of the waits are shown: `*shown` has one for each, and is the caller's to be freed. For the end of a child only those in
 * deadlocks, which have been looked for; with `chains` also those of who could end a wait that is shown. 0 or −ENOMEM. */
int waits_choose(const struct waits_seen *look, bool chains, bool **shown);
void waits_seen_release(struct waits_seen *look);
#define AUTO_WAITS_SEEN __attribute__((cleanup(waits_seen_release))) struct waits_seen

#endif
