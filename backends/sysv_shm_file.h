/* SPDX-License-Identifier: MIT */
/*
 * Segments within reach: by hold and as open files.
 *
 * A hold is the id and what tells the segment from a later one of that id; it attaches nothing. Only from backing() to the
 * next open() it has a share in the attachment, so that both are of one segment and open() finds the descriptor
 * (backends/sysv_shm_attach.h).
 */
#ifndef IPCFS_BACKENDS_SYSV_SHM_FILE_H
#define IPCFS_BACKENDS_SYSV_SHM_FILE_H

#include "sysv_shm_pending.h"

#include "ipcfs/backend.h"

#include <sys/shm.h>

/* −ENOMEM. */
int sysv_shm_hold_new(int id, const struct ipc_perm *perm, struct ipcfs_hold **out);
/* The segment of a hold and its state. −ESTALE. */
int sysv_shm_of_hold(const struct ipcfs_hold *hold, struct shmid_ds *out);
/* A hold and a file that share a promise, which becomes theirs; or is released. */
int sysv_shm_pending_open(struct sysv_shm_pending *pending, int flags, struct ipcfs_hold **hold,
                          struct ipcfs_file **file);
/* The promise of a hold, while it has no segment; or NULL. */
struct sysv_shm_pending *sysv_shm_unmade(const struct ipcfs_hold *hold);

/* A file of segment `id`, as the calling thread, whose rights are checked. −ESTALE, −EACCES, −ENOMEM. */
int sysv_shm_file_new(int id, const struct ipc_perm *perm, int flags, struct ipcfs_file **out);
/* One that attaches the segment, which is new, when it is used. */
int sysv_shm_file_later(int id, const struct ipc_perm *perm, int flags, struct ipcfs_file **out);
bool sysv_shm_file_may_write(const struct ipcfs_file *file);

/* Slots of the backend. */
void sysv_shm_release(struct ipcfs_hold *hold);
int sysv_shm_open(const struct ipcfs_ref *ref, int flags, struct ipcfs_file **out);
int sysv_shm_backing(const struct ipcfs_ref *ref);
void sysv_shm_close(struct ipcfs_file *file);
ssize_t sysv_shm_try_read(struct ipcfs_file *file, char *buffer, size_t size, off_t offset, int flags,
                          struct ipcfs_wait *wait);
ssize_t sysv_shm_try_write(struct ipcfs_file *file, const char *data, size_t size, off_t offset, int flags,
                           struct ipcfs_wait *wait);
/* As if there were no holes, as the manual page of lseek(2) allows: data up to the size, then one. */
off_t sysv_shm_seek(struct ipcfs_file *file, off_t offset, int whence);
int sysv_shm_poll(struct ipcfs_file *file, struct ipcfs_wait *wait);

#endif
