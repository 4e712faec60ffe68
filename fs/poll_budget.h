/* SPDX-License-Identifier: MIT */
/*
 * How long the device may be polled, and when it pays to try. Pure arithmetic: the caller says what time it is, in
 * nanoseconds of any clock that never goes back, and guards it by a lock of his own.
 *
 * Time to spend flows in all the time, `percent` of one CPU's, into an account that holds POLL_SAVED_NS at most, and every
 * nanosecond spent in polling is taken off. So in any time T the polling is never more than percent * T / 100 + POLL_SAVED_NS,
 * whatever requests come and when.
 *
 * Whether it pays is not known before: a request that comes within POLL_WINDOW_NS saves a sleep and a wake-up, which cost
 * about as much; one that comes later has cost the window for nothing. So after each failure the next requests are not
 * followed by an attempt: 1, 2, 4 ... up to POLL_SKIPPED_MAX of them; the first success begins anew.
 */
#ifndef IPCFS_FS_POLL_BUDGET_H
#define IPCFS_FS_POLL_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { POLL_WINDOW_NS = 50000, POLL_SAVED_NS = 5000000, POLL_SKIPPED_MAX = 32, POLL_SKIPPED_CROWD = 1024 };

struct poll_budget {
    unsigned percent;  /* of one CPU; 0: never */
    int64_t account;   /* nanoseconds */
    uint64_t filled;   /* when the account was last looked at */
    unsigned failures; /* after the next one so many requests are skipped */
    atomic_int skip;   /* so many still are */
};

void poll_budget_init(struct poll_budget *budget, unsigned percent, uint64_t now);
/* After a request, while nobody polls: whether this is one that no attempt follows. Needs no lock. */
bool poll_budget_skips(struct poll_budget *budget);
/* Otherwise, whether to begin. */
bool poll_budget_begin(struct poll_budget *budget, uint64_t now);
/* While somebody polls: whether he may for one more window. */
bool poll_budget_go_on(struct poll_budget *budget, uint64_t now);
/* Polling lasted from `began` to `now`. A request has come, or not. */
void poll_budget_spent(struct poll_budget *budget, uint64_t began, uint64_t now, bool success);
/* There was nothing to wait for: more requests come than one can answer. */
void poll_budget_crowded(struct poll_budget *budget);

#endif
