/* SPDX-License-Identifier: MIT */
/*
 * Units that are held: taken with SEM_UNDO, and given back once.
 *
 * The kernel keeps one adjustment ("semadj" in semop(2)) per semaphore and process, all of whose threads share it
 * (CLONE_SYSVSEM of clone(2), which pthread_create(3) sets). Here it is the number of units that are held, so that the
 * kernel gives all of them back when the process ends, by SIGKILL too. A unit that is given back is also taken off it.
 *
 * SETVAL and SETALL, whoever calls them, set everybody's adjustment to 0 (semctl(2)): the process that held a unit then
 * gives nothing back at its end. It is the same here, for each single one that is held, although the kernel does not
 * tell the adjustment: those who hold a unit are kept in the order in which they took it, and after a SETVAL with k new
 * ones the adjustment is k. So one who is followed by n others still has his unit if the adjustment is more than n. That
 * is asked in the same semop(2) that gives it back: a vector which does nothing but add 1 in the end, but on its way
 * takes the adjustment so far down that the kernel refuses it (ERANGE) where it was not more than n. The same
 * keeps it from giving a unit to a set that was given the id of one that is gone.
 *
 * Two cases are not told apart: a keeper that has just taken a unit counts as one who holds only when it is in the list,
 * some microseconds later; and where kernel.sem allows fewer operations in one semop than that vector has, the unit is
 * given back unasked.
 *
 * As natively at the end of a process, a unit that would raise a semaphore above its highest value is lost.
 */
#ifndef IPCFS_BACKENDS_SYSV_SEM_UNDO_H
#define IPCFS_BACKENDS_SYSV_SEM_UNDO_H

#include <stdbool.h>
#include <sys/queue.h>

/* One that may hold a unit. Its owner sets `id` and `semnum`; the rest begins with zeros. */
struct sysv_sem_held {
    int id;
    unsigned short semnum;
    enum { SYSV_SEM_FREE, SYSV_SEM_TAKING, SYSV_SEM_HELD } state;
    LIST_ENTRY(sysv_sem_held) next;
};

/*
 * Takes a unit: 0, also where it has one. −EAGAIN where there is none, and without `block`. −EBUSY where another thread
 * waits with it. −EINTR: a signal came and nothing was taken. Otherwise as semop(2).
 */
int sysv_sem_hold_unit(struct sysv_sem_held *held, bool block);
/* Gives its unit back, if it has one. With the rights of the calling thread: who has none leaves it to the kernel. */
void sysv_sem_give_back(struct sysv_sem_held *held);
/* Its set is gone, and with it the unit. */
void sysv_sem_forget(struct sysv_sem_held *held);

#endif
