/* SPDX-License-Identifier: MIT */
/*
 * System V semaphore sets (semget(2), semop(2), semctl(2)).
 *
 * A set is a directory: `nsems`, `values` and `op` of the whole set, and a directory per semaphore with `value`, `post`,
 * `wait`, `zero` and `hold`. As a message queue it is reached by its id alone, and its state comes from SEM_STAT_ANY,
 * which any user may ask for and which takes an id as well as an index (sysv_msg.h).
 *
 *   kernel                               here
 *   semget                               mkdir in by-key/; the values of a new set are 0
 *   semctl GETALL, SETALL                values
 *   semctl GETVAL, SETVAL                N/value
 *   semop of several                     op
 *   semop +1, -1, 0                      N/post, N/wait, N/zero
 *   semop -1 with SEM_UNDO               N/hold (sysv_sem_undo.h says what becomes of it)
 *   IPC_SET, IPC_RMID                    chmod and chown, rmdir
 *
 * A write to N/value or `values` is SETVAL or SETALL in all they do natively: they also end what SEM_UNDO would do for
 * anybody's earlier operations on these semaphores, so that who holds a unit then gives nothing back.
 *
 * semop(2) numbers semaphores by 16 bits: of a set that has more, those after 65535 have a value that can be read and
 * set, and nothing else (EFBIG).
 *
 * Permission to take, wait and hold is checked for who opens the file, and again for him when owner or mode of the set have
 * changed since. What is written to a text is checked for who writes it, and `op` for him too. Natively it is checked at
 * every call.
 */
#ifndef IPCFS_BACKENDS_SYSV_SEM_H
#define IPCFS_BACKENDS_SYSV_SEM_H

#include "sysv.h"

#include <sys/sem.h>

extern const struct ipcfs_backend ipcfs_sysv_sem_backend;

/* SEMVMX of the kernel, which is no setting: the highest value (semop(2)). */
enum { SYSV_SEM_VALUE_MAX = 32767 };

/* The last argument of semctl(2), which its callers have to declare. */
union semun {
    int val;
    struct semid_ds *buf;
    unsigned short *array;
    struct seminfo *info;
};

/* Limits and totals of the name space (SEM_INFO). Returns the highest index in use, or −errno. */
int sysv_sem_info(struct seminfo *out);
/* The state of set `id`. −ESTALE where it is gone. */
int sysv_sem_state(int id, struct semid_ds *out);
/* The id of what the reference means, and its state. −ESTALE. */
int sysv_sem_of_ref(const struct ipcfs_ref *ref, struct semid_ds *out);
/* The errno of a call on set `id`, which says EINVAL both of a wrong argument and of a set that is gone: `gone` then. */
int sysv_sem_error(int id, int error, int gone);

#endif
