/* SPDX-License-Identifier: MIT */
/*
 * The loop: workers who receive and answer, with handlers of the test's own. A socket stands for the device: it, too, wakes one
 * of those asleep in read(2) for each request, even if another has taken that.
 */
#include "wire.h"

#include "crew.h"
#include "logged.h"
#include "poll_budget.h"
#include "session.h"

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 4, NODE_QUICK = 1, NODE_STUCK = 2, ANSWER_MS = 10000, QUIET_MS = 200 };

static struct {
    struct crew *crew;
    unsigned percent;
    atomic_uint count;
    atomic_uint stuck; /* requests that wait for the gate */
    sem_t gate;
} test;

/* ---- the handlers ---- */

static void answer_getattr(fuse_req_t request, fuse_ino_t node, struct fuse_file_info *info)
{
    (void)info;
    if (node == NODE_STUCK) {
        atomic_fetch_add(&test.stuck, 1);
        while (sem_wait(&test.gate) < 0) /* as a native call that no signal ends */
            ;
        atomic_fetch_sub(&test.stuck, 1);
    }
    fuse_reply_err(request, ENOENT);
}

static const struct fuse_lowlevel_ops operations = {.getattr = answer_getattr};

/* ---- the kernel's end ---- */

static int64_t now_ms(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static int64_t cpu_us(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

static uint64_t ask_later(uint64_t node)
{
    const struct fuse_getattr_in in = {0};
    begin(FUSE_GETATTR, node);
    add(&in, sizeof in);
    return send_request();
}

/* The next answer, within ANSWER_MS: which request it is to. */
static uint64_t next_answer(void)
{
    struct pollfd peer = {.fd = wire.peer, .events = POLLIN};
    struct fuse_out_header header = {0};
    struct answer answer;
    assert_int_equal(poll(&peer, 1, ANSWER_MS), 1);
    assert_true(receive_reply(&header, &answer));
    assert_int_equal(answer.error, -ENOENT);
    return header.unique;
}

static void ask_quickly(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        uint64_t unique = ask_later(NODE_QUICK);
        assert_int_equal(next_answer(), unique);
    }
}

static void await_stuck(unsigned number)
{
    for (int64_t end = now_ms() + ANSWER_MS; atomic_load(&test.stuck) < number; (void)usleep(100))
        assert_true(now_ms() < end);
}

static void open_gate(unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        (void)sem_post(&test.gate);
}

/* ---- the session ---- */

static void begin_crew(unsigned percent)
{
    const struct fuse_init_in in = {.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION};
    test.percent = percent;
    logged_forget();
    wire_start(&operations);
    begin(FUSE_INIT, 0);
    add(&in, sizeof in);
    assert_int_equal(ask().error, 0);
    atomic_store(&test.count, 0);
    (void)sem_init(&test.gate, 0, 0);
    const struct crew_options options = {
        .session = wire.session, .threads = THREADS, .poll_percent = percent, .count = &test.count};
    assert_int_equal(crew_start(&options, &test.crew), 0);
    assert_int_equal(atomic_load(&test.count), THREADS);
}

static void end_crew(void)
{
    assert_true(crew_end(test.crew));
    (void)sem_destroy(&test.gate);
    wire_stop();
}

static int begin_polled(void **state)
{
    (void)state;
    begin_crew(100);
    return 0;
}

static int begin_unpolled(void **state)
{
    (void)state;
    begin_crew(0);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    end_crew();
    return 0;
}

static bool polled(void)
{
    return fcntl(fuse_session_fd(wire.session), F_GETFL) & O_NONBLOCK;
}

/* Until there is a lookout, if there is to be one. He is one for some 50 microseconds after each request. */
static void await_lookout(void)
{
    for (int64_t end = now_ms() + ANSWER_MS; test.percent && !polled();) {
        assert_true(now_ms() < end);
        ask_quickly(1);
    }
}

/* ---- the tests ---- */

static void test_answers(void **state)
{
    (void)state;
    ask_quickly(20000);
}

static void test_never_polls(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        ask_quickly(1);
        assert_false(polled());
    }
}

static void test_idle(void **state)
{
    (void)state;
    await_lookout();
    ask_quickly(100);
    (void)usleep(20 * 1000); /* more than a window and a look of the deputy */
    assert_false(polled());
    int64_t before = cpu_us();
    (void)usleep(QUIET_MS * 1000);
    assert_true(cpu_us() - before < 5000);
    ask_quickly(1);
}

/* All workers but one get stuck one after the other, some of them while they are lookouts: the others go on. */
static void test_stuck(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 50; round++) {
        await_lookout();
        for (unsigned stuck = 1; stuck < THREADS; stuck++) {
            ask_quickly(round % 5);
            (void)ask_later(NODE_STUCK);
            await_stuck(stuck);
            ask_quickly(20);
        }
        open_gate(THREADS - 1);
        for (unsigned i = 1; i < THREADS; i++)
            (void)next_answer();
    }
}

