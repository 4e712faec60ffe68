/* SPDX-License-Identifier: MIT */
/* The wait engine: being served, in order, and what a line's waiters are to each other. */
#include "cmocka_api.h"
#include "fake_waiter.h"

#include <errno.h>
#include <stdlib.h>

static ssize_t try_reading(struct wait_fixture *fixture, struct fake_waiter *waiter, bool insist)
{
    fake_waiter_init(waiter, &fixture->queue, false);
    return wait_try(fixture->lines[READERS], &waiter->waiter, insist);
}

/* ---- trying ---- */

static void test_try_without_waiting(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter waiter;
    struct fake_waiter writer;
    assert_int_equal(try_reading(fixture, &waiter, false), -EAGAIN);
    assert_int_equal(try_reading(fixture, &waiter, true), -EAGAIN);
    wait_put(fixture, 7);
    assert_int_equal(try_reading(fixture, &waiter, false), FAKE_OK);
    assert_int_equal(waiter.value.value, 7);
    for (unsigned i = 0; i < 2 * fixture->queue.room; i++) {
        fake_waiter_init(&writer, &fixture->queue, true);
        assert_int_equal(wait_try(fixture->lines[WRITERS], &writer.waiter, i % 2),
                         i < fixture->queue.room ? FAKE_OK : -EAGAIN);
    }
    struct wait_stats stats = stats_now(fixture);
    assert_int_equal(stats.parked, 0);
    assert_int_equal(stats.keepers, 0);
    assert_int_equal(stats.lines, 2);
    assert_false(fake_finished(&waiter));
    fake_queue_break(&fixture->queue, -EIDRM);
    assert_int_equal(try_reading(fixture, &waiter, false), -EIDRM);
    assert_int_equal(try_reading(fixture, &waiter, true), -EIDRM);
}

static void test_lines_are_counted(void **state)
{
    struct wait_fixture *fixture = *state;
    struct wait_line *same = wait_other_line(fixture, 0, READERS);
    assert_ptr_equal(same, fixture->lines[READERS]);
    assert_int_equal(stats_now(fixture).lines, 2);
    wait_line_put(same);
    assert_int_equal(stats_now(fixture).lines, 2);
    struct wait_line *lane = wait_other_line(fixture, 0, 5);
    struct wait_line *object = wait_other_line(fixture, 5, READERS);
    struct wait_line *kind = NULL;
    struct wait_line *birth = NULL;
    struct wait_key key = {.object = {.number = 0, .birth = 2}, .lane = READERS};
    assert_int_equal(wait_line_get(fixture->engine, &key, &birth), 0);
    key = (struct wait_key){.kind = (const void *)fixture, .object = {.birth = 1}, .lane = READERS};
    assert_int_equal(wait_line_get(fixture->engine, &key, &kind), 0);
    assert_int_equal(stats_now(fixture).lines, 6);
    wait_line_put(lane);
    wait_line_put(object);
    wait_line_put(kind);
    wait_line_put(birth);
    assert_int_equal(stats_now(fixture).lines, 2);
}

/* A line that nobody has but its waiter. */
static void test_waiter_keeps_its_line(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiter = wait_readers(fixture, 1);
    struct wait_line *line = wait_other_line(fixture, 9, 9);
    wait_prepare(line, &waiter->waiter);
    wait_line_put(line);
    wait_park(&waiter->waiter);
    assert_int_equal(stats_now(fixture).lines, 3);
    struct wait_line *same = wait_other_line(fixture, 9, 9);
    assert_ptr_equal(line, same);
    wait_line_put(same);
    wait_put(fixture, 5);
    FINISHES(fixture, waiter, FAKE_OK);
    EVENTUALLY(fixture, stats_now(fixture).lines == 2);
}

/* ---- being served ---- */

static void test_parked_reader_is_served(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiter = wait_readers(fixture, 1);
    wait_in_line(fixture, waiter);
    sleep_ms(20);
    assert_false(fake_finished(waiter));
    assert_int_equal(stats_now(fixture).parked, 1);
    wait_put(fixture, 42);
    FINISHES(fixture, waiter, FAKE_OK);
    assert_int_equal(waiter->value.value, 42);
    assert_int_equal(fake_queue_count(&fixture->queue), 0);
    EVENTUALLY(fixture, stats_now(fixture).parked == 0);
}

