/* SPDX-License-Identifier: MIT */
/* Making System V shared memory segments. */
#ifndef IPCFS_BACKENDS_SYSV_SHM_MAKE_H
#define IPCFS_BACKENDS_SYSV_SHM_MAKE_H

#include "ipcfs/backend.h"

#include <sys/ipc.h>

struct sysv_shm_attachment;

/* The options of a wish. */
enum { SYSV_SHM_OPTION_SIZE, SYSV_SHM_OPTION_HUGEPAGE, SYSV_SHM_OPTION_NORESERVE };
extern const struct ipcfs_field sysv_shm_options[];

struct sysv_shm_order {
    key_t key;
    size_t size;
    mode_t mode;
    int flags; /* SHM_HUGETLB with its size, SHM_NORESERVE */
};

/* What the options of a wish come to. −EINVAL, said in its reason. */
int sysv_shm_order(key_t key, const struct ipcfs_wish *wish, struct sysv_shm_order *out);

/* A new segment, as the calling thread: its id. −EEXIST where there is one of that key. `reason` or NULL. */
int sysv_shm_make(const struct sysv_shm_order *order, struct text *reason);
/* As that, attached, for reading and writing whatever the mode: a file has the rights it was created with. */
int sysv_shm_make_attached(const struct sysv_shm_order *order, struct ipc_perm *perm,
                           struct sysv_shm_attachment **out);

#endif
