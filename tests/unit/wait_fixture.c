/* SPDX-License-Identifier: MIT */
#include "cmocka_api.h"
#include "failing.h"
#include "fake_waiter.h"

#include "hash.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A test that hangs where it can not look at the time itself, as in wait_engine_stop(). */
enum { ALARM_S = 100 };

int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void sleep_ms(unsigned time)
{
    struct timespec rest = {.tv_sec = time / 1000, .tv_nsec = (long)(time % 1000) * 1000000};
    while (nanosleep(&rest, &rest) < 0 && errno == EINTR)
        ;
}

size_t count_threads(void)
{
    size_t count = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (const struct dirent *entry = NULL; tasks && (entry = readdir(tasks));)
        count += entry->d_name[0] != '.';
    if (tasks)
        closedir(tasks);
    return count;
}

static atomic_uint signals;

static void wake(int number)
{
    (void)number;
    atomic_fetch_add(&signals, 1);
}

unsigned count_signals(void)
{
    return atomic_load(&signals);
}

static void on_alarm(int number)
{
    static const char words[] = "the test hangs\n";
    (void)number;
    if (write(STDERR_FILENO, words, sizeof words - 1) < 0)
        _exit(2);
    _exit(1);
}

static void *nothing(void *argument)
{
    return argument;
}

/* The first thread may be what makes a sanitizer start one of its own. */
int wait_tests_start(void)
{
    pthread_t thread;
    struct sigaction action = {.sa_handler = wake};
    struct sigaction alarmed = {.sa_handler = on_alarm};
    if (sigaction(WAKE_SIGNAL, &action, NULL) < 0 || sigaction(SIGALRM, &alarmed, NULL) < 0)
        return -errno;
    int error = pthread_create(&thread, NULL, nothing, NULL);
    if (!error)
        error = pthread_join(thread, NULL);
    (void)random();
    return error ? -error : hash_init();
}

struct wait_line *wait_other_line(struct wait_fixture *fixture, uint64_t number, uint64_t lane)
{
    struct wait_line *line = NULL;
    struct wait_key key = {.object = {.number = number, .birth = 1}, .lane = lane};
    assert_int_equal(wait_line_get(fixture->engine, &key, &line), 0);
    return line;
}

int wait_set_up(void **state, enum ipcfs_wait_source source, unsigned time_max_ms)
{
    static struct wait_fixture fixture;
    memset(&fixture, 0, sizeof fixture);
    *state = &fixture;
    (void)alarm(ALARM_S);
    fixture.threads = count_threads();
    fixture.live = failing_live();
    int error = wait_engine_start(&fixture.engine, time_max_ms);
    if (!error)
        error = fake_queue_init(&fixture.queue, source, 4);
    if (error)
        return error;
    fixture.lines[READERS] = wait_other_line(&fixture, 0, READERS);
    fixture.lines[WRITERS] = wait_other_line(&fixture, 0, WRITERS);
    return 0;
}

int wait_set_up_poll(void **state)
{
    return wait_set_up(state, IPCFS_WAIT_POLL, 0);
}

int wait_set_up_keeper(void **state)
{
    return wait_set_up(state, IPCFS_WAIT_KEEPER, 0);
}

static int check_left(struct wait_fixture *fixture)
{
    struct wait_stats stats;
    int64_t until = now_ms() + BOUND_MS;
    wait_stats(fixture->engine, &stats);
    wait_engine_free(fixture->engine);
    for (size_t i = 0; i < fixture->count; i++)
        if (atomic_load(&fixture->waiters[i].finished) > 1)
            fake_complain("finished more than once");
    free(fixture->waiters);
    fake_queue_destroy(&fixture->queue);
    while (count_threads() != fixture->threads && now_ms() < until)
        sleep_ms(1);
    if (stats.lines || stats.parked || stats.keepers || failing_live() != fixture->live ||
        count_threads() != fixture->threads || fake_complaint()) {
        (void)fprintf(stderr,
                      "%zu lines, %zu waiters, %zu keepers, %ld allocations and %zu threads are left; %s\n",
                      stats.lines, stats.parked, stats.keepers, failing_live() - fixture->live,
                      count_threads() - fixture->threads, fake_complaint() ? fake_complaint() : "");
        return -1;
    }
    return 0;
}

