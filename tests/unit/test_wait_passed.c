/* SPDX-License-Identifier: MIT */
/* The wait engine: a line that polls, of an object which serves those in native calls first. */
#include "cmocka_api.h"
#include "fake_waiter.h"

#include <errno.h>
#include <stdlib.h>

enum { SOMEBODY = 1000 };

static int set_up(void **state)
{
    int error = wait_set_up_poll(state);
    struct wait_fixture *fixture = *state;
    fixture->queue.tells_traffic = true;
    return error;
}

static bool has_keeper(struct wait_fixture *fixture)
{
    return stats_now(fixture).keepers == 1 && atomic_load(&fixture->queue.blocked) == 1;
}

static void pass_over(struct wait_fixture *fixture)
{
    sleep_ms(5); /* it has been tried by now */
    fake_queue_hand_over(&fixture->queue);
    EVENTUALLY(fixture, has_keeper(fixture));
}

static void check_no_keeper(struct wait_fixture *fixture)
{
    EVENTUALLY(fixture, stats_now(fixture).keepers == 0);
    EVENTUALLY(fixture, count_threads() == fixture->threads + 1);
}

/* It is in the native line then, and served as one there. */
static void test_reader(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiters = wait_readers(fixture, 3);
    for (unsigned i = 0; i < 3; i++)
        wait_in_line(fixture, &waiters[i]);
    pass_over(fixture);
    for (unsigned i = 0; i < 3; i++) {
        assert_false(fake_finished(&waiters[i]));
        wait_put(fixture, i);
        FINISHES(fixture, &waiters[i], FAKE_OK);
        assert_int_equal(waiters[i].value.value, i);
    }
    check_no_keeper(fixture);
}

static void test_writer(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *writer = wait_writers(fixture, 1);
    struct fake_result result = {.value = 7};
    for (unsigned i = 0; i < fixture->queue.room; i++)
        wait_put(fixture, i);
    wait_in_line(fixture, writer);
    sleep_ms(5);
    assert_int_equal(fake_queue_try_silently(&fixture->queue, false, &result), 0);
    assert_int_equal(fake_queue_try_silently(&fixture->queue, true, &result), 0);
    EVENTUALLY(fixture, has_keeper(fixture));
    assert_false(fake_finished(writer));
    assert_int_equal(fake_queue_try(&fixture->queue, false, &result), 0);
    FINISHES(fixture, writer, FAKE_OK);
    check_no_keeper(fixture);
}

/* However long ago it came. */
static void test_late(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *reader = wait_readers(fixture, 1);
    wait_in_line(fixture, reader);
    sleep_ms(700);
    assert_int_equal(stats_now(fixture).keepers, 0);
    pass_over(fixture);
    wait_put(fixture, 1);
    FINISHES(fixture, reader, FAKE_OK);
}

static void test_nobody_is_passed_over(void **state)
{
    struct wait_fixture *fixture = *state;
    enum { ROUNDS = 100 };
    struct fake_waiter *waiters = wait_readers(fixture, ROUNDS);
    for (unsigned i = 0; i < ROUNDS; i++) {
        wait_in_line(fixture, &waiters[i]);
        if (i % 10 == 0)
            sleep_ms(40);
        assert_int_equal(stats_now(fixture).keepers, 0);
        wait_put(fixture, i);
        FINISHES(fixture, &waiters[i], FAKE_OK);
    }
    assert_int_equal(stats_now(fixture).keepers, 0);
}

/* Both while it polls and while its keeper is in the native call; nothing is taken for it. */
static void test_interrupted(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiters = wait_readers(fixture, 2);
    for (unsigned i = 0; i < 2; i++) {
        wait_in_line(fixture, &waiters[i]);
        if (i == 1)
            pass_over(fixture);
        wait_interrupt(&waiters[i].waiter);
        FINISHES(fixture, &waiters[i], -EINTR);
    }
    wait_put(fixture, 1);
    assert_int_equal(fake_queue_count(&fixture->queue), 1);
    check_no_keeper(fixture);
}

static void test_end(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiters = wait_readers(fixture, 2);
    for (unsigned i = 0; i < 2; i++)
        wait_in_line(fixture, &waiters[i]);
    pass_over(fixture);
    wait_engine_stop(fixture->engine, -ENODEV);
    fixture->stopped = true;
    for (unsigned i = 0; i < 2; i++)
        FINISHES(fixture, &waiters[i], -ENODEV);
}

/* Where all the keepers that a user may have are at work, his next line goes on to poll. */
static void test_no_keeper_left(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiters = wait_readers(fixture, KEEPERS_SHARE + 1);
    struct wait_line *lines[KEEPERS_SHARE];
    struct fake_queue *queues = calloc(KEEPERS_SHARE, sizeof *queues);
    assert_non_null(queues);
    for (unsigned i = 0; i < KEEPERS_SHARE; i++) {
        assert_int_equal(fake_queue_init(&queues[i], IPCFS_WAIT_KEEPER, 1), 0);
        lines[i] = wait_other_line(fixture, i + 1, READERS);
        fake_waiter_init(&waiters[i], &queues[i], false);
        waiters[i].waiter.uid = SOMEBODY;
        wait_prepare(lines[i], &waiters[i].waiter);
        wait_park(&waiters[i].waiter);
    }
    EVENTUALLY(fixture, stats_now(fixture).keepers == KEEPERS_SHARE);
    struct fake_waiter *last = &waiters[KEEPERS_SHARE];
    last->waiter.uid = SOMEBODY;
    wait_in_line(fixture, last);
    sleep_ms(5);
    fake_queue_hand_over(&fixture->queue);
    sleep_ms(100);
    assert_int_equal(stats_now(fixture).keepers, KEEPERS_SHARE);
    assert_int_equal(atomic_load(&fixture->queue.blocked), 0);
    wait_put(fixture, 1);
    FINISHES(fixture, last, FAKE_OK);
    for (unsigned i = 0; i < KEEPERS_SHARE; i++) {
        fake_queue_put(&queues[i], i);
        FINISHES(fixture, &waiters[i], FAKE_OK);
        wait_line_put(lines[i]);
    }
    check_no_keeper(fixture);
    for (unsigned i = 0; i < KEEPERS_SHARE; i++)
        fake_queue_destroy(&queues[i]);
    free(queues);
}

/* The longer all is quiet, the less is looked. */
static void test_idle(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *reader = wait_readers(fixture, 1);
    wait_in_line(fixture, reader);
    sleep_ms(1100); /* tried after 16, 48, 112, 240, 496 and 1008 ms */
    assert_in_range(atomic_load(&reader->attempts), 3, 9);
    wait_put(fixture, 1);
    FINISHES(fixture, reader, FAKE_OK);
}

#define PASSED(test) cmocka_unit_test_setup_teardown(test, set_up, wait_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PASSED(test_reader),         PASSED(test_writer),
        PASSED(test_late),           PASSED(test_nobody_is_passed_over),
        PASSED(test_interrupted),    PASSED(test_end),
        PASSED(test_no_keeper_left), PASSED(test_idle),
    };
    if (wait_tests_start())
        return EXIT_FAILURE;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
