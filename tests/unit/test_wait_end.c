/* SPDX-License-Identifier: MIT */
/* The wait engine: all that ends a wait other than being served. */
#include "cmocka_api.h"
#include "fake_waiter.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void until_it_waits(struct wait_fixture *fixture)
{
    if (fixture->queue.source == IPCFS_WAIT_KEEPER)
        EVENTUALLY(fixture, atomic_load(&fixture->queue.blocked) == 1);
    else
        sleep_ms(5);
}

/* ---- interrupt ---- */

static void test_interrupt_before_park(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiters = wait_readers(fixture, 2);
    wait_put(fixture, 1);
    for (unsigned i = 0; i < 2; i++) {
        wait_prepare(fixture->lines[READERS], &waiters[i].waiter);
        wait_interrupt(&waiters[i].waiter);
        sleep_ms(5);
        assert_false(fake_finished(&waiters[i])); /* it is not the engine's yet */
        wait_park(&waiters[i].waiter);
        FINISHES(fixture, &waiters[i], -EINTR);
        assert_int_equal(atomic_load(&waiters[i].attempts), 0);
    }
    assert_int_equal(fake_queue_count(&fixture->queue), 1);
}

/* The first, one in the middle, and the last; those left are served in their order. */
static void test_interrupt_while_parked(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiters = wait_readers(fixture, 7);
    static const unsigned ended[] = {0, 3, 6, 1};
    static const unsigned left[] = {2, 4, 5};
    for (unsigned i = 0; i < 7; i++)
        wait_in_line(fixture, &waiters[i]);
    until_it_waits(fixture);
    for (unsigned i = 0; i < ARRAY_LENGTH(ended); i++) {
        wait_interrupt(&waiters[ended[i]].waiter);
        FINISHES(fixture, &waiters[ended[i]], -EINTR);
    }
    EVENTUALLY(fixture, stats_now(fixture).parked == 3);
    for (unsigned i = 0; i < 3; i++) {
        wait_put(fixture, i);
        FINISHES(fixture, &waiters[left[i]], FAKE_OK);
        assert_int_equal(waiters[left[i]].value.value, i);
    }
}

/* The caller holds a lock that finish() needs. */
static pthread_mutex_t outer = PTHREAD_MUTEX_INITIALIZER;

static void take_outer(struct fake_waiter *waiter)
{
    (void)waiter;
    pthread_mutex_lock(&outer);
    pthread_mutex_unlock(&outer);
}

static void test_interrupt_under_a_lock(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiters = wait_readers(fixture, 40);
    for (unsigned i = 0; i < 40; i++) {
        waiters[i].done = take_outer;
        wait_in_line(fixture, &waiters[i]);
    }
    until_it_waits(fixture);
    pthread_mutex_lock(&outer);
    for (unsigned i = 0; i < 40; i++)
        wait_interrupt(&waiters[i].waiter);
    sleep_ms(20);
    pthread_mutex_unlock(&outer);
    for (unsigned i = 0; i < 40; i++)
        FINISHES(fixture, &waiters[i], -EINTR);
}

static atomic_bool hold_finish;

static void wait_for_release(struct fake_waiter *waiter)
{
    (void)waiter;
    while (atomic_load(&hold_finish))
        sleep_ms(1);
}

/* It has been served, and finish() is still running: the interrupt comes too late. */
static void test_interrupt_when_served(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiter = wait_readers(fixture, 1);
    waiter->done = wait_for_release;
    atomic_store(&hold_finish, true);
    wait_in_line(fixture, waiter);
    wait_put(fixture, 1);
    EVENTUALLY(fixture, fake_finished(waiter));
    wait_interrupt(&waiter->waiter);
    wait_interrupt(&waiter->waiter);
    atomic_store(&hold_finish, false);
    sleep_ms(20);
    assert_int_equal(atomic_load(&waiter->finished), 1);
    assert_int_equal(waiter->result, FAKE_OK);
}

static void test_interrupt_twice(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiter = wait_readers(fixture, 1);
    waiter->done = wait_for_release;
    atomic_store(&hold_finish, true);
    wait_in_line(fixture, waiter);
    until_it_waits(fixture);
    for (unsigned i = 0; i < 5; i++)
        wait_interrupt(&waiter->waiter);
    EVENTUALLY(fixture, fake_finished(waiter));
    wait_interrupt(&waiter->waiter);
    atomic_store(&hold_finish, false);
    sleep_ms(20);
    assert_int_equal(atomic_load(&waiter->finished), 1);
    assert_int_equal(waiter->result, -EINTR);
}

/* ---- a keeper inside its call ---- */

