/* SPDX-License-Identifier: MIT */
/*
 * A request handed to libfuse, which allocates a little for each: where it can not, it answers ENOMEM itself (lib/
 * fuse_lowlevel.c: fuse_session_process_buf_internal()), and only its log tells. So the log is listened to.
 */
#ifndef IPCFS_FS_DELIVER_H
#define IPCFS_FS_DELIVER_H

#include "fuse_api.h"

#include <stdbool.h>

/*
 * Has the request answered, or parked. Where libfuse has no memory for it, whoever asked has ENOMEM; but of requests that
 * nobody makes again, FORGET and RELEASE among them, it is done again until it is done, or the session has ended.
 */
void deliver(struct fuse_session *session, const struct fuse_buf *buffer);
/* Whether libfuse had no memory for the last request of this thread. */
bool deliver_had_no_memory(void);

/* Waits a moment for memory; without it nothing is read, so that the end of the mount would not be noticed otherwise. */
void deliver_wait_for_memory(struct fuse_session *session);

/* For libfuse's log: whether the line says that there is no memory for the request which this thread is in. It is seen to. */
bool deliver_heed_log(const char *words);

#endif