static void test_parked_writer_is_served(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_result result = {0};
    struct fake_waiter *waiter = wait_writers(fixture, 1);
    waiter->value.value = 99;
    for (unsigned i = 0; i < fixture->queue.room; i++)
        wait_put(fixture, i);
    wait_in_line(fixture, waiter);
    sleep_ms(20);
    assert_false(fake_finished(waiter));
    assert_int_equal(fake_queue_try(&fixture->queue, false, &result), 0);
    FINISHES(fixture, waiter, FAKE_OK);
    for (unsigned i = 0; i < fixture->queue.room; i++)
        assert_int_equal(fake_queue_try(&fixture->queue, false, &result), 0);
    assert_int_equal(result.value, 99);
}

/* It came between wait_try() and wait_park(): nothing will change any more, and it is served all the same. */
static void test_parked_when_it_need_not_wait(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiters = wait_readers(fixture, 3);
    for (unsigned i = 0; i < 3; i++)
        wait_put(fixture, i);
    for (unsigned i = 0; i < 3; i++) {
        wait_in_line(fixture, &waiters[i]);
        FINISHES(fixture, &waiters[i], FAKE_OK);
        assert_int_equal(waiters[i].value.value, i);
    }
}

enum { MANY = 1000 };

static void test_first_come_first_served(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiters = wait_readers(fixture, MANY);
    unsigned attempts = 0;
    for (unsigned i = 0; i < MANY; i++)
        wait_in_line(fixture, &waiters[i]);
    assert_int_equal(stats_now(fixture).parked, MANY);
    for (unsigned i = 0; i < MANY; i++)
        wait_put(fixture, i);
    for (unsigned i = 0; i < MANY; i++) {
        FINISHES(fixture, &waiters[i], FAKE_OK);
        assert_int_equal(waiters[i].value.value, i);
        attempts += atomic_load(&waiters[i].attempts);
    }
    assert_true(attempts < 10 * MANY); /* nobody but the first is tried */
}

static void test_writers_first_come_first_served(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiters = wait_writers(fixture, MANY);
    struct fake_result result = {0};
    for (unsigned i = 0; i < MANY; i++)
        wait_in_line(fixture, &waiters[i]);
    for (unsigned i = 0; i < MANY; i++) {
        EVENTUALLY(fixture, fake_queue_try(&fixture->queue, false, &result) == 0);
        assert_int_equal(result.value, i);
    }
    for (unsigned i = 0; i < MANY; i++)
        FINISHES(fixture, &waiters[i], FAKE_OK);
}

/* Readers and writers of one queue wait by one descriptor, at different times for different things. */
static void test_both_lines_of_a_queue(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiters = wait_readers(fixture, 20);
    for (unsigned round = 0; round < 10; round++) {
        struct fake_waiter *reader = &waiters[2 * round];
        struct fake_waiter *writer = &waiters[2 * round + 1];
        fake_waiter_init(writer, &fixture->queue, true);
        wait_in_line(fixture, reader);
        for (unsigned i = 0; i <= fixture->queue.room; i++)
            wait_put(fixture, i);
        FINISHES(fixture, reader, FAKE_OK);
        wait_in_line(fixture, writer);
        sleep_ms(round % 3);
        struct fake_waiter trier;
        assert_int_equal(try_reading(fixture, &trier, true), FAKE_OK);
        FINISHES(fixture, writer, FAKE_OK);
        while (try_reading(fixture, &trier, true) == FAKE_OK)
            ;
    }
}

/* Somebody waits in both lines of one queue at once: the room of the one must not hide the other. */
static void test_both_lines_at_once(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *readers = wait_readers(fixture, 40);
    struct fake_result result = {0};
    for (unsigned i = 20; i < 40; i++)
        fake_waiter_init(&readers[i], &fixture->queue, true);
    for (unsigned i = 0; i < 20; i++)
        wait_in_line(fixture, &readers[i]);
    for (unsigned i = 20; i < 40; i++)
        wait_in_line(fixture, &readers[i]);
    for (unsigned i = 0; i < 40; i++)
        FINISHES(fixture, &readers[i], FAKE_OK);
    assert_int_equal(fake_queue_try(&fixture->queue, false, &result), -EAGAIN);
}