/* A signal that comes just before the call is lost. One must follow. */
static void test_interrupt_in_the_window(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiters = wait_readers(fixture, 2);
    struct fake_queue *queue = &fixture->queue;
    atomic_store(&queue->window, true);
    wait_in_line(fixture, &waiters[0]);
    wait_in_line(fixture, &waiters[1]);
    EVENTUALLY(fixture, atomic_load(&queue->in_window));
    unsigned before = count_signals();
    wait_interrupt(&waiters[0].waiter);
    sleep_ms(50);
    assert_false(fake_finished(&waiters[0]));
    assert_in_range(count_signals() - before, 1, 200); /* now and then, not all the time */
    atomic_store(&queue->window, false);
    FINISHES(fixture, &waiters[0], -EINTR);
    assert_false(fake_finished(&waiters[1]));
    wait_put(fixture, 3);
    FINISHES(fixture, &waiters[1], FAKE_OK);
}

/* It got its message in spite of the interrupt: then it has it. */
static void test_served_in_the_window(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiters = wait_readers(fixture, 2);
    struct fake_queue *queue = &fixture->queue;
    waiters[0].waiter.owner = &waiters[0];
    for (unsigned round = 0; round < 2; round++) {
        atomic_store(&queue->window, true);
        wait_in_line(fixture, &waiters[round]);
        EVENTUALLY(fixture, atomic_load(&queue->in_window));
        wait_put(fixture, round);
        if (round == 0)
            wait_end(fixture->lines[READERS], &waiters[0], -EBADF);
        else
            wait_interrupt(&waiters[1].waiter);
        sleep_ms(20);
        atomic_store(&queue->window, false);
        EVENTUALLY(fixture, fake_finished(&waiters[round]));
        /* The signal may have come when it slept again; what it says is true in both cases. */
        assert_int_equal(fake_queue_count(queue), waiters[round].result == FAKE_OK ? 0 : 1);
        struct fake_result result;
        (void)fake_queue_try(queue, false, &result);
    }
}

/* Others come and go while the keeper is busy with the first. */
static void test_others_while_a_keeper_blocks(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiters = wait_readers(fixture, 3);
    struct fake_queue *queue = &fixture->queue;
    atomic_store(&queue->window, true);
    wait_in_line(fixture, &waiters[0]);
    EVENTUALLY(fixture, atomic_load(&queue->in_window));
    wait_in_line(fixture, &waiters[1]);
    wait_in_line(fixture, &waiters[2]);
    wait_interrupt(&waiters[1].waiter);
    FINISHES(fixture, &waiters[1], -EINTR); /* needs no keeper */
    assert_false(fake_finished(&waiters[0]));
    atomic_store(&queue->window, false);
    wait_put(fixture, 1);
    wait_put(fixture, 2);
    FINISHES(fixture, &waiters[0], FAKE_OK);
    FINISHES(fixture, &waiters[2], FAKE_OK);
    assert_int_equal(waiters[0].value.value, 1);
}

static void test_deliver_may_ask_for_more(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiters = wait_readers(fixture, 2);
    waiters[0].again = waiters[1].again = true;
    wait_in_line(fixture, &waiters[0]);
    wait_in_line(fixture, &waiters[1]);
    EVENTUALLY(fixture, atomic_load(&waiters[0].attempts) >= 2);
    wait_put(fixture, 1);
    wait_put(fixture, 2);
    FINISHES(fixture, &waiters[0], FAKE_OK);
    FINISHES(fixture, &waiters[1], FAKE_OK);
    assert_int_equal(waiters[0].value.value, 1);
}

static void test_broken_while_a_keeper_blocks(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiters = wait_readers(fixture, 3);
    for (unsigned i = 0; i < 3; i++)
        wait_in_line(fixture, &waiters[i]);
    until_it_waits(fixture);
    fake_queue_break(&fixture->queue, -EIDRM);
    for (unsigned i = 0; i < 3; i++)
        FINISHES(fixture, &waiters[i], -EIDRM);
}

/* ---- the owner goes ---- */

static void test_end_of_an_owner(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiters = wait_readers(fixture, 30);
    static const char owners[3];
    for (unsigned i = 0; i < 30; i++) {
        waiters[i].waiter.owner = &owners[i % 3];
        wait_in_line(fixture, &waiters[i]);
    }
    until_it_waits(fixture);
    wait_end(fixture->lines[WRITERS], &owners[1], -EIO); /* another line */
    wait_end(fixture->lines[READERS], &owners[0], -EBADF);
    wait_end(fixture->lines[READERS], &owners[0], -EIO);
    for (unsigned i = 0; i < 30; i += 3)
        FINISHES(fixture, &waiters[i], -EBADF);
    for (unsigned i = 0; i < 30; i++) {
        if (i % 3 == 0)
            continue;
        wait_put(fixture, i);
        FINISHES(fixture, &waiters[i], FAKE_OK);
        assert_int_equal(waiters[i].value.value, i);
    }
}

