/* SPDX-License-Identifier: MIT */
#include "patience.h"

#include "ipcfs/monotonic.h"
#include "small_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Address space, not memory, until it is used: enough for system calls and what a sanitizer adds. */
enum { STACK = 256 * 1024 };

/* ---- for the thread ---- */

/* With the lock held. */
static bool is_given_up(const struct patience *patience, const struct patience_subject *subject)
{
    size_t of_owner = 0;
    const struct patient *patient = NULL;
    LIST_FOREACH(patient, &patience->given_up, next)
    {
        const struct patience_subject *stuck = &patient->subject;
        if (stuck->number[0] == subject->number[0] && stuck->number[1] == subject->number[1])
            return true;
        of_owner += stuck->owner == subject->owner;
    }
    return of_owner >= patience->owner_max || patience->given_up_count >= PATIENCE_GIVEN_UP_MAX;
}

bool patience_lock(struct patient *patient)
{
    (void)pthread_mutex_lock(&patient->patience->lock);
    if (!patient->given_up)
        return true;
    (void)pthread_mutex_unlock(&patient->patience->lock);
    return false;
}

void patience_unlock(struct patient *patient)
{
    (void)pthread_mutex_unlock(&patient->patience->lock);
}

/* There are but two who ever wait for `changed`, and never both. */
void patience_hand_over(struct patient *patient, bool *there)
{
    *there = true;
    (void)pthread_cond_signal(&patient->changed);
    while (*there)
        (void)pthread_cond_wait(&patient->changed, &patient->patience->lock);
}

bool patience_begin(struct patient *patient, const struct patience_subject *subject)
{
    if (!patience_lock(patient))
        return false;
    bool may = !is_given_up(patient->patience, subject);
    patient->subject = *subject;
    int64_t now = monotonic_ms();
    atomic_store(&patient->began, now);
    atomic_store(&patient->moved, now);
    patience_unlock(patient);
    return may;
}

bool patience_move(struct patient *patient)
{
    atomic_store(&patient->moved, monotonic_ms());
    return !atomic_load(&patient->given_up);
}

static void release(struct patient *patient)
{
    (void)pthread_cond_destroy(&patient->changed);
    patient->release(patient);
}

/*
 * A table of descriptors of its own, without any: it must not keep open what others close. Where close_range(2) is not to be
 * had (Linux before 5.9, or a filter of system calls), one after another.
 */
static bool leave_descriptors(void)
{
#ifdef __SANITIZE_THREAD__
    return true; /* it takes equal numbers of two tables for one descriptor, and sees races between them */
#endif
    struct rlimit limit;
    if (syscall(SYS_close_range, 0, ~0U, CLOSE_RANGE_UNSHARE) == 0)
        return true;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || unshare(CLONE_FILES) < 0)
        return false;
    for (int fd = 0; (rlim_t)fd < limit.rlim_max && fd < INT_MAX; fd++)
        (void)close(fd);
    return true;
}

static void *run(void *data)
{
    struct patient *patient = data;
    struct patience *patience = patient->patience;
    atomic_store(&patient->tid, gettid());
    if (leave_descriptors())
        patient->work(patient);
    (void)pthread_mutex_lock(&patience->lock);
    patient->ended = true;
    bool given_up = patient->given_up;
    if (given_up) {
        LIST_REMOVE(patient, next);
        patience->given_up_count--;
    } else {
        (void)pthread_cond_signal(&patient->changed);
    }
    (void)pthread_mutex_unlock(&patience->lock);
    if (given_up)
        release(patient);
    return NULL;
}

/* ---- for who waits ---- */

static int start_thread(struct patient *patient)
{
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, STACK);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&patient->thread, &attributes, run, patient);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return -error;
}

static bool may_start(struct patience *patience)
{
    (void)pthread_mutex_lock(&patience->lock);
    bool may = patience->given_up_count < PATIENCE_GIVEN_UP_MAX;
    (void)pthread_mutex_unlock(&patience->lock);
    return may;
}

int patience_start(struct patient *patient)
{
    pthread_condattr_t attributes;
    if (!may_start(patient->patience))
        return -EAGAIN;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&patient->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    int error = start_thread(patient);
    if (error)
        (void)pthread_cond_destroy(&patient->changed);
    return error;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* When patience ends, as things stand. Nothing before `since` counts: until then the work may have waited for the caller. */
static int64_t patience_end(struct patient *patient, int64_t since)
{
    int64_t end = later(atomic_load(&patient->moved), since) + PATIENCE_MS;
    int64_t last = later(atomic_load(&patient->began), since) + PATIENCE_SUBJECT_MS;
    return end < last ? end : last;
}

/* On a busy machine a thread may wait for its turn for longer than that. */
static bool is_runnable(struct patient *patient)
{
    char path[64];
    char text[256];
    pid_t tid = atomic_load(&patient->tid);
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
    if (tid && small_file_read(AT_FDCWD, path, text, sizeof text))
        return false;
    const char *name_end = tid ? strrchr(text, ')') : NULL;
    return !tid || (name_end && strncmp(name_end, ") R", 3) == 0);
}

bool patience_await(struct patient *patient, const bool *there)
{
    int64_t since = monotonic_ms();
    while (!*there && !patient->ended) {
        if (patience_end(patient, since) <= monotonic_ms()) {
            if (!is_runnable(patient))
                return false;
            since = monotonic_ms();
        }
        int64_t end = patience_end(patient, since);
        const struct timespec time = {.tv_sec = end / 1000, .tv_nsec = end % 1000 * 1000000};
        (void)pthread_cond_timedwait(&patient->changed, &patient->patience->lock, &time);
    }
    return true;
}

void patience_taken(struct patient *patient, bool *there)
{
    *there = false;
    (void)pthread_cond_signal(&patient->changed);
}

void patience_leave(struct patient *patient)
{
    struct patience *patience = patient->patience;
    pthread_t thread = patient->thread;
    bool ended = patient->ended;
    if (!ended) {
        atomic_store(&patient->given_up, true);
        LIST_INSERT_HEAD(&patience->given_up, patient, next);
        patience->given_up_count++;
    }
    (void)pthread_mutex_unlock(&patience->lock);
    if (!ended) {
        (void)pthread_detach(thread);
        return;
    }
    (void)pthread_join(thread, NULL);
    release(patient);
}
