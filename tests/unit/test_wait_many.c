/* SPDX-License-Identifier: MIT */
/* The wait engine: what waiting costs. Threads, memory, processor time, and what is left when nobody waits. */
#include "cmocka_api.h"
#include "failing.h"
#include "fake_waiter.h"
#include "wait_line.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { LINES = 1000, CROWD = 10000 };

/* As many lines, each with its queue. */
struct crowd {
    size_t count;
    struct fake_queue *queues;
    struct wait_line **lines;
};

static struct crowd crowd_new(struct wait_fixture *fixture, size_t count)
{
    struct crowd crowd = {.count = count};
    crowd.queues = calloc(count, sizeof *crowd.queues);
    crowd.lines = calloc(count, sizeof(struct wait_line *));
    assert_non_null(crowd.queues);
    assert_non_null(crowd.lines);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(fake_queue_init(&crowd.queues[i], fixture->queue.source, 4), 0);
        crowd.lines[i] = wait_other_line(fixture, i + 1, READERS);
    }
    return crowd;
}

static void crowd_free(struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->count; i++) {
        wait_line_put(crowd->lines[i]);
        fake_queue_destroy(&crowd->queues[i]);
    }
    free(crowd->queues);
    free(crowd->lines);
}

static void park(struct crowd *crowd, struct fake_waiter *waiter, size_t line)
{
    fake_waiter_init(waiter, &crowd->queues[line], false);
    wait_prepare(crowd->lines[line], &waiter->waiter);
    wait_park(&waiter->waiter);
}

/* ---- threads ---- */

static void test_keepers_are_bounded(void **state)
{
    struct wait_fixture *fixture = *state;
    struct crowd crowd = crowd_new(fixture, LINES);
    struct fake_waiter *waiters = wait_readers(fixture, 2 * (size_t)LINES);
    for (size_t i = 0; i < 2 * (size_t)LINES; i++)
        park(&crowd, &waiters[i], i % LINES);
    EVENTUALLY(fixture, stats_now(fixture).keepers >= KEEPERS_MAX / 2);
    size_t most = 0;
    for (unsigned i = 0; i < 50; i++, sleep_ms(2))
        if (count_threads() > most)
            most = count_threads();
    assert_true(most <= fixture->threads + 1 + KEEPERS_MAX);
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = LINES; i-- > 0;)
            fake_queue_put(&crowd.queues[i], i + LINES * round);
        for (size_t i = round * LINES; i < (round + 1) * LINES; i++) {
            FINISHES(fixture, &waiters[i], FAKE_OK);
            assert_int_equal(waiters[i].value.value, i);
        }
    }
    crowd_free(&crowd);
    EVENTUALLY(fixture, stats_now(fixture).keepers == 0);
    EVENTUALLY(fixture, count_threads() == fixture->threads + 1);
}

/* Lines beyond the last keeper are ended as others are. */
static void test_ends_without_a_keeper(void **state)
{
    struct wait_fixture *fixture = *state;
    enum { COUNT = KEEPERS_MAX + 50 };
    struct crowd crowd = crowd_new(fixture, COUNT);
    struct fake_waiter *waiters = wait_readers(fixture, COUNT);
    for (size_t i = 0; i < COUNT; i++)
        park(&crowd, &waiters[i], i);
    for (size_t i = 0; i < COUNT; i += 2)
        wait_interrupt(&waiters[i].waiter);
    for (size_t i = 1; i < COUNT; i += 2)
        wait_end(crowd.lines[i], NULL, -EBADF);
    for (size_t i = 0; i < COUNT; i++)
        FINISHES(fixture, &waiters[i], i % 2 ? -EBADF : -EINTR);
    crowd_free(&crowd);
}

static void test_keeper_goes_when_nobody_waits(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiters = wait_readers(fixture, 3);
    for (unsigned i = 0; i < 3; i++) {
        wait_in_line(fixture, &waiters[i]);
        EVENTUALLY(fixture, atomic_load(&fixture->queue.blocked) == 1);
        assert_int_equal(stats_now(fixture).keepers, 1);
        assert_int_equal(count_threads(), fixture->threads + 2);
        wait_put(fixture, 1);
        FINISHES(fixture, &waiters[i], FAKE_OK);
        EVENTUALLY(fixture, stats_now(fixture).keepers == 0);
        EVENTUALLY(fixture, count_threads() == fixture->threads + 1);
    }
}

