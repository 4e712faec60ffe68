/* SPDX-License-Identifier: MIT */
/*
 * System V message queues (msgget(2), msgsnd(2), msgrcv(2), msgctl(2)).
 *
 * A queue is reached by its id alone: it has no descriptor, nothing keeps it alive, and IPC_RMID ends it for
 * all. What is held or open is then an id that means nothing any more (−ESTALE of the queue, −EIDRM of its
 * messages). The state comes from MSG_STAT_ANY, which any user may ask for. That call takes an index, and the
 * kernel makes the index of whatever number it is given, so it takes an id as well, and answers with the id
 * of what it found: no need to know how many bits of an id are the index (kernel parameter ipcmni_extend).
 *
 * Permission to send and receive is checked for who opens a queue, and again for him when its owner or mode have changed
 * since. Natively it is checked at every call.
 */
#ifndef IPCFS_BACKENDS_SYSV_MSG_H
#define IPCFS_BACKENDS_SYSV_MSG_H

#include "sysv.h"

#include <sys/msg.h>

extern const struct ipcfs_backend ipcfs_sysv_msg_backend;

/* Limits and totals of the name space. Returns the highest index in use, or −errno. */
int sysv_msg_info(struct msginfo *out);
/* The state of queue `id`. −ESTALE where it is gone. */
int sysv_msg_state(int id, struct msqid_ds *out);
/* The id of what the reference means, and its state. −ESTALE. */
int sysv_msg_of_ref(const struct ipcfs_ref *ref, struct msqid_ds *out);
/* IPC_SET: owner, mode and qbytes, all at once. −ESTALE where it is gone. */
int sysv_msg_set(int id, struct msqid_ds *state);
/* The errno of a call on queue `id`, which says EINVAL both of a wrong argument and of a queue that is
 * gone: `gone` then. */
int sysv_msg_error(int id, int error, int gone);

#endif
