/* SPDX-License-Identifier: MIT */
/* What bounds the making of queues, how much of it is used, and why a queue was refused. */
#ifndef IPCFS_BACKENDS_MQ_LIMITS_H
#define IPCFS_BACKENDS_MQ_LIMITS_H

#include "ipcfs/backend.h"

#include <sys/resource.h>

struct mq_order;

/* /proc/sys/fs/mqueue/, of this IPC name space. */
struct mq_system {
    uint64_t queues_max;
    uint64_t msg_max;
    uint64_t msg_default;
    uint64_t msgsize_max;
    uint64_t msgsize_default;
};

int mq_read_system(struct mq_system *out);
/* The attributes of a queue made without any. */
uint64_t mq_default_maxmsg(const struct mq_system *system);
uint64_t mq_default_msgsize(const struct mq_system *system);

/* Bytes that a queue of those attributes is charged. */
uint64_t mq_cost(uint64_t maxmsg, uint64_t msgsize);

/* Says in a few words why mq_open(2) refused it with `error`, as who the thread acts as. */
void mq_explain(const struct mq_order *order, int error, struct text *reason);

extern const struct ipcfs_field mq_limit_fields[];
extern const struct ipcfs_limit mq_limit_rows[];
extern const struct ipcfs_total mq_totals[];
int mq_limits(const struct caller *caller, struct ipcfs_value *values);

#endif