/* The keeper that lingers is woken for who comes: it does not sleep to the end of its time. */
static void test_keeper_is_woken(void **state)
{
    struct wait_fixture *fixture = *state;
    enum { ROUNDS = 60 };
    struct fake_waiter *waiters = wait_readers(fixture, ROUNDS);
    int64_t start = now_ms();
    for (unsigned i = 0; i < ROUNDS; i++) {
        wait_in_line(fixture, &waiters[i]);
        wait_put(fixture, i);
        FINISHES(fixture, &waiters[i], FAKE_OK);
        sleep_ms(2);
        wait_in_line(fixture, &waiters[++i]);
        EVENTUALLY(fixture, atomic_load(&fixture->queue.blocked) == 1);
        wait_put(fixture, i);
        FINISHES(fixture, &waiters[i], FAKE_OK);
        sleep_ms(2);
    }
    assert_in_range(now_ms() - start, 0, ROUNDS / 2 * KEEPER_LINGER_MS / 2);
}

/* Somebody comes in the moment in which the keeper goes. */
static void test_parked_when_the_keeper_goes(void **state)
{
    struct wait_fixture *fixture = *state;
    enum { COUNT = 40, ROUNDS = 15 };
    struct crowd crowd = crowd_new(fixture, COUNT);
    struct fake_waiter *waiters = wait_readers(fixture, COUNT);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < COUNT; i++)
            park(&crowd, &waiters[i], i);
        for (size_t i = 0; i < COUNT; i++)
            fake_queue_put(&crowd.queues[i], i);
        for (size_t i = 0; i < COUNT; i++)
            FINISHES(fixture, &waiters[i], FAKE_OK);
        sleep_ms(KEEPER_LINGER_MS - 4 + round % 6);
    }
    crowd_free(&crowd);
}

/*
 * A keeper that goes gives back the place of whom it was started for, though the line's next has another user's by then: it is
 * held up at the engine's lock, and while it is being woken the next takes it.
 */
static void test_shares_when_the_keeper_goes(void **state)
{
    struct wait_fixture *fixture = *state;
    enum { ROUNDS = 12 };
    struct fake_waiter *waiters = wait_readers(fixture, 2 * (size_t)ROUNDS);
    for (uid_t round = 0; round < ROUNDS; round++) {
        struct fake_waiter *first = &waiters[2 * round];
        struct fake_waiter *second = first + 1;
        first->waiter.uid = 1000 + round;
        second->waiter.uid = 2000 + round;
        wait_in_line(fixture, first);
        wait_put(fixture, 1);
        FINISHES(fixture, first, FAKE_OK);
        wait_prepare(fixture->lines[READERS], &second->waiter);
        lock_take(&fixture->engine->lock);
        sleep_ms(KEEPER_LINGER_MS + 20);
        lock_release(&fixture->engine->lock);
        wait_park(&second->waiter);
        wait_put(fixture, 2);
        FINISHES(fixture, second, FAKE_OK);
        EVENTUALLY(fixture, stats_now(fixture).keepers == 0);
        assert_null(fixture->engine->keeper_shares.by_user);
    }
}

static void test_crowd_takes_no_threads(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiters = wait_readers(fixture, CROWD);
    long live = failing_live();
    for (size_t i = 0; i < CROWD; i++)
        wait_in_line(fixture, &waiters[i]);
    assert_true(count_threads() <= fixture->threads + 2);
    assert_int_equal(stats_now(fixture).parked, CROWD);
    assert_in_range(failing_live() - live, 0, 8); /* a waiter is memory of its owner's */
    for (size_t i = CROWD; i-- > 0;)
        wait_interrupt(&waiters[i].waiter);
    for (size_t i = 0; i < CROWD; i++)
        FINISHES(fixture, &waiters[i], -EINTR);
    assert_int_equal(stats_now(fixture).parked, 0);
}

/* ---- time ---- */