/* The next is parked by finish() of the one before: no lock is in its way. */
static void park_next(struct fake_waiter *waiter)
{
    struct wait_fixture *fixture = waiter->data;
    struct fake_waiter *next = waiter + 1;
    if (next < fixture->waiters + fixture->count)
        wait_in_line(fixture, next);
}

static void test_finish_parks_the_next(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiters = wait_readers(fixture, 100);
    for (unsigned i = 0; i < 100; i++) {
        waiters[i].done = park_next;
        waiters[i].data = fixture;
    }
    wait_in_line(fixture, &waiters[0]);
    for (unsigned i = 0; i < 100; i++)
        wait_put(fixture, i);
    for (unsigned i = 0; i < 100; i++) {
        FINISHES(fixture, &waiters[i], FAKE_OK);
        assert_int_equal(waiters[i].value.value, i);
    }
}

/* More than the engine serves in one go. */
enum { BATCHES = 200 };

static void test_removed_object_ends_all(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiters = wait_readers(fixture, BATCHES);
    for (unsigned i = 0; i < BATCHES; i++)
        wait_in_line(fixture, &waiters[i]);
    sleep_ms(5);
    fake_queue_break(&fixture->queue, -EIDRM);
    for (unsigned i = 0; i < BATCHES; i++)
        FINISHES(fixture, &waiters[i], -EIDRM);
}

/* Nobody tells the engine: it is found by who insists, and he need not serve all of them. */
static void test_insist_finds_the_object_removed(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiters = wait_readers(fixture, BATCHES);
    struct fake_waiter trier;
    for (unsigned i = 0; i < BATCHES; i++)
        wait_in_line(fixture, &waiters[i]);
    sleep_ms(5);
    pthread_mutex_lock(&fixture->queue.lock);
    fixture->queue.error = -EIDRM;
    pthread_mutex_unlock(&fixture->queue.lock);
    assert_int_equal(try_reading(fixture, &trier, true), -EIDRM);
    for (unsigned i = 0; i < BATCHES; i++)
        FINISHES(fixture, &waiters[i], -EIDRM);
}

/* −EAGAIN of what never blocks is the answer. */
static void test_source_without_waiting(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiters = wait_readers(fixture, 2);
    struct fake_queue none = fixture->queue;
    none.source = IPCFS_WAIT_NONE;
    for (unsigned i = 0; i < 2; i++) {
        fake_waiter_init(&waiters[i], &none, false);
        assert_int_equal(wait_try(fixture->lines[READERS], &waiters[i].waiter, false), -EAGAIN);
        wait_in_line(fixture, &waiters[i]);
        FINISHES(fixture, &waiters[i], -EAGAIN);
    }
}

/* ---- who insists ---- */

/* The engine does not know yet that there are messages. Nobody passes those who wait. */
static void test_try_does_not_pass_those_who_wait(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiters = wait_readers(fixture, 2);
    struct fake_waiter trier;
    struct fake_result result = {.value = 1};
    wait_in_line(fixture, &waiters[0]);
    wait_in_line(fixture, &waiters[1]);
    sleep_ms(5);
    assert_int_equal(fake_queue_try_silently(&fixture->queue, true, &result), 0);
    assert_int_equal(try_reading(fixture, &trier, false), -EAGAIN);
    assert_int_equal(atomic_load(&trier.attempts), 0);
    fake_queue_tell(&fixture->queue);
    FINISHES(fixture, &waiters[0], FAKE_OK);
    assert_false(fake_finished(&waiters[1]));
}

