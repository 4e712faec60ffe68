/* SPDX-License-Identifier: MIT */
/* The values of all semaphores of a set at once: what GETALL and SETALL of semctl(2) read and write. */
#ifndef IPCFS_BACKENDS_SYSV_SEM_VALUES_H
#define IPCFS_BACKENDS_SYSV_SEM_VALUES_H

#include <stddef.h>

/*
 * GETALL and SETALL are not told how large the array is: the kernel takes as many values as the set has. Between the
 * question for that number and the call the id can be given to a larger set. So the array ends where nothing is mapped:
 * the kernel then answers EFAULT, instead of writing over what is behind it.
 */
struct sysv_sem_values {
    unsigned short *values; /* `count` of them, zeros at first */
    size_t count;
    void *mapping; /* `room` bytes, the array at their end */
    size_t room;
};

/* −ENOMEM. */
int sysv_sem_values_make(size_t count, struct sysv_sem_values *out);
/* Harmless to one of zeros. */
void sysv_sem_values_release(struct sysv_sem_values *values);

#define AUTO_SEM_VALUES __attribute__((cleanup(sysv_sem_values_release))) struct sysv_sem_values

/* As the caller: 0; −EACCES; −ESTALE where the set is gone or another has its id; −ERANGE of a value that is too large. */
int sysv_sem_get_all(int id, struct sysv_sem_values *values);
int sysv_sem_set_all(int id, const struct sysv_sem_values *values);

/* The one semaphore of the set that somebody waits for; −1 where there are several or none, and where it cannot be told:
 * who may not read the set is not told, and large sets are not asked. */
int sysv_sem_waited(int id);

#endif
