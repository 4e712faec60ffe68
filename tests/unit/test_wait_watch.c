/* SPDX-License-Identifier: MIT */
/* The wait engine: watching for poll(2). */
#include "cmocka_api.h"
#include "failing.h"
#include "fake_waiter.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

struct watched {
    struct wait_fixture *fixture;
    struct wait_watch *watch;
    struct ipcfs_wait wait;
    atomic_uint ready;
    atomic_uint looked;
    atomic_bool shows;    /* what look() says */
    atomic_bool freed;    /* nothing may be called any more */
    atomic_bool in_ready; /* one ready() is running … */
    unsigned stays_ms;    /* … for so long */
    unsigned again;       /* it arms so often again */
};

static void ready(void *data)
{
    struct watched *watched = data;
    if (atomic_load(&watched->freed))
        fake_complain("ready() of a watch that was freed");
    if (atomic_exchange(&watched->in_ready, true))
        fake_complain("ready() twice at once");
    sleep_ms(watched->stays_ms);
    (void)stats_now(watched->fixture);
    if (watched->again) {
        watched->again--;
        wait_watch_arm(watched->watch, &watched->wait, POLLIN);
    }
    if (atomic_load(&watched->freed))
        fake_complain("freed under ready()");
    atomic_store(&watched->in_ready, false);
    atomic_fetch_add(&watched->ready, 1);
}

static bool look(void *data)
{
    struct watched *watched = data;
    if (atomic_load(&watched->freed))
        fake_complain("look() of a watch that was freed");
    atomic_fetch_add(&watched->looked, 1);
    return atomic_load(&watched->shows);
}

static const struct wait_watch_ops ops = {.ready = ready, .look = look};

static void watch_new(struct wait_fixture *fixture, struct watched *watched)
{
    watched->fixture = fixture;
    atomic_store(&watched->ready, 0);
    atomic_store(&watched->freed, false);
    watched->wait = (struct ipcfs_wait){.source = fixture->queue.source, .fd = fixture->queue.fd};
    assert_int_equal(wait_watch_new(fixture->engine, &ops, watched, &watched->watch), 0);
}

static void arm(struct watched *watched, short events)
{
    wait_watch_arm(watched->watch, &watched->wait, events);
}

static void watch_free(struct watched *watched)
{
    wait_watch_free(watched->watch);
    atomic_store(&watched->freed, true);
}

static void test_ready_once_per_arm(void **state)
{
    struct wait_fixture *fixture = *state;
    static struct watched watched;
    watch_new(fixture, &watched);
    sleep_ms(10);
    assert_int_equal(atomic_load(&watched.ready), 0);
    for (unsigned round = 1; round <= 5; round++) {
        arm(&watched, POLLIN);
        if (round == 1) {
            sleep_ms(10);
            assert_int_equal(atomic_load(&watched.ready), 0);
            wait_put(fixture, 1);
        }
        EVENTUALLY(fixture, atomic_load(&watched.ready) == round);
        sleep_ms(10);
        assert_int_equal(atomic_load(&watched.ready), round);
    }
    watch_free(&watched);
}

static void test_ready_for_what_was_asked(void **state)
{
    struct wait_fixture *fixture = *state;
    static struct watched watched;
    watch_new(fixture, &watched);
    arm(&watched, POLLIN);
    sleep_ms(10);
    assert_int_equal(atomic_load(&watched.ready), 0);
    arm(&watched, POLLOUT); /* replaces the other */
    EVENTUALLY(fixture, atomic_load(&watched.ready) == 1);
    arm(&watched, POLLIN);
    sleep_ms(10);
    assert_int_equal(atomic_load(&watched.ready), 1);
    wait_put(fixture, 1);
    EVENTUALLY(fixture, atomic_load(&watched.ready) == 2);
    watch_free(&watched);
}

