/* SPDX-License-Identifier: MIT */
/* The files in the directory of a semaphore set, and in those of its semaphores. */
#ifndef IPCFS_BACKENDS_SYSV_SEM_FILES_H
#define IPCFS_BACKENDS_SYSV_SEM_FILES_H

#include "ipcfs/backend.h"

extern const struct ipcfs_verb sysv_sem_files[];
extern const struct ipcfs_verb sysv_sem_member_files[];

#endif
