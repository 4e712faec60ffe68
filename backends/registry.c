/* SPDX-License-Identifier: MIT */
#include "shm.h"

const struct ipcfs_backend *const ipcfs_backends[] = {
    &ipcfs_shm_backend,
    NULL,
};
