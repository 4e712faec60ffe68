/* SPDX-License-Identifier: MIT */
/*
 * Doing one thing as somebody else altogether.
 *
 * The kernel charges some things to the real uid of who does them, against a resource limit of his process. A
 * thread of the daemon never has a caller's real uid: he could kill the daemon. So a child process, which
 * lives for this one call, takes on the caller's identity and limit altogether and does it.
 *
 * From then on the child belongs to the caller, who may signal it:
 *   - it has all signals blocked, or a handler of the daemon's would run in it, on descriptors it shares with
 *     the daemon;
 *   - it may not be traced (PR_SET_DUMPABLE): its memory is a copy of the daemon's;
 *   - it can be killed, which is answered by −EAGAIN; if the caller manages to do so just between the deed
 *     and the answer, it is done and he is told that it is not;
 *   - it can be stopped, so nobody waits for it without an end.
 */
#ifndef IPCFS_BACKENDS_AS_CALLER_H
#define IPCFS_BACKENDS_AS_CALLER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

/* What the child tells. */
struct as_caller_answer {
    int error;       /* 0, or −errno */
    int fd;          /* handed over; −1: none */
    bool judged;     /* the error is the kernel's word on the thing itself, not on the way to it */
    uint64_t number; /* what it has made, where it tells */
};

struct as_caller_task {
    int resource; /* RLIMIT_… */
    struct rlimit limit;
    /* In the child, as the caller: nothing but system calls. 0 or −errno; the rest of the answer is zero before, and
     * there is no descriptor. */
    int (*act)(const void *order, struct as_caller_answer *answer);
    const void *order;
};

/*
 * Has it done as who the calling thread acts as. 0 or −errno. On success a descriptor in the answer is the
 * caller's; on error there is none, and `judged` and `number` are what the child told, if it told anything.
 */
int as_caller(const struct as_caller_task *task, struct as_caller_answer *answer);

/* Whether a process, which may have ended, is or was one of the last children, as far as they are kept: 64. For what is
 * shown: it decides about nothing. */
bool as_caller_was_child(pid_t pid);

#endif
