/* SPDX-License-Identifier: MIT */
/* Which threads can never go on. */
#ifndef IPCFS_BACKENDS_INSPECT_STUCK_H
#define IPCFS_BACKENDS_INSPECT_STUCK_H

#include "waits.h"

struct stuck {
    bool *waits;     /* of each wait: its thread is */
    bool *processes; /* of each process: all its threads are */
};

/* 0 or −ENOMEM. stuck_release() is harmless to one of zeros. */
int stuck_find(const struct waits *waits, struct stuck *out);
void stuck_release(struct stuck *stuck);
#define AUTO_STUCK __attribute__((cleanup(stuck_release))) struct stuck

/* Of a holder. */
bool stuck_holder(const struct stuck *stuck, const struct wait_holder *holder);

#endif
