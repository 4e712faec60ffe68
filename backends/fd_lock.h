/* SPDX-License-Identifier: MIT */
/* The locks of the contract, for kinds whose open files are descriptors: flock(2), and fcntl(2) with F_OFD_SETLK. */
#ifndef IPCFS_BACKENDS_FD_LOCK_H
#define IPCFS_BACKENDS_FD_LOCK_H

#include "ipcfs/backend.h"

/* As try_lock() and get_lock() of the contract. */
int fd_try_lock(int fd, const struct ipcfs_lock *lock, struct ipcfs_wait *wait);
int fd_get_lock(int fd, struct flock *range);

#endif
