/* SPDX-License-Identifier: MIT */
/* What is written to the files of a semaphore set. What is wrong is said in `written->reason`. */
#ifndef IPCFS_BACKENDS_SYSV_SEM_PARSE_H
#define IPCFS_BACKENDS_SYSV_SEM_PARSE_H

#include "ipcfs/backend.h"

#include <sys/sem.h>

/* What one semop(2) is to do, one malloc(3)ed piece. */
struct sysv_sem_vector {
    size_t count;
    bool alters;      /* some operation is not "wait for 0" */
    bool never_waits; /* some word had the suffix n */
    /* As they are to be given to who waits; and then once more, all with IPC_NOWAIT. */
    struct sembuf operations[];
};

/*
 * NUM:OP[n] words, for a set of `nsems`, where kernel.sem allows `semopm`. −EINVAL: a word is wrong, or there is none;
 * −EFBIG: NUM is no semaphore of the set, or more than semop(2) can number; −E2BIG: too many; −ERANGE: OP is no short;
 * −ENOMEM.
 */
int sysv_sem_parse_vector(const struct ipcfs_written *written, size_t nsems, size_t semopm,
                          struct sysv_sem_vector **out);
/* One value. −EINVAL, −ERANGE. */
int sysv_sem_parse_value(const struct ipcfs_written *written, unsigned short *out);
/* Exactly `count` values. −EINVAL, −ERANGE. */
int sysv_sem_parse_values(const struct ipcfs_written *written, unsigned short *values, size_t count);
/* How many units a line posts: those it says; 1 where it is empty or says something that is no number. −EINVAL,
 * −ERANGE. */
int sysv_sem_parse_post(const struct ipcfs_written *written, short *out);

#endif
