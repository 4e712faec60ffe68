/* SPDX-License-Identifier: MIT */
/*
 * Acting as the caller of a request.
 *
 * Between acting_begin() and acting_end() the calling thread, and only it, has the caller's effective (and so
 * file-system) uid and gid and supplementary groups; the kernel takes the capabilities from the effective set with
 * the uid and gives them back with it (capabilities(7), "Effect of user ID changes on capabilities").
 *
 * The C library's setresuid() changes all threads (nptl(7)), so the raw system calls are used. The real and the saved
 * uid stay the daemon's: a thread whose real uid were the caller's could be killed by the caller (kill(2)), and all of
 * the daemon with it.
 */
#ifndef IPCFS_FS_CREDS_H
#define IPCFS_FS_CREDS_H

#include "ipcfs/caller.h"

#include <stdbool.h>
#include <sys/types.h>

/* An identity put on; zero: none. */
struct acting {
    bool active;
};

/* Remembers the daemon's own identity. Once, before any thread is started. 0 or −errno. */
int creds_init(void);

/* 0 when the thread now has the caller's identity, or had it anyway; −EPERM where the daemon has not the right to take
 * it on, −errno otherwise. On error nothing has changed. */
int acting_begin(struct acting *acting, const struct caller *caller);
/* Puts the daemon's identity back. Harmless when nothing is put on. */
void acting_end(struct acting *acting);
/* Whether the calling thread failed to take its own identity back, for want of memory: it must not go on. */
bool creds_lost(void);
#define AUTO_ACTING __attribute__((cleanup(acting_end))) struct acting

/*
 * The supplementary groups of thread `pid`, if its file-system uid and gid are still the caller's: a pid alone
 * authorises nothing, it may have been used again. Returns how many there are, at most `room` of which are in
 * `groups`, or −errno (−ESRCH: not that caller any more).
 */
int creds_supplementary_groups(const struct caller *caller, gid_t *groups, int room);

#endif
