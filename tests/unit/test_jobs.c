/* SPDX-License-Identifier: MIT */
/* Jobs: whose turn it is, what is taken back, and the end. */
#include "cmocka_api.h"
#include "failing.h"

#include "creds.h"
#include "jobs.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum { ALICE = 1000, BOB, CAROL, FOREVER_MS = 20000, ORDER_MAX = 2048 };

/* The linker's names: __wrap_X is called for X, __real_X is X. */
// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *data);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *data);

static atomic_bool no_threads;

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *data)
{
    return no_threads ? EAGAIN : __real_pthread_create(thread, attributes, run, data);
}
// NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)

static struct {
    struct jobs *jobs;
    long live;
    atomic_bool shut; /* jobs go on as long as this is set */
    atomic_int running, most_running, ran;
    atomic_uint order[ORDER_MAX];
} test;

static void run(struct job *job)
{
    uid_t uid = job->uid;
    int running = ++test.running;
    if (running > test.most_running)
        test.most_running = running;
    test.order[test.ran++] = uid;
    while (test.shut)
        (void)usleep(1000);
    test.running--;
}

static void await(atomic_int *what, int value)
{
    for (int i = 0; i < FOREVER_MS && *what != value; i++)
        (void)usleep(1000);
    assert_int_equal(*what, value);
}

static struct jobs_stats stats(void)
{
    struct jobs_stats out;
    jobs_stats(test.jobs, &out);
    return out;
}

static int set_up(void **state)
{
    (void)state;
    test.live = failing_live();
    test.shut = false;
    no_threads = false;
    test.running = test.most_running = test.ran = 0;
    return jobs_new(&test.jobs);
}

static int tear_down(void **state)
{
    (void)state;
    test.shut = false;
    bool stopped = jobs_stop(test.jobs, FOREVER_MS);
    jobs_free(test.jobs);
    return stopped && failing_live() == test.live ? 0 : -1;
}

static void submit(struct job *jobs, size_t count, uid_t uid)
{
    for (size_t i = 0; i < count; i++) {
        jobs[i] = (struct job){.run = run, .uid = uid};
        assert_int_equal(jobs_submit(test.jobs, &jobs[i]), 0);
    }
}

/* ---- running ---- */

static void test_threads(void **state)
{
    (void)state;
    struct job jobs[20];
    assert_int_equal(stats().threads, 0);
    submit(jobs, 20, 0);
    await(&test.ran, 20);
    assert_true(stats().threads > 0 && test.most_running <= JOBS_THREADS_MAX);
    for (int i = 0; i < FOREVER_MS && stats().threads; i++)
        (void)usleep(1000);
    assert_int_equal(stats().threads, 0); /* nobody wants anything any more */
    submit(jobs, 1, 0);
    await(&test.ran, 21);
}

/* One who wants much has half of the threads; root has them all. */
static void test_shares(void **state)
{
    (void)state;
    struct job alices[10];
    struct job bobs[10];
    struct job roots[10];
    test.shut = true;
    submit(alices, 10, ALICE);
    await(&test.running, JOBS_RUN_SHARE);
    (void)usleep(20 * 1000);
    assert_int_equal(test.running, JOBS_RUN_SHARE);
    submit(bobs, 10, BOB);
    await(&test.running, JOBS_THREADS_MAX);
    assert_int_equal(stats().queued, 20 - JOBS_THREADS_MAX);
    test.shut = false;
    await(&test.ran, 20);
    await(&test.running, 0);
    test.shut = true;
    submit(roots, 10, 0);
    await(&test.running, JOBS_THREADS_MAX);
    test.shut = false;
    await(&test.ran, 30);
}

/* Whoever comes last waits for one job of each other user, and not for all that they want. There is one thread, so that the
 * order is known. */
static void test_turns(void **state)
{
    (void)state;
    enum { MANY = 200 };
    static struct job alices[MANY];
    static struct job bobs[MANY];
    struct job root;
    struct job carols;
    test.shut = true;
    submit(&root, 1, 0);
    await(&test.running, 1);
    no_threads = true;
    submit(alices, MANY, ALICE);
    submit(bobs, MANY, BOB);
    submit(&carols, 1, CAROL);
    test.shut = false;
    await(&test.ran, 2 * MANY + 2);
    await(&test.running, 0);
    static const uid_t first[] = {0, ALICE, BOB, CAROL};
    for (int i = 0; i < test.ran; i++)
        assert_int_equal(test.order[i], i < 4 ? first[i] : ALICE + (uid_t)i % 2);
}

/* ---- refusals ---- */

