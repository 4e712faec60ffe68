/* SPDX-License-Identifier: MIT */
/*
 * Segments that have no size yet.
 *
 * A segment's size is an argument of shmget(2), while a file is created first and given its size afterwards. So create()
 * of a key without a segment makes only a promise, natively nothing. The first ftruncate(2) to more than 0, or the first
 * write(2), makes the segment, as the thread that does it: it has to act as the caller. The hold and the file of the
 * promise are that segment's from then on. The file of a promise that was never kept is closed without a trace.
 *
 * Meanwhile others may make a segment of that key. Then it is their segment that the file is of, as with open(2), if the
 * caller may read and write it and ftruncate(2) asked for the size it has; with O_EXCL it is −EEXIST.
 *
 * A lock of a promise may be held when the attachments are locked, not the other way round.
 */
#ifndef IPCFS_BACKENDS_SYSV_SHM_PENDING_H
#define IPCFS_BACKENDS_SYSV_SHM_PENDING_H

#include "ipcfs/backend.h"

#include <sys/ipc.h>

struct sysv_shm_attachment;
struct sysv_shm_pending;

/* One of a key, by the calling thread, for one file. `flags` of open(2). NULL without memory. */
struct sysv_shm_pending *sysv_shm_pending_new(key_t key, int flags, mode_t mode);
/* One that is kept already, by segment `id`, which is attached when the file is used for the first time. */
struct sysv_shm_pending *sysv_shm_pending_of(int id, const struct ipc_perm *perm);
/* Shared by holds and a file. NULL is harmless to the second. */
struct sysv_shm_pending *sysv_shm_pending_share(struct sysv_shm_pending *pending);
void sysv_shm_pending_release(struct sysv_shm_pending *pending);

/* Whether an identity is that of a promise: no segment has it, ever. */
bool sysv_shm_is_pending_id(struct ipcfs_objid id);
struct ipcfs_objid sysv_shm_pending_id(const struct sysv_shm_pending *pending);

/* The id of the segment, and its permissions when it was made or taken; −ESTALE while there is none. */
int sysv_shm_pending_segment(struct sysv_shm_pending *pending, struct ipc_perm *perm);
/* What stat(2) says while there is no segment. */
void sysv_shm_pending_stat(struct sysv_shm_pending *pending, struct statx *out);

/*
 * Makes the change while there is no segment: 0, −EPERM, −EINVAL, or the error of making the segment. 1: there is one (by
 * now), which the change is to be made of.
 */
int sysv_shm_pending_change(struct sysv_shm_pending *pending, const struct ipcfs_change *change);
/* The attachment of the file, until it is closed; NULL while there is no segment. 0 or −errno. */
int sysv_shm_pending_attached(struct sysv_shm_pending *pending, struct sysv_shm_attachment **out);
/* As that, after making one of that size where there is none: 1 then. 0: there was one by now, of whatever size. */
int sysv_shm_pending_make(struct sysv_shm_pending *pending, size_t size, struct sysv_shm_attachment **out);
/* The file is closed: nothing is made any more. */
void sysv_shm_pending_close(struct sysv_shm_pending *pending);

#endif