/* Each waits by a descriptor of its own, which is closed when it is finished, as that of a handle of a POSIX queue. All
 * show the same: a descriptor that stayed in the epoll would now wake the engine for ever. */
static void test_each_its_own_descriptor(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiters = wait_readers(fixture, 9);
    for (unsigned i = 0; i < 9; i++) {
        waiters[i].fd = dup(fixture->queue.fd);
        waiters[i].waiter.owner = &waiters[i / 3];
        wait_in_line(fixture, &waiters[i]);
    }
    sleep_ms(5);
    wait_interrupt(&waiters[0].waiter);
    FINISHES(fixture, &waiters[0], -EINTR);
    wait_end(fixture->lines[READERS], &waiters[0], -EBADF);
    FINISHES(fixture, &waiters[1], -EBADF);
    FINISHES(fixture, &waiters[2], -EBADF);
    for (unsigned i = 3; i < 9; i++) {
        sleep_ms(2);
        wait_put(fixture, i);
        FINISHES(fixture, &waiters[i], FAKE_OK);
    }
    wait_put(fixture, 1);
    clock_t before = clock();
    sleep_ms(200);
    assert_in_range(clock() - before, 0, CLOCKS_PER_SEC / 20);
}

/* A number of a closed descriptor is soon another's. */
static void test_descriptor_numbers_come_again(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiters = wait_readers(fixture, 60);
    struct fake_queue other;
    assert_int_equal(fake_queue_init(&other, IPCFS_WAIT_POLL, 4), 0);
    struct wait_line *line = wait_other_line(fixture, 1, READERS);
    for (unsigned i = 0; i < 60; i++) {
        waiters[i].queue = i % 2 ? &other : &fixture->queue;
        waiters[i].fd = dup(waiters[i].queue->fd);
        wait_prepare(i % 2 ? line : fixture->lines[READERS], &waiters[i].waiter);
        wait_park(&waiters[i].waiter);
        sleep_ms(i % 3);
        if (i % 3 == 0)
            wait_interrupt(&waiters[i].waiter);
        else
            fake_queue_put(waiters[i].queue, i);
        FINISHES(fixture, &waiters[i], i % 3 == 0 ? -EINTR : FAKE_OK);
    }
    wait_line_put(line);
    fake_queue_destroy(&other);
}

/* ---- time and the end ---- */

enum { TIME_MAX_MS = 150 };

static int set_up_timed_poll(void **state)
{
    return wait_set_up(state, IPCFS_WAIT_POLL, TIME_MAX_MS);
}

static int set_up_timed_keeper(void **state)
{
    return wait_set_up(state, IPCFS_WAIT_KEEPER, TIME_MAX_MS);
}

/* Later ones last as long as earlier ones, each counted from its own start. */
static void test_time_is_limited(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiters = wait_readers(fixture, 60);
    int64_t start[60];
    for (unsigned i = 0; i < 60; i++) {
        start[i] = now_ms();
        wait_in_line(fixture, &waiters[i]);
        sleep_ms(i % 10 == 9 ? 12 : 0);
    }
    for (unsigned i = 0; i < 60; i++) {
        EVENTUALLY(fixture, fake_finished(&waiters[i]));
        int64_t took = now_ms() - start[i];
        assert_int_equal(waiters[i].result, -EINTR);
        assert_in_range(took, TIME_MAX_MS - 2, 4000);
    }
}

/* The engine had nothing to do for a while when they come. */
static void test_time_is_limited_after_a_pause(void **state)
{
    struct wait_fixture *fixture = *state;
    for (unsigned round = 0; round < 2; round++) {
        struct fake_waiter *waiter = wait_readers(fixture, 2);
        sleep_ms(round ? 3 * TIME_MAX_MS : 50);
        wait_in_line(fixture, waiter);
        wait_put(fixture, 1);
        FINISHES(fixture, waiter, FAKE_OK);
        sleep_ms(TIME_MAX_MS / 2);
        int64_t start = now_ms();
        wait_in_line(fixture, &waiter[1]);
        FINISHES(fixture, &waiter[1], -EINTR);
        assert_in_range(now_ms() - start, TIME_MAX_MS - 2, 4000);
    }
}

