/* SPDX-License-Identifier: MIT */
/*
 * ctl/sysv/shm/.../lock: SHM_LOCK and SHM_UNLOCK.
 *
 * Without CAP_IPC_LOCK owner and creator may lock a segment as far as the RLIMIT_MEMLOCK of their process goes. The
 * kernel charges it to the real uid of who does it, so a child process does it as the caller (backends/as_caller.h).
 * Unlocking gives back what was charged, to whomever it was charged, and needs no child.
 */
#ifndef IPCFS_BACKENDS_SYSV_SHM_LOCK_H
#define IPCFS_BACKENDS_SYSV_SHM_LOCK_H

#include "ipcfs/backend.h"

int sysv_shm_lock_read(const struct ipcfs_ref *ref, int64_t number, struct text *out);
int sysv_shm_lock_write(const struct ipcfs_ref *ref, int64_t number, const struct ipcfs_written *written);

#endif
