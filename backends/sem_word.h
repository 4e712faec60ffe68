/* SPDX-License-Identifier: MIT */
/*
 * The word that is a POSIX semaphore: the first 8 bytes of glibc's sem_t where that has 64-bit atomics (struct new_sem,
 * sysdeps/nptl/internaltypes.h). The low 32 bits are the value, the high 32 the number of those who wait. Here it lies in a
 * mapped file that others own, beside native users of glibc's sem_wait(3), sem_post(3) and their kin.
 *
 * None of glibc's functions is used on it. They trust the memory: sem_post(3) makes a system call as the word `private`
 * next to the value tells, which may wait for ever or abort(3) the process if that is not one of the two it can be
 * ("The futex facility returned an unexpected error code"), and sem_wait(3) aborts when the page is gone.
 */
#ifndef IPCFS_BACKENDS_SEM_WORD_H
#define IPCFS_BACKENDS_SEM_WORD_H

#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>

/* How long one that waits takes at most to see that the file has been cut off, of which nothing else tells. */
enum { SEM_WORD_LOOK_MS = 1000 };

/* A mapping of one page of a semaphore's file. */
struct sem_word;

/*
 * Gets ready; stop() undoes it. −ENOSYS where the C library's sem_t is not what is described above. Installs a handler of
 * SIGBUS (backends/sem_guard.h).
 */
int sem_word_start(void);
void sem_word_stop(void);

static inline uint32_t sem_word_value(uint64_t word)
{
    return (uint32_t)word;
}

static inline uint32_t sem_word_waiters(uint64_t word)
{
    return (uint32_t)(word >> 32);
}

/* By pread(2), of a descriptor that may read: no mapping. −EIDRM where the file is too short for a semaphore. */
int sem_word_read(int fd, uint64_t *word);

/* Maps it, by a descriptor that may read and write and is not needed after. −EIDRM as above; −ENOMEM also where the
 * process has vm.max_map_count mappings. */
int sem_word_map(int fd, struct sem_word **out);
void sem_word_unmap(struct sem_word *word);

/*
 * All of these answer −EIDRM where the file has been cut off since, or has lost its page and there is no room for another.
 * Then nothing was done. None blocks, but for sem_word_wait().
 *
 * sem_word_take() is sem_trywait(3): −EAGAIN where the value is 0. `left` is the value after it.
 * sem_word_wait() is sem_wait(3). −EINTR: a signal came, and nothing was taken.
 * sem_word_post() is `count` times sem_post(3), at one moment: −EOVERFLOW where the value would exceed SEM_VALUE_MAX, and
 * nothing was posted. sem_word_set() is as many sem_post(3) or sem_trywait(3) as lead to `value`, at one moment.
 */
int sem_word_look(struct sem_word *word, uint64_t *out);
int sem_word_take(struct sem_word *word, uint32_t *left);
int sem_word_wait(struct sem_word *word, uint32_t *left);
int sem_word_post(struct sem_word *word, uint32_t count);
int sem_word_set(struct sem_word *word, uint32_t value);

#endif
