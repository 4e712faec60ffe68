/* SPDX-License-Identifier: MIT */
/* What the tests of System V semaphore sets share: sets made natively and through the kind under test. */
#ifndef IPCFS_TESTS_CONTRACT_SYSV_SEM_SUBJECT_H
#define IPCFS_TESTS_CONTRACT_SYSV_SEM_SUBJECT_H

#include "sysv_common.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/sem.h>

/* Natively, each failing the test where it fails. */
int native_set(key_t key, int nsems, int mode);
struct semid_ds native_set_state(int id);
struct native_look look_at_set(int id);
void native_set_change(int id, uid_t uid, gid_t gid, int mode);
void native_set_remove(int id);
/* GETVAL, GETNCNT, GETZCNT, GETPID. */
int native_get(int id, int semnum, int command);
int native_value(int id, int semnum);
void native_put(int id, int semnum, int value);
/* One semop(2) that must not have to wait. */
void native_op(int id, int semnum, int operation);

/* Sets kernel.sem of the private name space ("SEMMSL SEMMNS SEMOPM SEMMNI"), and back to the kernel's own. */
void set_kernel_sem(const char *values);
void reset_kernel_sem(void);

/* A new set of the key 0x2a, with a hold. let_go() is for it, and key_ref(). */
struct ipcfs_created new_set(int nsems, mode_t mode);

const struct ipcfs_verb *set_file(const char *name);
const struct ipcfs_verb *member_file(const char *name);
int write_line(const struct ipcfs_verb *verb, const struct ipcfs_ref *ref, int64_t number, const char *line);
/* The same with `size` bytes, and what it said. */
int write_bytes(const struct ipcfs_verb *verb, const struct ipcfs_ref *ref, int64_t number, const char *line,
                size_t size, struct text *reason);
void must_read(const struct ipcfs_verb *verb, const struct ipcfs_ref *ref, int64_t number,
               const char *expected);

struct ipcfs_file *open_member(const struct ipcfs_created *object, const char *name, int64_t number);
/* One read of `wait` or `zero`, terminated. A count or −errno. */
ssize_t read_once(struct ipcfs_file *file, char text[32]);
void must_give(struct ipcfs_file *file, const char *expected);
/* One attempt to hold. */
int hold_once(struct ipcfs_file *file);

/* prepare() of `op`; `reason` may be NULL. */
int prepare(const struct ipcfs_created *object, const char *line, struct text *reason,
            struct ipcfs_file **out);
struct ipcfs_file *must_prepare(const struct ipcfs_created *object, const char *line);
ssize_t write_once(struct ipcfs_file *file, const char *line, struct ipcfs_wait *wait);
/* Prepares, tries once and closes. */
ssize_t command(const struct ipcfs_created *object, const char *line);

/* A thread that waits as a keeper does: try_read(), try_write() or try_lock() with `block`. */
enum waiter_call { WAITER_READS, WAITER_WRITES, WAITER_HOLDS };
struct sem_waiter {
    struct ipcfs_file *file;
    enum waiter_call call;
    ssize_t result;
    char text[32];
    pthread_t thread;
};
/* Returns when GETNCNT or GETZCNT (`count`) of the semaphore has become `expected`. */
void start_waiter(struct sem_waiter *waiter, struct ipcfs_file *file, enum waiter_call call);
void await_count(int id, int semnum, int count, int expected);
void join_waiter(struct sem_waiter *waiter, ssize_t expected);
/* SIGUSR1 gets a handler that does nothing. */
void take_wake_signals(void);

#endif