static void test_insist_serves_the_others_first(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiters = wait_readers(fixture, 3);
    struct fake_waiter trier;
    struct fake_result result = {0};
    for (unsigned i = 0; i < 3; i++)
        wait_in_line(fixture, &waiters[i]);
    sleep_ms(5);
    for (result.value = 0; result.value < 2; result.value++)
        assert_int_equal(fake_queue_try_silently(&fixture->queue, true, &result), 0);
    assert_int_equal(try_reading(fixture, &trier, true), -EAGAIN);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(atomic_load(&waiters[i].served));
        FINISHES(fixture, &waiters[i], FAKE_OK);
        assert_int_equal(waiters[i].value.value, i);
    }
    for (; result.value < 4; result.value++)
        assert_int_equal(fake_queue_try_silently(&fixture->queue, true, &result), 0);
    assert_int_equal(try_reading(fixture, &trier, true), FAKE_OK);
    assert_int_equal(trier.value.value, 3);
    FINISHES(fixture, &waiters[2], FAKE_OK);
    assert_int_equal(waiters[2].value.value, 2);
}

/* A keeper's head can not be served by others while it is inside the native call, but nothing is lost or held up. */
static void test_insist_while_a_keeper_blocks(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiters = wait_readers(fixture, 2);
    struct fake_waiter trier;
    unsigned tried = 0;
    wait_in_line(fixture, &waiters[0]);
    wait_in_line(fixture, &waiters[1]);
    EVENTUALLY(fixture, atomic_load(&fixture->queue.blocked) == 1);
    assert_int_equal(try_reading(fixture, &trier, true), -EAGAIN);
    for (unsigned i = 0; i < 2 + tried; i++) {
        wait_put(fixture, i);
        tried += try_reading(fixture, &trier, true) == FAKE_OK;
    }
    FINISHES(fixture, &waiters[0], FAKE_OK);
    FINISHES(fixture, &waiters[1], FAKE_OK);
    assert_true(waiters[0].value.value < waiters[1].value.value);
}

/* ---- lines ---- */

enum { CROWD = 10000 };

static void test_lines_do_not_wait_for_each_other(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_waiter *waiters = wait_readers(fixture, CROWD + 10);
    struct fake_queue other;
    assert_int_equal(fake_queue_init(&other, fixture->queue.source, 4), 0);
    struct wait_line *line = wait_other_line(fixture, 1, READERS);
    for (unsigned i = 0; i < CROWD; i++)
        wait_in_line(fixture, &waiters[i]);
    for (unsigned i = CROWD; i < CROWD + 10; i++) {
        waiters[i].queue = &other;
        wait_prepare(line, &waiters[i].waiter);
        wait_park(&waiters[i].waiter);
        fake_queue_put(&other, i);
        FINISHES(fixture, &waiters[i], FAKE_OK);
        assert_int_equal(waiters[i].value.value, i);
    }
    assert_int_equal(stats_now(fixture).parked, CROWD);
    wait_line_put(line);
    wait_end(fixture->lines[READERS], NULL, -EINTR);
    for (unsigned i = 0; i < CROWD; i++)
        FINISHES(fixture, &waiters[i], -EINTR);
    fake_queue_destroy(&other);
}

int main(void)
{
    if (wait_tests_start())
        return EXIT_FAILURE;
    const struct CMUnitTest tests[] = {
        BOTH(test_try_without_waiting),
        BOTH(test_lines_are_counted),
        BOTH(test_waiter_keeps_its_line),
        BOTH(test_parked_reader_is_served),
        BOTH(test_parked_writer_is_served),
        BOTH(test_parked_when_it_need_not_wait),
        BOTH(test_first_come_first_served),
        BOTH(test_writers_first_come_first_served),
        BOTH(test_both_lines_of_a_queue),
        BOTH(test_both_lines_at_once),
        BOTH(test_finish_parks_the_next),
        BOTH(test_removed_object_ends_all),
        POLL(test_insist_finds_the_object_removed),
        POLL(test_source_without_waiting),
        BOTH(test_try_does_not_pass_those_who_wait),
        POLL(test_insist_serves_the_others_first),
        KEEPER(test_insist_while_a_keeper_blocks),
        BOTH(test_lines_do_not_wait_for_each_other),
    };
    return cmocka_run_group_tests_name("wait", tests, NULL, NULL);
}
