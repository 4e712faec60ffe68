/* SPDX-License-Identifier: MIT */
/*
 * Allocations that fail on purpose, and a count of those that live.
 *
 * The program is linked with -Wl,--wrap=malloc and the like, so this is about calls from its own objects and static
 * libraries, not about those inside shared libraries.
 */
#ifndef IPCFS_TESTS_FAILING_H
#define IPCFS_TESTS_FAILING_H

#include <stdbool.h>
#include <stddef.h>

/* The allocation number `number` of this thread from now on fails (1: the next), and only that one. 0: none. */
void failing_arm(unsigned number);
/* No allocation fails any more; tells whether one did. */
bool failing_disarm(void);

/* Allocations not given back yet, of all threads. */
long failing_live(void);

/* For other functions that may fail for lack of memory: counts as an allocation, and tells whether this one fails. */
bool failing_shall_fail(void);

#endif
