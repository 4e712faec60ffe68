/* SPDX-License-Identifier: MIT */
/* Threads that wait as keepers do. */
#include "sysv_sem_subject.h"

#include <errno.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

static void *run_waiter(void *data)
{
    struct sem_waiter *waiter = data;
    struct ipcfs_wait wait = {.block = true};
    const struct ipcfs_lock lock = {.whole = true, .range = {.l_type = F_WRLCK}};
    if (waiter->call == WAITER_READS)
        waiter->result = kind->try_read(waiter->file, waiter->text, sizeof waiter->text - 1, 0, 0, &wait);
    else if (waiter->call == WAITER_WRITES)
        waiter->result = kind->try_write(waiter->file, "waited", 6, 0, 0, &wait);
    else
        waiter->result = kind->try_lock(waiter->file, &lock, &wait);
    return NULL;
}

void start_waiter(struct sem_waiter *waiter, struct ipcfs_file *file, enum waiter_call call)
{
    *waiter = (struct sem_waiter){.file = file, .call = call, .result = 12345};
    assert_int_equal(pthread_create(&waiter->thread, NULL, run_waiter, waiter), 0);
}

void await_count(int id, int semnum, int count, int expected)
{
    for (int i = 0; i < 5000; i++) {
        if (native_get(id, semnum, count) == expected)
            return;
        usleep(1000);
    }
    fail_msg("%d threads wait instead of %d", native_get(id, semnum, count), expected);
}

void join_waiter(struct sem_waiter *waiter, ssize_t expected)
{
    struct timespec deadline;
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &deadline), 0);
    deadline.tv_sec += 5;
    assert_int_equal(pthread_timedjoin_np(waiter->thread, NULL, &deadline), 0);
    assert_int_equal(waiter->result, expected);
}

static void ignore(int number)
{
    (void)number;
}

void take_wake_signals(void)
{
    struct sigaction action = {.sa_handler = ignore, .sa_flags = SA_RESTART};
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
}