static void test_queue_share(void **state)
{
    (void)state;
    static struct job alices[JOBS_QUEUE_SHARE + JOBS_RUN_SHARE];
    struct job more = {.run = run, .uid = ALICE};
    struct job bobs;
    test.shut = true;
    submit(alices, JOBS_RUN_SHARE, ALICE);
    await(&test.running, JOBS_RUN_SHARE);
    submit(alices + JOBS_RUN_SHARE, JOBS_QUEUE_SHARE, ALICE);
    assert_int_equal(jobs_submit(test.jobs, &more), -EAGAIN);
    assert_false(jobs_cancel(test.jobs, &more));
    submit(&bobs, 1, BOB);
    await(&test.running, JOBS_RUN_SHARE + 1);
    assert_true(jobs_cancel(test.jobs, &alices[JOBS_RUN_SHARE]));
    submit(&more, 1, ALICE);
    test.shut = false;
    await(&test.ran, JOBS_QUEUE_SHARE + JOBS_RUN_SHARE + 1);
}

static void test_no_memory(void **state)
{
    (void)state;
    struct job job = {.run = run, .uid = ALICE};
    no_threads = true;
    assert_int_equal(jobs_submit(test.jobs, &job), -EAGAIN);
    assert_true(!jobs_cancel(test.jobs, &job) && stats().queued == 0);
    no_threads = false;
    failing_arm(1);
    assert_int_equal(jobs_submit(test.jobs, &job), -ENOMEM);
    assert_true(failing_disarm() && !jobs_cancel(test.jobs, &job) && stats().queued == 0);
    submit(&job, 1, ALICE);
    await(&test.ran, 1);
    struct jobs *jobs = NULL;
    failing_arm(1);
    assert_int_equal(jobs_new(&jobs), -ENOMEM);
    (void)failing_disarm();
    jobs_free(NULL);
}

/* With one thread there is service, if slow. */
static void test_no_more_threads(void **state)
{
    (void)state;
    struct job jobs[10];
    test.shut = true;
    submit(jobs, 1, 0);
    await(&test.running, 1);
    no_threads = true;
    submit(jobs + 1, 9, 0);
    test.shut = false;
    await(&test.ran, 10);
    assert_int_equal(test.most_running, 1);
}

/* ---- cancelled ---- */

static void test_cancel(void **state)
{
    (void)state;
    struct job jobs[JOBS_RUN_SHARE + 2];
    test.shut = true;
    submit(jobs, JOBS_RUN_SHARE + 2, ALICE);
    await(&test.running, JOBS_RUN_SHARE);
    assert_false(jobs_cancel(test.jobs, &jobs[0]));
    assert_true(jobs_cancel(test.jobs, &jobs[JOBS_RUN_SHARE]));
    assert_false(jobs_cancel(test.jobs, &jobs[JOBS_RUN_SHARE]));
    test.shut = false;
    await(&test.ran, JOBS_RUN_SHARE + 1);
    await(&test.running, 0);
    assert_false(jobs_cancel(test.jobs, &jobs[0]));
    assert_int_equal(stats().queued, 0);
}

/* Every job is run or taken back, at whatever moment that is tried. */
static void test_storm(void **state)
{
    (void)state;
    enum { ROUNDS = 400, JOBS = 5 };
    int cancelled = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct job jobs[JOBS];
        for (uid_t i = 0; i < JOBS; i++)
            submit(&jobs[i], 1, ALICE + i % 3);
        if (round % 2)
            (void)usleep((useconds_t)round);
        int before = cancelled;
        for (int i = 0; i < JOBS; i++)
            cancelled += jobs_cancel(test.jobs, &jobs[i]);
        await(&test.ran, (round + 1) * JOBS - cancelled);
        await(&test.running, 0);
        assert_true(cancelled - before <= JOBS);
        if (test.ran > ORDER_MAX - JOBS)
            break;
    }
    assert_int_equal(stats().queued, 0);
}

/* ---- the end ---- */

static void test_stop(void **state)
{
    (void)state;
    struct job job;
    test.shut = true;
    submit(&job, 1, ALICE);
    await(&test.running, 1);
    assert_false(jobs_stop(test.jobs, 30));
    test.shut = false;
    assert_true(jobs_stop(test.jobs, FOREVER_MS));
    assert_true(test.running == 0 && stats().threads == 0);
    assert_true(jobs_stop(test.jobs, 0));
}

#define JOB_TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOB_TEST(test_threads),     JOB_TEST(test_shares),    JOB_TEST(test_turns),
        JOB_TEST(test_queue_share), JOB_TEST(test_no_memory), JOB_TEST(test_no_more_threads),
        JOB_TEST(test_cancel),      JOB_TEST(test_storm),     JOB_TEST(test_stop),
    };
    (void)alarm(100);
    return creds_init() ? EXIT_FAILURE : cmocka_run_group_tests(tests, NULL, NULL);
}