/* Its own descriptor may be that which waiters wait by as well; and others watch it too. */
static void test_watch_beside_waiters(void **state)
{
    struct wait_fixture *fixture = *state;
    static struct watched watches[4];
    struct fake_waiter *waiter = wait_readers(fixture, 1);
    wait_in_line(fixture, waiter);
    for (unsigned i = 0; i < 4; i++) {
        watch_new(fixture, &watches[i]);
        arm(&watches[i], POLLIN);
    }
    sleep_ms(10);
    wait_end(fixture->lines[READERS], NULL, -EBADF);
    FINISHES(fixture, waiter, -EBADF);
    wait_put(fixture, 1);
    for (unsigned i = 0; i < 4; i++)
        EVENTUALLY(fixture, atomic_load(&watches[i].ready) == 1);
    waiter = wait_readers(fixture, 2);
    arm(&watches[0], POLLIN);
    EVENTUALLY(fixture, atomic_load(&watches[0].ready) == 2);
    wait_in_line(fixture, waiter);
    FINISHES(fixture, waiter, FAKE_OK);
    wait_in_line(fixture, &waiter[1]);
    arm(&watches[1], POLLIN);
    sleep_ms(10);
    for (unsigned i = 0; i < 4; i++)
        watch_free(&watches[i]);
    wait_put(fixture, 2);
    FINISHES(fixture, &waiter[1], FAKE_OK);
}

static void test_armed_by_ready(void **state)
{
    struct wait_fixture *fixture = *state;
    static struct watched watched = {.again = 9};
    watch_new(fixture, &watched);
    wait_put(fixture, 1);
    arm(&watched, POLLIN);
    EVENTUALLY(fixture, atomic_load(&watched.ready) == 10);
    sleep_ms(10);
    assert_int_equal(atomic_load(&watched.ready), 10);
    watch_free(&watched);
}

/* Armed for another one, it forgets the first, whether that is still open or its number another's already. */
static void test_armed_for_another_descriptor(void **state)
{
    struct wait_fixture *fixture = *state;
    static struct watched watched;
    int ends[2][2] = {{-1, -1}, {-1, -1}};
    watch_new(fixture, &watched);
    for (unsigned round = 0; round < 12; round++) {
        int *now = ends[round % 2];
        const int *before = ends[1 - round % 2];
        if (round % 4 > 1) {
            close(before[0]);
            close(before[1]);
        }
        assert_int_equal(pipe(now), 0);
        watched.wait.fd = now[0];
        sleep_ms(5); /* a pipe that was closed may have been ready */
        unsigned ready_before = atomic_load(&watched.ready);
        arm(&watched, POLLIN);
        sleep_ms(5);
        if (round && round % 4 <= 1)
            assert_int_equal(write(before[1], "x", 1), 1);
        sleep_ms(5);
        assert_int_equal(atomic_load(&watched.ready), ready_before);
        if (round % 3) {
            assert_int_equal(write(now[1], "x", 1), 1);
            EVENTUALLY(fixture, atomic_load(&watched.ready) == ready_before + 1);
        }
        if (round && round % 4 <= 1) {
            close(before[0]);
            close(before[1]);
        }
    }
    watch_free(&watched);
    close(ends[1][0]);
    close(ends[1][1]);
}

static void test_free_while_armed(void **state)
{
    struct wait_fixture *fixture = *state;
    static struct watched watches[50];
    for (unsigned i = 0; i < 50; i++) {
        watch_new(fixture, &watches[i]);
        if (i % 5)
            arm(&watches[i], POLLIN);
    }
    for (unsigned i = 0; i < 50; i += 2)
        watch_free(&watches[i]);
    wait_put(fixture, 1);
    for (unsigned i = 1; i < 50; i += 2)
        EVENTUALLY(fixture, atomic_load(&watches[i].ready) == (i % 5 ? 1 : 0));
    for (unsigned i = 1; i < 50; i += 2)
        watch_free(&watches[i]);
    for (unsigned i = 0; i < 50; i += 2)
        assert_int_equal(atomic_load(&watches[i].ready), 0);
}

/* ready() runs, or is over already: on a busy machine nobody may have looked while it ran. */
static bool has_begun(struct watched *watched, unsigned before)
{
    return atomic_load(&watched->in_ready) || atomic_load(&watched->ready) > before;
}

/* In the moment in which it is ready, and while ready() runs. */
static void test_free_while_ready(void **state)
{
    struct wait_fixture *fixture = *state;
    static struct watched watches[200];
    struct fake_result result;
    for (unsigned i = 0; i < 200; i++) {
        watches[i].stays_ms = i % 4 == 3 ? 5 : 0;
        watch_new(fixture, &watches[i]);
        arm(&watches[i], POLLIN);
        wait_put(fixture, 1);
        while (i % 4 == 3 && !has_begun(&watches[i], 0))
            ;
        for (volatile unsigned spin = 0; spin < i * 100; spin++)
            ;
        watch_free(&watches[i]);
        assert_int_equal(fake_queue_try(&fixture->queue, false, &result), 0);
    }
    sleep_ms(20);
    for (unsigned i = 0; i < 200; i++)
        assert_true(atomic_load(&watches[i].ready) <= 1);
}

