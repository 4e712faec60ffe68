/* SPDX-License-Identifier: MIT */
/* Who is shown which look at all processes: how many are made, and for whom. */
#include "cmocka_api.h"
#include "failing.h"

#include "inspect.h"
#include "ipcfs.h"
#include "ipcfs/monotonic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WHAT = INSPECT_HOLDERS, PAUSE_US = (INSPECT_PAUSE_MS + 20) * 1000 };

static const struct caller walker = {.uid = 1000, .gid = 1000, .pid = 4711};

static struct {
    struct ipcfs fs;
    long live;
    int made, freed;
    unsigned what; /* of the last look */
    int error;
} test;

// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names
int __wrap_inspection_make(const struct inspection_host *host, unsigned what, pid_t only,
                           struct inspection **out);
void __wrap_inspection_free(struct inspection *inspection);

int __wrap_inspection_make(const struct inspection_host *host, unsigned what, pid_t only,
                           struct inspection **out)
{
    assert_true(host->data == &test.fs && host->mountpoint && only == 0);
    test.what = what;
    if (test.error)
        return test.error;
    *out = calloc(1, sizeof **out);
    if (!*out)
        return -ENOMEM;
    (*out)->stuck = (size_t)++test.made; /* which look it is */
    return 0;
}

void __wrap_inspection_free(struct inspection *inspection)
{
    test.freed++;
    free(inspection);
}
// NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)

static int set_up(void **state)
{
    (void)state;
    memset(&test, 0, sizeof test);
    test.live = failing_live();
    return walks_new(&test.fs.walks);
}

static int tear_down(void **state)
{
    (void)state;
    walks_free(test.fs.walks);
    return test.made == test.freed && failing_live() == test.live ? 0 : -1;
}

/* Reads a file; gives which look it was shown. */
static int read_what(const struct caller *caller, uint64_t file, unsigned what)
{
    AUTO_INSPECTED *inspection = NULL;
    inspect_begin(&test.fs, caller, (struct ipcfs_objid){0}, file);
    assert_int_equal(inspect(&test.fs, caller, what, &inspection), 0);
    inspect_end(&test.fs, caller);
    return (int)inspected(inspection)->stuck;
}

static int read_file(const struct caller *caller, uint64_t file)
{
    return read_what(caller, file, WHAT);
}

/* The files first … first + count − 1, each of which must be shown a look of its own. */
static void read_fresh(const struct caller *caller, uint64_t first, uint64_t count)
{
    for (uint64_t file = first; file < first + count; file++) {
        int before = test.made;
        assert_int_equal(read_file(caller, file), before + 1);
    }
}

static void test_walk(void **state)
{
    (void)state;
    read_fresh(&walker, 1, INSPECT_WALK);
    int look = test.made;
    for (uint64_t file = INSPECT_WALK + 1; file < 5000; file++)
        assert_int_equal(read_file(&walker, file), look);
    /* One that it has seen is fresh, and so are those that follow. */
    read_fresh(&walker, 1, 1);
    read_fresh(&walker, 10000, INSPECT_WALK - 1);
    look = test.made;
    assert_int_equal(read_file(&walker, 20000), look);
    assert_int_equal(read_file(&walker, 5), look); /* of the walk before */
}

static void test_forgotten_walk(void **state)
{
    (void)state;
    const struct caller other = {.uid = 1000, .gid = 1000, .pid = 4712};
    inspect_forget(&test.fs, &walker); /* there is none */
    read_fresh(&walker, 1, INSPECT_WALK);
    read_fresh(&other, 1, INSPECT_WALK);
    inspect_forget(&test.fs, &walker);
    assert_int_equal(read_file(&other, INSPECT_WALK + 1), 2 * INSPECT_WALK); /* goes on */
    read_fresh(&walker, INSPECT_WALK + 1, INSPECT_WALK);
}

static void test_one_file_again(void **state)
{
    (void)state;
    for (int i = 0; i < 3 * INSPECT_WALK; i++)
        assert_int_equal(read_file(&walker, 1), i + 1);
}

static void test_two_files_in_turn(void **state)
{
    (void)state;
    for (int i = 0; i < 3 * INSPECT_WALK; i++)
        assert_int_equal(read_file(&walker, 1 + (uint64_t)i % (INSPECT_WALK - 1)), i + 1);
}

static void test_pause(void **state)
{
    (void)state;
    read_fresh(&walker, 1, INSPECT_WALK);
    assert_int_equal(read_file(&walker, 100), INSPECT_WALK);
    (void)usleep(PAUSE_US);
    read_fresh(&walker, 200, INSPECT_WALK);
    assert_int_equal(read_file(&walker, 300), 2 * INSPECT_WALK);
}

