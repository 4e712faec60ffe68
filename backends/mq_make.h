/* SPDX-License-Identifier: MIT */
/*
 * Making a queue as somebody else.
 *
 * The kernel charges a queue to its maker's real uid, against the RLIMIT_MSGQUEUE of the process that makes
 * it. A thread of the daemon never has a caller's real uid: he could kill the daemon. So a child process,
 * which lives for this one call, takes on the caller's identity and limit altogether, makes the queue and
 * hands its descriptor over.
 *
 * From then on the child belongs to the caller, who may signal it:
 *   - it has all signals blocked, or a handler of the daemon's would run in it, on descriptors it shares with
 *     the daemon;
 *   - it may not be traced (PR_SET_DUMPABLE): its memory is a copy of the daemon's;
 *   - it can be killed, which is answered by −EAGAIN; if the caller manages to do so just between the making
 *     and the handing over, his queue is there and he is told that it is not;
 *   - it can be stopped, so nobody waits for it without an end.
 */
#ifndef IPCFS_BACKENDS_MQ_MAKE_H
#define IPCFS_BACKENDS_MQ_MAKE_H

#include "ipcfs/backend.h"

#include <mqueue.h>
#include <sys/resource.h>

/* The options of a wish. */
enum { MQ_OPTION_MAXMSG, MQ_OPTION_MSGSIZE };
extern const struct ipcfs_field mq_options[];

/* What is to be made. */
struct mq_order {
    const char *name; /* borrowed */
    mode_t mode;
    bool has_attributes; /* otherwise the system's default ones */
    struct mq_attr attributes;
    struct rlimit limit; /* RLIMIT_MSGQUEUE */
};

/* What the wish of the thread's caller comes to. −errno. */
int mq_order(const struct ipcfs_wish *wish, struct mq_order *out);

/*
 * Makes a queue that does not exist as who the calling thread acts as. A descriptor of it for reading and
 * writing, and what it is; or −errno. `judged` (out): the error is the kernel's word on the queue itself, so
 * the limits explain it.
 */
int mq_make(const struct mq_order *order, struct statx *stat, bool *judged);

#endif