/* All are: one more is started; and it ends again. */
static void help(void)
{
    struct pollfd crowded = {.fd = crew_crowded_fd(test.crew), .events = POLLIN};
    assert_int_equal(poll(&crowded, 1, ANSWER_MS), 1);
    crew_told(test.crew);
    for (int64_t end = now_ms() + ANSWER_MS; atomic_load(&test.count) == THREADS;) {
        assert_true(now_ms() < end && crew_is_crowded(test.crew));
        (void)usleep(CREW_BUSY_MS * 1000);
        crew_help(test.crew);
    }
}

static void test_all_stuck(void **state)
{
    (void)state;
    await_lookout();
    for (unsigned i = 0; i < THREADS; i++)
        (void)ask_later(NODE_STUCK);
    await_stuck(THREADS);
    help();
    ask_quickly(100);
    open_gate(THREADS);
    for (unsigned i = 0; i < THREADS; i++)
        (void)next_answer();
    for (int64_t end = now_ms() + ANSWER_MS; atomic_load(&test.count) > THREADS;) {
        assert_true(now_ms() < end);
        ask_quickly(1);
    }
}

/* Several at a time, some of them stuck for a moment, with pauses: none is lost. */
static void test_storm(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 3000; round++) {
        unsigned requests = 1 + round % 7;
        unsigned stuck = round % 11 == 0 ? round % THREADS : 0;
        for (unsigned i = 0; i < requests; i++)
            (void)ask_later(i < stuck ? NODE_STUCK : NODE_QUICK);
        for (unsigned i = stuck; i < requests; i++)
            (void)next_answer();
        open_gate(stuck < requests ? stuck : requests);
        for (unsigned i = 0; i < stuck && i < requests; i++)
            (void)next_answer();
        if (round % 13 == 0)
            (void)usleep(round % 200);
    }
}

static int64_t thread_us(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

enum { RHYTHM_PERCENT = 5, RHYTHM_MS = 400 };

/* A request every so often: microseconds of CPU time that the workers used, and how many requests it were. */
static int64_t in_rhythm(unsigned percent, unsigned period_us, int64_t *answers)
{
    begin_crew(percent);
    *answers = 0;
    int64_t before = cpu_us() - thread_us();
    for (int64_t end = now_ms() + RHYTHM_MS; now_ms() < end; ++*answers) {
        ask_quickly(1);
        if (period_us)
            (void)usleep(period_us);
    }
    int64_t used = cpu_us() - thread_us() - before;
    end_crew();
    return used;
}

/* Whatever the rhythm, no more is used than the share, beside what the answers cost without it (twice that, for noise). */
static void test_budget(void **state)
{
    (void)state;
    static const unsigned periods_us[] = {0, 20, 50, 200, 1000};
    const int64_t share = (int64_t)RHYTHM_PERCENT * RHYTHM_MS * 10 + 2 * POLL_SAVED_NS / 1000;
    for (size_t i = 0; i < ARRAY_LENGTH(periods_us); i++) {
        int64_t without = 0, with = 0;
        int64_t plain = in_rhythm(0, periods_us[i], &without);
        int64_t used = in_rhythm(RHYTHM_PERCENT, periods_us[i], &with);
        int64_t bound = (without ? 2 * plain * with / without : 0) + share;
        if (used > bound)
            fail_msg("every %u us: %ld us of CPU time for %ld requests, at most %ld", periods_us[i],
                     (long)used, (long)with, (long)bound);
    }
}

static void test_end_of_mount(void **state)
{
    (void)state;
    begin_crew(100);
    await_lookout();
    ask_quickly(100);
    assert_int_equal(shutdown(wire.peer, SHUT_RDWR), 0);
    struct pollfd ended = {.fd = crew_ended_fd(test.crew), .events = POLLIN};
    assert_int_equal(poll(&ended, 1, ANSWER_MS), 1);
    end_crew();
}

static void test_end_while_stuck(void **state)
{
    (void)state;
    begin_crew(100);
    await_lookout();
    (void)ask_later(NODE_STUCK);
    await_stuck(1);
    assert_false(crew_end(test.crew));
    open_gate(1);
    (void)next_answer();
    end_crew();
}

static void test_end_at_any_time(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 100; round++) {
        begin_crew(100);
        ask_quickly(round % 30);
        end_crew();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answers, begin_polled, finish),
        cmocka_unit_test_setup_teardown(test_answers, begin_unpolled, finish),
        cmocka_unit_test_setup_teardown(test_never_polls, begin_unpolled, finish),
        cmocka_unit_test_setup_teardown(test_idle, begin_polled, finish),
        cmocka_unit_test_setup_teardown(test_stuck, begin_polled, finish),
        cmocka_unit_test_setup_teardown(test_stuck, begin_unpolled, finish),
        cmocka_unit_test_setup_teardown(test_all_stuck, begin_polled, finish),
        cmocka_unit_test_setup_teardown(test_storm, begin_polled, finish),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_end_of_mount),
        cmocka_unit_test(test_end_while_stuck),
        cmocka_unit_test(test_end_at_any_time),
    };
    (void)prctl(PR_SET_TIMERSLACK, 1); /* short pauses are short */
    (void)alarm(100);                  /* nothing here may block for ever */
    if (session_block_signals())
        return EXIT_FAILURE;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
