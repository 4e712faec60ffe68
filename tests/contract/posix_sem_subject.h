/* SPDX-License-Identifier: MIT */
/* What the tests of POSIX named semaphores share. */
#ifndef IPCFS_TESTS_CONTRACT_POSIX_SEM_SUBJECT_H
#define IPCFS_TESTS_CONTRACT_POSIX_SEM_SUBJECT_H

#include "subject.h"

#include <pthread.h>
#include <semaphore.h>
#include <sys/types.h>

/* As TEST(), and no mapping of a semaphore is left behind. */
int begin_sem_test(void **state);
int end_sem_test(void **state);
#define SEM_TEST(function) cmocka_unit_test_setup_teardown(function, begin_sem_test, end_sem_test)

/* A held semaphore, made with that value, or opened where it exists. */
struct ipcfs_created make_sem(const char *name, unsigned value);

/* The file of that name in the directory that a semaphore is. */
const struct ipcfs_verb *sem_file(const char *name);
/* 0 or −errno of a write of that line to `value` or `post`. */
int write_verb_line(const struct ipcfs_ref *ref, const char *file, const char *line);
/* The same for a line that must be refused with EINVAL, and a reason in which `words` are. */
void must_be_refused(const struct ipcfs_ref *ref, const char *file, const char *line, const char *words);
/* What a read of `value` gives, as a number; or −errno. */
long read_value(const struct ipcfs_ref *ref);
/* What state shows; −1 where that is not known. */
long shown_number(const struct ipcfs_ref *ref, const char *field);

/* A new regular file of that size, all of it a hole. */
void make_plain_file(const char *path, off_t size);
/* What bears that name is no semaphore, whatever is asked of it. */
void must_not_be_reached(const char *name);

/* An open `wait` or `hold`. */
struct ipcfs_file *open_part(const struct ipcfs_ref *ref, const char *file);
/* One try_read(): the value left, or −errno; with `block`, as a keeper. −EAGAIN must come with a source. */
long take_one(struct ipcfs_file *file, bool block);
/* One try_lock() of the hold. */
int hold_one(struct ipcfs_file *file, bool block);

/* A native handle of the semaphore, or one made. */
sem_t *open_native(const char *name);
sem_t *make_native(const char *name, mode_t mode, unsigned value);
int native_sem_value(sem_t *semaphore);
/* A process that does sem_wait(3) once on the semaphore of that name, with status 0 if that was well. */
pid_t start_native_waiter(const char *name);
/* Its status; fails the test where it ended otherwise. */
int status_of(pid_t pid);

/* A thread that makes the waiting call, as a keeper does. */
struct keeper {
    struct ipcfs_file *file;
    bool is_hold;
    pthread_t thread;
    long result;
    bool runs;
};
void start_keeper(struct keeper *keeper, struct ipcfs_file *file, bool is_hold);
/* Its result, for which it has so long; NEVER_ENDED where it does not end. */
enum { NEVER_ENDED = 1000000 };
long result_of(struct keeper *keeper, int milliseconds);
/* Sends signals until it ends. */
long interrupt(struct keeper *keeper);

void pause_ms(long milliseconds);
int64_t now_ms(void);
/* Until so many are counted as waiters; fails the test where that does not come. */
void wait_for_waiters(const struct ipcfs_ref *ref, long count);
/* SIGUSR2 ends calls, and does nothing. */
void let_signals_come(void);

#endif