/* After every test, whatever it did: what still waits ends once, and nothing is left. */
int wait_tear_down(void **state)
{
    struct wait_fixture *fixture = *state;
    bool before = fixture->queue.source == IPCFS_WAIT_POLL && !fixture->stopped;
    for (size_t i = 0; before && i < ARRAY_LENGTH(fixture->lines); i++)
        wait_line_put(fixture->lines[i]);
    for (size_t i = 0; !fixture->stopped && i < fixture->count; i++)
        atomic_store(&fixture->waiters[i].probe, NULL); /* nothing may be called from now on */
    atomic_store(&fixture->queue.window, false);        /* a test that failed may have left it so */
    if (!fixture->stopped)
        wait_engine_stop(fixture->engine, -ENODEV);
    for (size_t i = 0; !before && i < ARRAY_LENGTH(fixture->lines); i++)
        wait_line_put(fixture->lines[i]);
    (void)alarm(0);
    return check_left(fixture);
}

static struct fake_waiter *new_waiters(struct wait_fixture *fixture, size_t count, bool writing)
{
    free(fixture->waiters);
    fixture->waiters = calloc(count, sizeof *fixture->waiters);
    assert_non_null(fixture->waiters);
    fixture->count = count;
    for (size_t i = 0; i < count; i++) {
        struct fake_waiter *waiter = &fixture->waiters[i];
        fake_waiter_init(waiter, &fixture->queue, writing);
        atomic_store(&waiter->probe, fixture->engine);
        waiter->line = fixture->lines[writing];
    }
    return fixture->waiters;
}

struct fake_waiter *wait_readers(struct wait_fixture *fixture, size_t count)
{
    return new_waiters(fixture, count, false);
}

struct fake_waiter *wait_writers(struct wait_fixture *fixture, size_t count)
{
    struct fake_waiter *waiters = new_waiters(fixture, count, true);
    for (size_t i = 0; i < count; i++)
        waiters[i].value.value = i;
    return waiters;
}

void wait_in_line(struct wait_fixture *fixture, struct fake_waiter *waiter)
{
    wait_prepare(fixture->lines[waiter->writing], &waiter->waiter);
    wait_park(&waiter->waiter);
}

struct wait_stats stats_now(struct wait_fixture *fixture)
{
    struct wait_stats stats;
    wait_stats(fixture->engine, &stats);
    return stats;
}

void wait_put(struct wait_fixture *fixture, uint64_t value)
{
    fake_queue_put(&fixture->queue, value);
}

/* Without locks, which may be what hangs. */
void wait_describe(const struct wait_fixture *fixture)
{
    unsigned told = 0;
    struct wait_stats stats;
    for (size_t i = 0; i < fixture->count && told < 20; i++) {
        const struct fake_waiter *waiter = &fixture->waiters[i];
        if (fake_finished(waiter) || !waiter->waiter.ops)
            continue;
        told++;
        (void)fprintf(stderr, "waiter %zu: %s, %s, verdict %d, %u attempts\n", i,
                      waiter->waiter.parked ? "parked" : "not parked",
                      atomic_load(&waiter->served) ? "served" : "not served", waiter->waiter.verdict,
                      atomic_load(&waiter->attempts));
    }
    (void)fprintf(stderr, "in block(): %d\n", atomic_load(&fixture->queue.blocked));
    wait_stats(fixture->engine, &stats);
    (void)fprintf(stderr, "%zu lines, %zu parked, %zu keepers\n", stats.lines, stats.parked, stats.keepers);
}