/* Who turns to the links of a process, or to those of the next, walks no more. */
static void test_process_ends_walk(void **state)
{
    (void)state;
    read_fresh(&walker, 1, INSPECT_WALK);
    assert_int_equal(read_file(&walker, 100), INSPECT_WALK);
    inspect_begin(&test.fs, &walker, (struct ipcfs_objid){.number = 1}, 200);
    inspect_end(&test.fs, &walker);
    assert_int_equal(read_file(&walker, 300), INSPECT_WALK + 1);
    assert_int_equal(read_file(&walker, 301), INSPECT_WALK + 2);
}

/* Walks on until the look is too old. False: without a CPU for so long that this was a pause, which ends the walk. */
static bool walk_on(int look)
{
    int64_t begin = monotonic_ms();
    int64_t last = begin;
    for (uint64_t file = 1000; last - begin < INSPECT_REUSE_MS - 20; file++) {
        int shown = read_file(&walker, file);
        int64_t now = monotonic_ms();
        if (now - last > INSPECT_PAUSE_MS / 2)
            return false;
        assert_int_equal(shown, look);
        last = now;
        (void)usleep(5000);
    }
    (void)usleep(40 * 1000);
    return monotonic_ms() - last <= INSPECT_PAUSE_MS;
}

/* The look is not older than that, however long the walk. */
static void test_age(void **state)
{
    (void)state;
    int look = 0;
    do {
        inspect_forget(&test.fs, &walker);
        read_fresh(&walker, 1, INSPECT_WALK);
        look = test.made;
    } while (!walk_on(look));
    assert_int_equal(read_file(&walker, 5000), look + 1);
    assert_int_equal(read_file(&walker, 5001), look + 1);
    assert_int_equal(test.freed, look);
}

static void test_others(void **state)
{
    (void)state;
    struct caller others[] = {walker, walker, walker};
    others[0].pid++;
    others[1].uid++;
    others[2].gid++;
    read_fresh(&walker, 1, INSPECT_WALK);
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        read_fresh(&others[i], 100, 2);
    struct caller unseen = walker;
    unseen.pid = 0;
    read_fresh(&unseen, 1, 2 * INSPECT_WALK);
    assert_int_equal(read_file(&walker, 100), INSPECT_WALK);
}

/* A look without waiters does not do for who wants them. */
static void test_what(void **state)
{
    (void)state;
    read_fresh(&walker, 1, INSPECT_WALK);
    int look = read_what(&walker, 100, INSPECT_WAITERS);
    assert_true(look == INSPECT_WALK + 1 && test.what & INSPECT_WAITERS);
    assert_int_equal(read_what(&walker, 101, INSPECT_WAITERS), look);
    assert_int_equal(read_what(&walker, 102, INSPECT_HOLDERS), look);
}

/* There are few walks: whoever paused for the longest is forgotten, and is shown fresh looks. */
static void test_many_walkers(void **state)
{
    (void)state;
    read_fresh(&walker, 1, INSPECT_WALK);
    struct caller other = walker;
    for (int i = 0; i < 20; i++) {
        other.pid = 10000 + i;
        (void)usleep(2000);
        read_fresh(&other, 1, 1);
    }
    assert_int_equal(test.freed, test.made);
    read_fresh(&walker, 100, 2);
}

/* A look that could not be made is no look; and without memory to remember files nobody walks. */
static void test_errors(void **state)
{
    (void)state;
    struct inspected *inspection = NULL;
    test.error = -EIO;
    assert_int_equal(inspect(&test.fs, &walker, WHAT, &inspection), -EIO);
    assert_null(inspection);
    inspected_put(&inspection);
    test.error = 0;
    for (unsigned number = 1; number < 3; number++) {
        failing_arm(number);
        assert_int_equal(inspect(&test.fs, &walker, WHAT, &inspection), -ENOMEM);
        assert_true(failing_disarm());
    }
    for (uint64_t file = 1; file < 3 * INSPECT_WALK; file++) {
        failing_arm(1);
        inspect_begin(&test.fs, &walker, (struct ipcfs_objid){0}, file);
        (void)failing_disarm();
        AUTO_INSPECTED *look = NULL;
        assert_int_equal(inspect(&test.fs, &walker, WHAT, &look), 0);
    }
    assert_int_equal(test.made, 3 * INSPECT_WALK - 1);
    struct walks *walks = NULL;
    failing_arm(1);
    assert_int_equal(walks_new(&walks), -ENOMEM);
    (void)failing_disarm();
    walks_free(NULL);
}

#define LOOK(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOK(test_walk),
        LOOK(test_forgotten_walk),
        LOOK(test_one_file_again),
        LOOK(test_two_files_in_turn),
        LOOK(test_pause),
        LOOK(test_process_ends_walk),
        LOOK(test_age),
        LOOK(test_others),
        LOOK(test_what),
        LOOK(test_many_walkers),
        LOOK(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
