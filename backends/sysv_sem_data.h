/* SPDX-License-Identifier: MIT */
/* Open files of a semaphore set: what takes units, waits for 0, holds a unit, and one command of `op`. */
#ifndef IPCFS_BACKENDS_SYSV_SEM_DATA_H
#define IPCFS_BACKENDS_SYSV_SEM_DATA_H

#include "ipcfs/backend.h"

#include "sysv_sem_parse.h"

#include <sys/ipc.h>

enum sysv_sem_use { SYSV_SEM_WAIT, SYSV_SEM_ZERO, SYSV_SEM_HOLD, SYSV_SEM_COMMAND };

/* What a file is to be. The calling thread's right to what `use` does has been checked. */
struct sysv_sem_opening {
    int id;
    const struct ipc_perm *perm; /* of this moment */
    enum sysv_sem_use use;
    unsigned needs;                 /* SYSV_READ, SYSV_WRITE: for what it does */
    int flags;                      /* of open(2) */
    unsigned short semnum;          /* not of a command */
    struct sysv_sem_vector *vector; /* of a command: the file's from its making on */
};

/* −ENOMEM. */
int sysv_sem_file_new(const struct sysv_sem_opening *opening, struct ipcfs_file **out);

/* Slots of the backend. */
void sysv_sem_close(struct ipcfs_file *file);
ssize_t sysv_sem_try_read(struct ipcfs_file *file, char *buffer, size_t size, off_t offset, int flags,
                          struct ipcfs_wait *wait);
ssize_t sysv_sem_try_write(struct ipcfs_file *file, const char *data, size_t size, off_t offset, int flags,
                           struct ipcfs_wait *wait);
int sysv_sem_try_lock(struct ipcfs_file *file, const struct ipcfs_lock *lock, struct ipcfs_wait *wait);
size_t sysv_sem_room(struct ipcfs_file *file);
uint64_t sysv_sem_lane(struct ipcfs_file *file, bool writing);
int sysv_sem_poll(struct ipcfs_file *file, struct ipcfs_wait *wait);

#endif