static int64_t cpu_us(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (int64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec +
           usage.ru_stime.tv_usec;
}

static void test_idle_takes_no_time(void **state)
{
    struct wait_fixture *fixture = *state;
    struct crowd crowd = crowd_new(fixture, 20);
    struct fake_waiter *waiters = wait_readers(fixture, LINES);
    for (size_t i = 0; i < LINES; i++)
        park(&crowd, &waiters[i], i % crowd.count);
    sleep_ms(KEEPER_LINGER_MS + 50);
    int64_t before = cpu_us();
    sleep_ms(300);
    assert_in_range(cpu_us() - before, 0, 20000);
    for (size_t i = 0; i < LINES; i++)
        wait_interrupt(&waiters[i].waiter);
    for (size_t i = 0; i < LINES; i++)
        FINISHES(fixture, &waiters[i], -EINTR);
    before = cpu_us();
    sleep_ms(300);
    assert_in_range(cpu_us() - before, 0, 20000);
    crowd_free(&crowd);
}

/* ---- out of memory ---- */

static void test_out_of_memory_for_a_line(void **state)
{
    struct wait_fixture *fixture = *state;
    struct wait_line *lines[200];
    unsigned failures = 0;
    for (uint64_t i = 0; i < ARRAY_LENGTH(lines); i++) {
        struct wait_key key = {.object = {.number = i + 1}};
        int error = -ENOMEM;
        for (unsigned number = 1; error; number++) {
            long live = failing_live();
            failing_arm(number);
            error = wait_line_get(fixture->engine, &key, &lines[i]);
            bool failed = failing_disarm();
            failures += failed;
            if (!error) /* a hash table that can not grow may go on as it is */
                break;
            assert_true(failed);
            assert_int_equal(error, -ENOMEM);
            assert_int_equal(failing_live(), live);
            assert_int_equal(stats_now(fixture).lines, 2 + i);
        }
        assert_int_equal(stats_now(fixture).lines, 3 + i);
    }
    assert_true(failures >= ARRAY_LENGTH(lines));
    for (uint64_t i = 0; i < ARRAY_LENGTH(lines); i++)
        wait_line_put(lines[i]);
}

static void test_out_of_memory_at_the_start(void **state)
{
    struct wait_fixture *fixture = *state;
    unsigned number = 1;
    for (bool failed = true; failed; number++) {
        struct wait_engine *engine = NULL;
        long live = failing_live();
        failing_arm(number);
        int error = wait_engine_start(&engine, 0);
        failed = failing_disarm();
        assert_int_equal(error, failed ? -ENOMEM : 0);
        if (!error) {
            wait_engine_stop(engine, -ENODEV);
            wait_engine_free(engine);
        }
        assert_int_equal(failing_live(), live);
    }
    assert_true(number > 2);
    EVENTUALLY(fixture, count_threads() == fixture->threads + 1);
}

/* The first line of an engine makes its tables as well. */
static void test_out_of_memory_for_the_first_line(void **state)
{
    struct wait_key key = {.object = {.number = 1}};
    struct wait_engine *engine = NULL;
    struct wait_line *line = NULL;
    (void)state;
    assert_int_equal(wait_engine_start(&engine, 0), 0);
    int error = -ENOMEM;
    unsigned failures = 0;
    for (unsigned number = 1; error; number++) {
        long live = failing_live();
        struct wait_stats stats;
        failing_arm(number);
        error = wait_line_get(engine, &key, &line);
        if (!failing_disarm())
            break;
        failures++;
        assert_int_equal(error, -ENOMEM);
        assert_int_equal(failing_live(), live);
        wait_stats(engine, &stats);
        assert_int_equal(stats.lines, 0);
    }
    assert_int_equal(error, 0);
    assert_true(failures >= 3);
    wait_line_put(line);
    wait_engine_stop(engine, -ENODEV);
    wait_engine_free(engine);
}

int main(void)
{
    if (wait_tests_start())
        return EXIT_FAILURE;
    const struct CMUnitTest tests[] = {
        KEEPER(test_keepers_are_bounded),           KEEPER(test_ends_without_a_keeper),
        KEEPER(test_keeper_goes_when_nobody_waits), KEEPER(test_keeper_is_woken),
        KEEPER(test_parked_when_the_keeper_goes),   KEEPER(test_shares_when_the_keeper_goes),
        BOTH(test_crowd_takes_no_threads),          BOTH(test_idle_takes_no_time),
        POLL(test_out_of_memory_for_a_line),        POLL(test_out_of_memory_for_the_first_line),
        POLL(test_out_of_memory_at_the_start),
    };
    return cmocka_run_group_tests_name("wait_many", tests, NULL, NULL);
}
