/* SPDX-License-Identifier: MIT */
/*
 * System V shared memory segments (shmget(2), shmat(2), shmctl(2)).
 *
 * The state of a segment comes from SHM_STAT_ANY, which any user may ask for and which takes an id as well as an index
 * (see backends/sysv_msg.h). Looking never attaches: nattch, the times and the pids stay what native users made them.
 *
 * The data is reached by an attachment, which is also what keeps a segment alive and its id its own
 * (backends/sysv_shm_attach.h). A segment has one size for life, given to shmget(2). Here a new name gets its size after
 * its creation, as a file does (backends/sysv_shm_pending.h).
 *
 * Permission is checked when a segment is opened, as shmat(2) does: for reading, or for reading and writing. There is no
 * attachment for writing only.
 */
#ifndef IPCFS_BACKENDS_SYSV_SHM_H
#define IPCFS_BACKENDS_SYSV_SHM_H

#include "sysv.h"

#include <sys/shm.h>

extern const struct ipcfs_backend ipcfs_sysv_shm_backend;

/* Limits of the name space. Returns the highest index in use, or −errno. */
int sysv_shm_limits(struct shminfo *out);
/* What is in use. The kernel visits every segment for that. 0 or −errno. */
int sysv_shm_usage(struct shm_info *out);
/* The state of segment `id`. −ESTALE where it is gone. */
int sysv_shm_state(int id, struct shmid_ds *out);
/* The id of a key's segment. −ENOENT. */
int sysv_shm_of_key(key_t key);
/* The id of what the reference means, and its state. −ESTALE. */
int sysv_shm_of_ref(const struct ipcfs_ref *ref, struct shmid_ds *out);
/* IPC_SET: owner and mode. −ESTALE where it is gone. */
int sysv_shm_set(int id, struct shmid_ds *state);
/* The errno of a call on segment `id`, which says EINVAL both of a wrong argument and of a segment that is gone: `gone`
 * then. */
int sysv_shm_error(int id, int error, int gone);

/*
 * Whether what has an id now is what had it `then`, as far as the kernel tells: an id that nobody is attached to comes
 * again, after 2^16 others in its place. A segment that was removed while attached has lost its key.
 */
bool sysv_shm_is_same(const struct ipc_perm *then, const struct ipc_perm *now);
/* What shmat(2) asks for, for a file with these flags of open(2). */
unsigned sysv_shm_wanted(int flags);

#endif
