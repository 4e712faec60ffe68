/* SPDX-License-Identifier: MIT */
/* What ctl/mq/ shows of a queue: the field table, and the values to it. */
#ifndef IPCFS_BACKENDS_MQ_SHOW_H
#define IPCFS_BACKENDS_MQ_SHOW_H

#include "ipcfs/backend.h"

/* What a queue's own file says when it is read. */
struct mq_status {
    uint64_t bytes; /* queued */
    int notify;     /* sigev_notify of who waits by mq_notify(3) */
    int signo;
    int pid; /* 0: nobody, or somebody out of sight */
};

/* By a descriptor that is open for reading. −errno. */
int mq_read_status(int fd, struct mq_status *out);

extern const struct ipcfs_field mq_fields[];

/* `fd`: open for reading or for writing by who asks; −1: he may neither. −errno. */
int mq_show_state(const char *name, const struct statx *stat, int fd, struct ipcfs_value *values);

/* What its attributes and its descriptor, as above, tell of its past. −errno. */
int mq_show_traces(const struct statx *stat, int fd, struct ipcfs_traces *out);

#endif
