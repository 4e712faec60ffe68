/* SPDX-License-Identifier: MIT */
/*
 * POSIX message queues: the files of the mqueue file system of this IPC name space (mq_overview(7)).
 *
 * The objects are reached by names in that file system, without a place where it is mounted
 * (backends/mq_directory.h). A descriptor that openat(2) gives there is a message queue descriptor:
 * mq_send(3), mq_receive(3) and poll(2) take it.
 *
 * A hold and all files made by it share one descriptor where that is possible, because descriptors are the
 * first thing that thousands of open queues run out of. The daemon opens it with all rights it can have; what
 * a caller may do is checked when he opens, by opening the queue once more as him, and kept in his file.
 *
 * The kernel keeps times in whole seconds here. Reading the status of a queue sets its atime and ctime.
 */
#ifndef IPCFS_BACKENDS_MQ_H
#define IPCFS_BACKENDS_MQ_H

#include "ipcfs/backend.h"

extern const struct ipcfs_backend ipcfs_mq_backend;

#endif
