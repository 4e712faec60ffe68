/* SPDX-License-Identifier: MIT */
/*
 * Making a queue as somebody else. The kernel charges a queue to its maker's real uid, against the
 * RLIMIT_MSGQUEUE of the process that makes it (backends/as_caller.h).
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
