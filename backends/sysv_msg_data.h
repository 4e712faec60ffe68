/* SPDX-License-Identifier: MIT */
/* Open files of a System V message queue, and the messages in it. */
#ifndef IPCFS_BACKENDS_SYSV_MSG_DATA_H
#define IPCFS_BACKENDS_SYSV_MSG_DATA_H

#include "ipcfs/backend.h"
#include "ipcfs/text.h"

#include <sys/ipc.h>

/* The types of an open file that is no `type/N`: what msgsnd(2) gives and msgrcv(2) asks for. */
enum { SYSV_MSG_SEND_TYPE = 1, SYSV_MSG_ANY_TYPE = 0 };

/* A file of queue `id`, which had these permissions, for the calling thread, with the access mode of `flags`: no
 * permission is checked. −ENOMEM. */
int sysv_msg_file_new(int id, const struct ipc_perm *perm, int flags, long send_type, long receive_type,
                      struct ipcfs_file **out);
bool sysv_msg_file_may_write(const struct ipcfs_file *file);

/*
 * Appends message number `index`, which stays where it is. As the caller, who must have the right to read.
 * −ENOENT where there are not so many, −EOPNOTSUPP where the kernel cannot (it was built without
 * CONFIG_CHECKPOINT_RESTORE).
 */
int sysv_msg_peek(int id, int64_t index, struct text *out);
/* Takes up to `count` messages, as the caller. */
int sysv_msg_purge(int id, uint64_t count);

/* Slots of the backend. */
void sysv_msg_close(struct ipcfs_file *file);
ssize_t sysv_msg_try_read(struct ipcfs_file *file, char *buffer, size_t size, off_t offset, int flags,
                          struct ipcfs_wait *wait);
ssize_t sysv_msg_try_write(struct ipcfs_file *file, const char *data, size_t size, off_t offset, int flags,
                           struct ipcfs_wait *wait);
size_t sysv_msg_room(struct ipcfs_file *file);
uint64_t sysv_msg_lane(struct ipcfs_file *file, bool writing);
int sysv_msg_poll(struct ipcfs_file *file, struct ipcfs_wait *wait);

#endif
