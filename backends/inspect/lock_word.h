/* SPDX-License-Identifier: MIT */
/*
 * Who has a process-shared pthread mutex that a thread waits for.
 *
 * All the kernel knows is the address of a word in memory. The owner stands in the mutex, where glibc puts him: the word is
 * its first member, and what makes it a mutex is checked before it is believed (sysdeps/nptl/bits/struct_mutex.h,
 * nptl/pthreadP.h). The C library this is compiled with must be glibc on a machine of 64 bits; that of the waiter need not
 * be: what does not look like such a mutex has no owner here.
 *
 *   normal, recursive, error checking   the word is 2, the owner is in __owner
 *   robust                              the word is the owner's thread id and FUTEX_WAITERS (futex(2))
 *   priority inheritance                the same
 *   priority protection                 the word does not tell that it is locked and for whom: not known here
 */
#ifndef IPCFS_BACKENDS_INSPECT_LOCK_WORD_H
#define IPCFS_BACKENDS_INSPECT_LOCK_WORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* As much of a mutex as is looked at. */
enum { LOCK_WORD_BYTES = 20 };

/* What is in shared memory behind a word somebody waits for. */
struct lock_word {
    /* One of those who wait for it, whom the calling thread may trace, and his mapping: its addresses. */
    pid_t pid;
    uid_t uid;
    uint64_t start, end;
    uint64_t offset; /* of the word in the object */
    /* Which file it is: the inode's number, as far as `mask` goes; and its device, 0: not told. */
    uint64_t number, mask;
    dev_t device;
    bool known;
    unsigned char bytes[LOCK_WORD_BYTES];
};

/*
 * Reads them from the memory's own files, not from anybody's address space. With the daemon's rights: who may trace the
 * waiter may read his memory. Changes nothing, the time of the last access neither. What is not to be had stays unknown:
 * that of a process that does not answer in time (patience.h), and where the daemon may not follow /proc/PID/map_files (proc(5)). 0 or −ENOMEM.
 */
int lock_words_read(struct lock_word *words, size_t count);

/* The thread id of who has the mutex, as he calls himself; 0 where it is none, or is not locked, or has lost its owner. */
pid_t lock_word_owner(const unsigned char bytes[LOCK_WORD_BYTES]);

/* The process of a thread that calls itself so, if it is in the same pid name space as the daemon; 0: none. */
pid_t lock_word_process(pid_t tid);

#endif
