/* SPDX-License-Identifier: MIT */
#include "mq.h"
#include "shm.h"

const struct ipcfs_backend *const ipcfs_backends[] = {
    &ipcfs_shm_backend,
    &ipcfs_mq_backend,
    NULL,
};
