/* SPDX-License-Identifier: MIT */
/* The wait engine: what one leaves goes to the next of its group before anybody else. */
#include "cmocka_api.h"
#include "fake_waiter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void park_all(struct wait_fixture *fixture, struct fake_group *group, const char *who)
{
    struct fake_waiter *waiters = wait_readers(fixture, strlen(who));
    for (size_t i = 0; who[i]; i++) {
        if (who[i] == 'g')
            fake_waiter_join(&waiters[i], group);
        wait_in_line(fixture, &waiters[i]);
    }
    if (fixture->queue.source == IPCFS_WAIT_KEEPER)
        EVENTUALLY(fixture, atomic_load(&fixture->queue.blocked) == 1);
}

static unsigned parked_of(struct wait_fixture *fixture, const struct fake_group *group)
{
    wait_line_lock(fixture->lines[READERS]);
    unsigned parked = group->group.parked;
    wait_line_unlock(fixture->lines[READERS]);
    return parked;
}

static void test_rest_goes_to_the_group(void **state)
{
    struct wait_fixture *fixture = *state;
    static struct fake_group group; /* waiters that are left have it until the engine stops */
    group = (struct fake_group){.parts = 2};
    park_all(fixture, &group, "g.g.g");
    struct fake_waiter *waiters = fixture->waiters;
    assert_int_equal(parked_of(fixture, &group), 3);
    wait_put(fixture, 1);
    FINISHES(fixture, &waiters[0], FAKE_OK);
    FINISHES(fixture, &waiters[2], FAKE_OK);
    assert_true(waiters[2].from_rest);
    assert_int_equal(waiters[2].value.value, 1);
    sleep_ms(10);
    assert_false(fake_finished(&waiters[1]));
    assert_int_equal(parked_of(fixture, &group), 1);
    wait_put(fixture, 2);
    FINISHES(fixture, &waiters[1], FAKE_OK);
    sleep_ms(10);
    assert_false(fake_finished(&waiters[4]));
    wait_put(fixture, 3);
    FINISHES(fixture, &waiters[3], FAKE_OK);
    wait_put(fixture, 4);
    FINISHES(fixture, &waiters[4], FAKE_OK);
    assert_false(waiters[4].from_rest);
    assert_int_equal(parked_of(fixture, &group), 0);
}

static void test_rest_goes_on_through_the_group(void **state)
{
    struct wait_fixture *fixture = *state;
    static struct fake_group group; /* waiters that are left have it until the engine stops */
    group = (struct fake_group){.parts = 4};
    park_all(fixture, &group, "g..gg.g.g");
    struct fake_waiter *waiters = fixture->waiters;
    static const unsigned served[] = {0, 3, 4, 6};
    wait_put(fixture, 1);
    for (unsigned i = 0; i < ARRAY_LENGTH(served); i++)
        FINISHES(fixture, &waiters[served[i]], FAKE_OK);
    sleep_ms(10);
    for (unsigned i = 0; i < fixture->count; i++)
        assert_int_equal(fake_finished(&waiters[i]), i == 0 || i == 3 || i == 4 || i == 6);
}

/* One of the group that was interrupted is passed over. */
static void test_rest_after_an_interrupt(void **state)
{
    struct wait_fixture *fixture = *state;
    static struct fake_group group; /* waiters that are left have it until the engine stops */
    group = (struct fake_group){.parts = 2};
    park_all(fixture, &group, "g.g.g");
    struct fake_waiter *waiters = fixture->waiters;
    wait_interrupt(&waiters[2].waiter);
    wait_put(fixture, 1);
    FINISHES(fixture, &waiters[0], FAKE_OK);
    FINISHES(fixture, &waiters[2], -EINTR);
    FINISHES(fixture, &waiters[4], FAKE_OK);
    sleep_ms(10);
    assert_false(fake_finished(&waiters[1]));
}

/* Nobody of the group is left: the rest waits for its next, who passes all others, whether it tries or is parked. */
static void test_rest_waits_for_who_comes(void **state)
{
    struct wait_fixture *fixture = *state;
    static struct fake_group group; /* waiters that are left have it until the engine stops */
    group = (struct fake_group){.parts = 3};
    park_all(fixture, &group, "g....");
    struct fake_waiter *waiters = fixture->waiters;
    wait_put(fixture, 1);
    FINISHES(fixture, &waiters[0], FAKE_OK);
    struct fake_waiter trier;
    fake_waiter_init(&trier, &fixture->queue, false);
    fake_waiter_join(&trier, &group);
    assert_int_equal(wait_try(fixture->lines[READERS], &trier.waiter, false), FAKE_OK);
    assert_true(trier.from_rest);
    EVENTUALLY(fixture, stats_now(fixture).parked == 4);
    struct fake_waiter parked;
    fake_waiter_init(&parked, &fixture->queue, false);
    fake_waiter_join(&parked, &group);
    wait_in_line(fixture, &parked);
    FINISHES(fixture, &parked, FAKE_OK);
    assert_true(parked.from_rest);
    fake_waiter_init(&trier, &fixture->queue, false);
    fake_waiter_join(&trier, &group);
    assert_int_equal(wait_try(fixture->lines[READERS], &trier.waiter, false), -EAGAIN);
    assert_int_equal(stats_now(fixture).parked, 4);
    assert_int_equal(parked_of(fixture, &group), 0);
}