/* Armed, from another thread, while ready() for the time before is running: that ready() was not for this one. */
static void test_arm_while_ready(void **state)
{
    struct wait_fixture *fixture = *state;
    static struct watched watched = {.stays_ms = 20};
    watch_new(fixture, &watched);
    wait_put(fixture, 1);
    for (unsigned round = 0; round < 10; round++) {
        arm(&watched, POLLIN);
        EVENTUALLY(fixture, has_begun(&watched, 2 * round));
        arm(&watched, POLLIN);
        EVENTUALLY(fixture, atomic_load(&watched.ready) == 2 * round + 2);
    }
    watch_free(&watched);
}

/* ---- nothing to poll ---- */

static void test_look(void **state)
{
    struct wait_fixture *fixture = *state;
    static struct watched watches[3];
    for (unsigned i = 0; i < 3; i++) {
        watch_new(fixture, &watches[i]);
        arm(&watches[i], POLLIN);
    }
    for (unsigned i = 0; i < 3; i++)
        EVENTUALLY(fixture, atomic_load(&watches[i].looked) > 2);
    assert_int_equal(atomic_load(&watches[0].ready), 0);
    atomic_store(&watches[0].shows, true);
    EVENTUALLY(fixture, atomic_load(&watches[0].ready) == 1);
    unsigned looked = atomic_load(&watches[0].looked);
    sleep_ms(100);
    assert_int_equal(atomic_load(&watches[0].looked), looked); /* not armed: not asked */
    assert_int_equal(atomic_load(&watches[0].ready), 1);
    watch_free(&watches[1]);
    arm(&watches[0], POLLIN);
    EVENTUALLY(fixture, atomic_load(&watches[0].ready) == 2);
    assert_int_equal(atomic_load(&watches[2].ready), 0);
    watch_free(&watches[0]);
    watch_free(&watches[2]);
    sleep_ms(60);
}

static void test_look_free_storm(void **state)
{
    struct wait_fixture *fixture = *state;
    static struct watched watches[300];
    for (unsigned i = 0; i < 300; i++) {
        watch_new(fixture, &watches[i]);
        atomic_store(&watches[i].shows, i % 2);
        arm(&watches[i], POLLIN);
        if (i >= 20)
            watch_free(&watches[i - 20]);
        if (i % 10 == 0)
            sleep_ms(3);
    }
    for (unsigned i = 280; i < 300; i++)
        watch_free(&watches[i]);
}

/* ---- others ---- */

static void test_out_of_memory(void **state)
{
    struct wait_fixture *fixture = *state;
    struct wait_watch *watch = NULL;
    unsigned failures = 0;
    for (unsigned number = 1;; number++) {
        long live = failing_live();
        failing_arm(number);
        int error = wait_watch_new(fixture->engine, &ops, NULL, &watch);
        bool failed = failing_disarm();
        failures += failed;
        assert_int_equal(error, failed ? -ENOMEM : 0);
        if (!failed)
            break;
        assert_int_equal(failing_live(), live);
    }
    assert_true(failures > 0);
    wait_watch_free(watch);
}

/* As the daemon ends: the engine stops first, the handles are closed later. */
static void test_free_after_stop(void **state)
{
    struct wait_fixture *fixture = *state;
    static struct watched watches[2];
    for (unsigned i = 0; i < 2; i++) {
        watch_new(fixture, &watches[i]);
        arm(&watches[i], POLLIN);
    }
    wait_engine_stop(fixture->engine, -ENODEV);
    fixture->stopped = true;
    for (unsigned i = 0; i < 2; i++)
        watch_free(&watches[i]);
}

int main(void)
{
    if (wait_tests_start())
        return EXIT_FAILURE;
    const struct CMUnitTest tests[] = {
        POLL(test_ready_once_per_arm),
        POLL(test_ready_for_what_was_asked),
        POLL(test_watch_beside_waiters),
        POLL(test_armed_by_ready),
        POLL(test_armed_for_another_descriptor),
        POLL(test_free_while_armed),
        POLL(test_free_while_ready),
        POLL(test_arm_while_ready),
        KEEPER(test_look),
        KEEPER(test_look_free_storm),
        POLL(test_out_of_memory),
        BOTH(test_free_after_stop),
    };
    return cmocka_run_group_tests_name("wait_watch", tests, NULL, NULL);
}
