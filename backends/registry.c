/* SPDX-License-Identifier: MIT */
#include "mq.h"
#include "pipe.h"
#include "posix_sem.h"
#include "shm.h"
#include "sock.h"
#include "sysv_msg.h"
#include "sysv_sem.h"
#include "sysv_shm.h"

const struct ipcfs_backend *const ipcfs_backends[] = {
    &ipcfs_shm_backend,      &ipcfs_mq_backend,       &ipcfs_posix_sem_backend,
    &ipcfs_sysv_shm_backend, &ipcfs_sysv_msg_backend, &ipcfs_sysv_sem_backend,
    &ipcfs_pipe_backend,     &ipcfs_sock_backend,     NULL,
};
