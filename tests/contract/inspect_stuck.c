/* SPDX-License-Identifier: MIT */
/* Processes that do not answer hold nobody up for long, and the others are told. */
#include "inspect_peers.h"
#include "inspect_silent.h"

#include "failing.h"
#include "pipe_ends.h"
#include "sock_holders.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { WHAT = PROCESS_DESCRIPTORS | PROCESS_MAPPINGS | PROCESS_CALLS, PATIENCE_MS = 500, SOON_MS = 300 };

/* The threads that were given up end when the processes answer again. */
static void await_allocations(long count)
{
    for (int i = 0; i < 5000 && failing_live() != count; i++)
        (void)usleep(1000);
    assert_int_equal(failing_live(), count);
}

static void sleep_well(const void *data)
{
    (void)data;
    peer_ready();
}

static void must_be_stuck(pid_t pid, const char *name)
{
    struct process process = find_in_walk(pid, WHAT);
    assert_int_equal(process.pid, pid);
    assert_true(process.stuck);
    assert_false(process.readable || process.calls_known);
    assert_int_equal(process.uid, USER);
    assert_string_equal(process.command, name);
    process_free(&process);
}

static void must_answer(pid_t pid)
{
    struct process process = find_in_walk(pid, WHAT);
    assert_true(process.readable && process.calls_known && !process.stuck);
    assert_true(process.mapping_count > 0);
    process_free(&process);
}

static int count(void *data, struct process *process)
{
    size_t *stuck = data;
    *stuck += process->stuck;
    return 0;
}

/* Before and behind it, all are told; once it is known, it takes no time. */
static void test_stuck(void **state)
{
    (void)state;
    struct silent silent = start_silent();
    pid_t before = start_peer(0, sleep_well, NULL);
    pid_t pid = start_stuck(&silent, USER, "st)uck");
    pid_t behind = start_peer(USER, sleep_well, NULL);
    long live = failing_live();
    int64_t start = now_in_ms();
    must_be_stuck(pid, "st)uck");
    int64_t took = now_in_ms() - start;
    assert_true(took >= PATIENCE_MS && took < PATIENCE_MS + SOON_MS);
    start = now_in_ms();
    must_answer(before);
    must_answer(behind);
    must_be_stuck(pid, "st)uck");
    assert_true(now_in_ms() - start < SOON_MS);
    kill_and_wait(before);
    kill_and_wait(behind);
    end_silent(&silent);
    await_allocations(live);
    (void)usleep(50 * 1000);
    must_answer(pid);
    kill_and_wait(pid);
}

/* The same of one that is asked for alone. */
static void test_stuck_alone(void **state)
{
    (void)state;
    struct silent silent = start_silent();
    pid_t pid = start_stuck(&silent, USER, "stuck");
    long live = failing_live();
    for (int i = 0; i < 2; i++) {
        size_t stuck = 0;
        int64_t start = now_in_ms();
        assert_int_equal(processes_read(pid, WHAT, count, &stuck), 0);
        assert_int_equal(stuck, 1);
        assert_true(now_in_ms() - start < (i ? 0 : PATIENCE_MS) + SOON_MS);
    }
    end_silent(&silent);
    await_allocations(live);
    kill_and_wait(pid);
}

/* Who has which pipe and socket open is told by the same walk. */
static void test_pipes_and_sockets(void **state)
{
    (void)state;
    struct silent silent = start_silent();
    pid_t pid = start_stuck(&silent, USER, "stuck");
    long live = failing_live();
    int64_t start = now_in_ms();
    struct sock_holders holders;
    struct pipe_ends ends;
    assert_int_equal(sock_holders_read(0, &holders), 0);
    sock_holders_free(&holders);
    assert_int_equal(pipe_ends_of_all(&ends), 0);
    pipe_ends_free(&ends);
    assert_true(now_in_ms() - start < PATIENCE_MS + SOON_MS);
    end_silent(&silent);
    await_allocations(live);
    kill_and_wait(pid);
}

/* One user's processes, however many, cost so much time once, and leave the others' to be told. */
static void test_many_stuck(void **state)
{
    (void)state;
    enum { MANY = 12, OWNER_MAX = 8 };
    pid_t pids[MANY];
    struct silent silent = start_silent();
    for (int i = 0; i < MANY; i++)
        pids[i] = start_stuck(&silent, USER, "stuck");
    pid_t behind = start_peer(OTHER_USER, sleep_well, NULL);
    long live = failing_live();
    int64_t start = now_in_ms();
    must_answer(behind);
    int64_t took = now_in_ms() - start;
    assert_true(took >= OWNER_MAX * PATIENCE_MS && took < OWNER_MAX * PATIENCE_MS + 2000);
    size_t stuck = 0;
    start = now_in_ms();
    assert_int_equal(processes_read(0, WHAT, count, &stuck), 0);
    must_answer(behind);
    assert_int_equal(stuck, MANY);
    assert_true(now_in_ms() - start < SOON_MS);
    kill_and_wait(behind);
    end_silent(&silent);
    await_allocations(live);
    for (int i = 0; i < MANY; i++)
        kill_and_wait(pids[i]);
}

/* Several users can: then everybody is refused at once, until they answer. */
static void test_too_many_stuck(void **state)
{
    (void)state;
    enum { GIVEN_UP_MAX = 16 };
    pid_t pids[GIVEN_UP_MAX];
    size_t stuck = 0;
    struct silent silent = start_silent();
    for (int i = 0; i < GIVEN_UP_MAX; i++)
        pids[i] = start_stuck(&silent, i % 2 ? USER : OTHER_USER, "stuck");
    long live = failing_live();
    int64_t start = now_in_ms();
    assert_int_equal(processes_read(0, WHAT, count, &stuck), -EAGAIN);
    assert_int_equal(stuck, GIVEN_UP_MAX);
    assert_true(now_in_ms() - start < GIVEN_UP_MAX * PATIENCE_MS + 2000);
    start = now_in_ms();
    assert_int_equal(processes_read(0, WHAT, count, &stuck), -EAGAIN);
    assert_int_equal(processes_read(1, WHAT, count, &stuck), -EAGAIN);
    assert_true(now_in_ms() - start < SOON_MS);
    end_silent(&silent);
    await_allocations(live);
    assert_int_equal(processes_read(0, WHAT, count, &stuck), 0);
    assert_int_equal(stuck, GIVEN_UP_MAX);
    for (int i = 0; i < GIVEN_UP_MAX; i++)
        kill_and_wait(pids[i]);
}

const struct CMUnitTest inspect_stuck_tests[] = {
    SILENT_TEST(test_stuck),      SILENT_TEST(test_stuck_alone),     SILENT_TEST(test_pipes_and_sockets),
    SILENT_TEST(test_many_stuck), INSPECT_TEST(test_too_many_stuck),
};
const size_t inspect_stuck_count = ARRAY_LENGTH(inspect_stuck_tests);