/* One who does not wait gets a message and leaves something of it: those of its group are served before it returns. */
static void test_who_insists_leaves_a_rest(void **state)
{
    struct wait_fixture *fixture = *state;
    static struct fake_group group; /* waiters that are left have it until the engine stops */
    group = (struct fake_group){.parts = 3};
    struct fake_result result = {0};
    struct fake_waiter trier;
    park_all(fixture, &group, ".g.g");
    struct fake_waiter *waiters = fixture->waiters;
    sleep_ms(5);
    fake_waiter_init(&trier, &fixture->queue, false);
    fake_waiter_join(&trier, &group);
    /* The first gets the first message, and then the one of the group another; the trier what that one left. */
    for (result.value = 1; result.value <= 2; result.value++)
        assert_int_equal(fake_queue_try_silently(&fixture->queue, true, &result), 0);
    assert_int_equal(wait_try(fixture->lines[READERS], &trier.waiter, true), FAKE_OK);
    assert_int_equal(trier.value.value, 2);
    FINISHES(fixture, &waiters[0], FAKE_OK);
    FINISHES(fixture, &waiters[1], FAKE_OK);
    FINISHES(fixture, &waiters[3], FAKE_OK);
    assert_true(waiters[3].from_rest || trier.from_rest);
    assert_false(fake_finished(&waiters[2]));
}

/*
 * The first of the line is inside the native call when one of its group leaves something for it. Nothing will come there:
 * the keeper has to be called back.
 */
static void test_rest_for_one_inside_block(void **state)
{
    struct wait_fixture *fixture = *state;
    static struct fake_group group; /* waiters that are left have it until the engine stops */
    group = (struct fake_group){.parts = 2};
    struct fake_result result = {.value = 5};
    struct fake_waiter trier;
    for (unsigned round = 0; round < 20; round++) {
        park_all(fixture, &group, "g.");
        struct fake_waiter *waiters = fixture->waiters;
        sleep_ms(round % 4);
        fake_waiter_init(&trier, &fixture->queue, false);
        fake_waiter_join(&trier, &group);
        assert_int_equal(fake_queue_try_silently(&fixture->queue, true, &result), 0);
        ssize_t tried = wait_try(fixture->lines[READERS], &trier.waiter, true);
        fake_queue_tell(&fixture->queue);
        if (tried == -EAGAIN) { /* it was not passed, then: fine as well */
            FINISHES(fixture, &waiters[0], FAKE_OK);
            assert_int_equal(group.rest, 1);
            group.rest = 0;
        } else {
            FINISHES(fixture, &waiters[0], FAKE_OK);
            assert_int_equal(waiters[0].value.value, 5);
            assert_true(waiters[0].from_rest);
        }
        assert_false(fake_finished(&waiters[1]));
        wait_interrupt(&waiters[1].waiter);
        FINISHES(fixture, &waiters[1], -EINTR);
    }
}

/* The first is inside the native call and can not be served; who insists passes it, and leaves something for the next. */
static void test_rest_beside_one_inside_block(void **state)
{
    struct wait_fixture *fixture = *state;
    static struct fake_group group; /* waiters that are left have it until the engine stops */
    group = (struct fake_group){.parts = 3};
    struct fake_result result = {.value = 5};
    struct fake_waiter trier;
    park_all(fixture, &group, ".g.g");
    struct fake_waiter *waiters = fixture->waiters;
    sleep_ms(5);
    fake_waiter_init(&trier, &fixture->queue, false);
    fake_waiter_join(&trier, &group);
    assert_int_equal(fake_queue_try_silently(&fixture->queue, true, &result), 0);
    assert_int_equal(wait_try(fixture->lines[READERS], &trier.waiter, true), FAKE_OK);
    assert_true(atomic_load(&waiters[1].served));
    assert_true(atomic_load(&waiters[3].served));
    FINISHES(fixture, &waiters[1], FAKE_OK);
    FINISHES(fixture, &waiters[3], FAKE_OK);
    assert_int_equal(waiters[3].value.value, 5);
    assert_false(fake_finished(&waiters[0]));
}

/* Inside the native call in the moment before it sleeps, where a signal is lost. */
static void test_rest_in_the_window(void **state)
{
    struct wait_fixture *fixture = *state;
    struct fake_queue *queue = &fixture->queue;
    static struct fake_group group; /* waiters that are left have it until the engine stops */
    group = (struct fake_group){.parts = 2};
    struct fake_result result = {.value = 5};
    struct fake_waiter trier;
    atomic_store(&queue->window, true);
    struct fake_waiter *waiters = wait_readers(fixture, 1);
    fake_waiter_join(waiters, &group);
    wait_in_line(fixture, waiters);
    EVENTUALLY(fixture, atomic_load(&queue->in_window));
    fake_waiter_init(&trier, queue, false);
    fake_waiter_join(&trier, &group);
    assert_int_equal(fake_queue_try_silently(queue, true, &result), 0);
    ssize_t tried = wait_try(fixture->lines[READERS], &trier.waiter, true);
    sleep_ms(30);
    atomic_store(&queue->window, false);
    if (tried == -EAGAIN)
        fake_queue_tell(queue);
    FINISHES(fixture, waiters, FAKE_OK);
    assert_int_equal(waiters->value.value, 5);
}

int main(void)
{
    if (wait_tests_start())
        return EXIT_FAILURE;
    const struct CMUnitTest tests[] = {
        BOTH(test_rest_goes_to_the_group),         BOTH(test_rest_goes_on_through_the_group),
        BOTH(test_rest_after_an_interrupt),        BOTH(test_rest_waits_for_who_comes),
        POLL(test_who_insists_leaves_a_rest),      KEEPER(test_rest_for_one_inside_block),
        KEEPER(test_rest_beside_one_inside_block), KEEPER(test_rest_in_the_window),
    };
    return cmocka_run_group_tests_name("wait_group", tests, NULL, NULL);
}