/* Of its own: others in the line wait on. */
static void test_limit_of_one(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiters = wait_readers(fixture, 6);
    static const unsigned limits[] = {0, 120, 60, 0, 30000, 60};
    sleep_ms(30);
    int64_t start = now_ms();
    for (unsigned i = 0; i < 6; i++) {
        waiters[i].waiter.limit_ms = limits[i];
        wait_in_line(fixture, &waiters[i]);
    }
    for (unsigned i = 0; i < 6; i++) {
        if (!limits[i] || limits[i] > 1000)
            continue;
        FINISHES(fixture, &waiters[i], -EAGAIN);
        assert_in_range(now_ms() - start, limits[i] - 2, 4000);
    }
    static const unsigned left[] = {0, 3, 4};
    for (unsigned i = 0; i < 3; i++) {
        assert_false(fake_finished(&waiters[left[i]]));
        wait_put(fixture, i);
        FINISHES(fixture, &waiters[left[i]], FAKE_OK);
    }
}

static void test_stop_ends_all(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiters = wait_readers(fixture, 500);
    for (unsigned i = 0; i < 500; i++) {
        atomic_store(&waiters[i].probe, NULL);
        wait_in_line(fixture, &waiters[i]);
    }
    until_it_waits(fixture);
    fixture->stopped = true;
    wait_engine_stop(fixture->engine, -ENOTCONN);
    for (unsigned i = 0; i < 500; i++) {
        assert_int_equal(atomic_load(&waiters[i].finished), 1); /* none comes later */
        assert_int_equal(waiters[i].result, -ENOTCONN);
    }
}

static void *open_window(void *argument)
{
    struct fake_queue *queue = argument;
    sleep_ms(100);
    atomic_store(&queue->window, false);
    return NULL;
}

static void test_stop_in_the_window(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiters = wait_readers(fixture, 3);
    struct fake_queue *queue = &fixture->queue;
    pthread_t thread;
    atomic_store(&queue->window, true);
    for (unsigned i = 0; i < 3; i++) {
        atomic_store(&waiters[i].probe, NULL);
        wait_in_line(fixture, &waiters[i]);
    }
    EVENTUALLY(fixture, atomic_load(&queue->in_window));
    assert_int_equal(pthread_create(&thread, NULL, open_window, queue), 0);
    fixture->stopped = true;
    wait_engine_stop(fixture->engine, -ENOTCONN);
    assert_int_equal(pthread_join(thread, NULL), 0);
    for (unsigned i = 0; i < 3; i++)
        FINISHES(fixture, &waiters[i], -ENOTCONN);
}

/* An operation that had begun before. */
static void test_parked_after_stop(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiter = wait_readers(fixture, 1);
    atomic_store(&waiter->probe, NULL);
    wait_prepare(fixture->lines[READERS], &waiter->waiter);
    fixture->stopped = true;
    wait_engine_stop(fixture->engine, -ENOTCONN);
    wait_park(&waiter->waiter);
    FINISHES(fixture, waiter, -ENOTCONN);
}

static void test_stop_without_waiters(void **state)
{
    struct wait_fixture *fixture = *state;
    fixture->stopped = true;
    wait_engine_stop(fixture->engine, -ENOTCONN);
}

#define TIMED(test)                                                                                          \
    {#test " (poll)", test, set_up_timed_poll, wait_tear_down, NULL},                                        \
    {                                                                                                        \
#test " (keeper)", test, set_up_timed_keeper, wait_tear_down, NULL                                   \
    }

int main(void)
{
    if (wait_tests_start())
        return EXIT_FAILURE;
    const struct CMUnitTest tests[] = {
        BOTH(test_interrupt_before_park),
        BOTH(test_interrupt_while_parked),
        BOTH(test_interrupt_under_a_lock),
        BOTH(test_interrupt_when_served),
        BOTH(test_interrupt_twice),
        KEEPER(test_interrupt_in_the_window),
        KEEPER(test_served_in_the_window),
        KEEPER(test_others_while_a_keeper_blocks),
        KEEPER(test_deliver_may_ask_for_more),
        KEEPER(test_broken_while_a_keeper_blocks),
        BOTH(test_end_of_an_owner),
        POLL(test_each_its_own_descriptor),
        POLL(test_descriptor_numbers_come_again),
        TIMED(test_time_is_limited),
        TIMED(test_time_is_limited_after_a_pause),
        BOTH(test_limit_of_one),
        BOTH(test_stop_ends_all),
        KEEPER(test_stop_in_the_window),
        BOTH(test_parked_after_stop),
        BOTH(test_stop_without_waiters),
    };
    return cmocka_run_group_tests_name("wait_end", tests, NULL, NULL);
}
