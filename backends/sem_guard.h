/* SPDX-License-Identifier: MIT */
/*
 * Short accesses to mapped memory that somebody else may take away at any time. Who may write to a file may also cut it
 * off (ftruncate(2)) while it is mapped here; a load or store beyond its end is then SIGBUS (mmap(2)), as it is where the
 * file system has no room for a page that was a hole. Under the guard that ends the access, not the process.
 *
 * The guard is a handler of SIGBUS for the whole process. What it does not know, it hands on to the handler that was there
 * before it, or to the default. The C library's own functions are not called under it: an access that is broken off
 * within one would leave its locks behind.
 */
#ifndef IPCFS_BACKENDS_SEM_GUARD_H
#define IPCFS_BACKENDS_SEM_GUARD_H

#include <stddef.h>

/*
 * An access: nothing but loads and stores, on the memory and on what `argument` points to. It may be broken off at each
 * one of the memory. It is marked SEM_GUARDED: the thread sanitizer does atomic operations under locks of its own, which
 * nobody would release.
 */
typedef int (*sem_guarded_access)(void *memory, void *argument);

#ifdef __clang__
#define SEM_GUARDED __attribute__((noinline, disable_sanitizer_instrumentation))
#else
#define SEM_GUARDED __attribute__((noinline, no_sanitize("thread")))
#endif

/* Puts the handler in place, and what was there before back. Not counted: one start, one stop. 0 or −errno. */
int sem_guard_start(void);
void sem_guard_stop(void);

/*
 * What `access` returns, or −EIDRM where a part of the `size` bytes at `memory` that it touched is no more. Not to be
 * nested. Any number of threads at once. SIGBUS is unblocked in each thread that comes here, for good: blocked, it would
 * end the process (sigaction(2), of signals that a fault causes).
 */
int sem_guard_run(void *memory, size_t size, sem_guarded_access access, void *argument);

#endif
