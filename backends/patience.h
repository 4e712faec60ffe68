/* SPDX-License-Identifier: MIT */
/*
 * Work that may never come back, and that no signal ends: a system call that waits for a lock which another process has for
 * as long as it likes. It is done in a thread made for it, one subject after another, and who waits for it has patience:
 * when the thread gets no further it is given up. It ends when that system call returns, and until then nobody begins with
 * the same subject again.
 *
 * The thread has the identity of the one that starts it, all signals blocked, and a table of descriptors of its own, empty
 * at first, so that nothing of the daemon's stays open by it: the mount ends with the daemon, though the process is a
 * zombie until then.
 */
#ifndef IPCFS_BACKENDS_PATIENCE_H
#define IPCFS_BACKENDS_PATIENCE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

enum {
    /* Who has not moved for so long is given up, unless it is the processor that it waits for. */
    PATIENCE_MS = 500,
    /* And who has not come to an end with one subject in so long, however much it moves. */
    PATIENCE_SUBJECT_MS = 5000,
    /* So many threads may be given up; then no work of the kind is begun until one comes back. */
    PATIENCE_GIVEN_UP_MAX = 16,
};

/* What a thread may get stuck with. */
struct patience_subject {
    uint64_t number[2];
    uint64_t owner; /* whose it is: of one owner only `owner_max` are tried */
};

LIST_HEAD(patient_list, patient);

/* A kind of work. `lock` guards the members here and of struct patient, and what the work hands over. */
struct patience {
    pthread_mutex_t lock;
    struct patient_list given_up;
    size_t given_up_count;
    size_t owner_max;
};
#define PATIENCE(owners_share)                                                                               \
    {                                                                                                        \
        .lock = PTHREAD_MUTEX_INITIALIZER, .owner_max = (owners_share)                                       \
    }

/* One thread's work: the first member of what it is about. Zero, but for the first three. */
struct patient {
    struct patience *patience;
    void (*work)(struct patient *patient);    /* in the thread */
    void (*release)(struct patient *patient); /* frees it all: in the thread where that was given up */

    pthread_t thread;
    pthread_cond_t changed;
    _Atomic pid_t tid; /* 0: not running yet */
    struct patience_subject subject;
    _Atomic int64_t began, moved; /* CLOCK_MONOTONIC, in ms: with the subject; at all */
    bool ended;
    _Atomic bool given_up; /* nobody waits: all is the thread's */
    LIST_ENTRY(patient) next;
};

/* ---- for who waits ---- */

/* 0; −EAGAIN: too many are given up, or there is no thread to be had; −ENOMEM. On error it is still the caller's. */
int patience_start(struct patient *patient);
/* With the lock held, and it is held again at the return: waits until `*there` or the end of the work. False: it gets no
 * further; the caller takes what there is, and then leaves it. */
bool patience_await(struct patient *patient, const bool *there);
/* With the lock held: what was there is taken, and `*there` is false. */
void patience_taken(struct patient *patient, bool *there);
/* With the lock held, lets it go: the end, once. Releases the patient, or leaves it to its thread. */
void patience_leave(struct patient *patient);

/* ---- for the thread ---- */

/* Begins with that one. False: a thread that was given up stands there, or too many of its owner's. */
bool patience_begin(struct patient *patient, const struct patience_subject *subject);
/* It moves. False: it is given up, and should end. */
bool patience_move(struct patient *patient);
/* Takes the lock, to hand something over. False: it is given up, and nothing is locked. */
bool patience_lock(struct patient *patient);
void patience_unlock(struct patient *patient);
/* With the lock held, and it is held again at the return: `*there` is true, and is waited for until it is taken. */
void patience_hand_over(struct patient *patient, bool *there);

#endif
