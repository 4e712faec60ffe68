/* SPDX-License-Identifier: MIT */
/* What ipcfs_init() makes, when something is short on the way: all of it, or nothing is left. */
#include "cmocka_api.h"

#include "creds.h"
#include "descriptors.h"
#include "failing.h"
#include "ipcfs.h"
#include "private_shm.h"
#include "session.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LET_GO_MS = 5000, MOST = 10000 };

struct amount {
    int descriptors;
    int threads;
    long allocations;
};

static int count_threads(void)
{
    int count = 0;
    DIR *directory = opendir("/proc/self/task");
    while (directory && readdir(directory)) // NOLINT(concurrency-mt-unsafe): one user per DIR
        count++;
    if (directory)
        closedir(directory);
    return count;
}

static struct amount measure(void)
{
    return (struct amount){count_descriptors(), count_threads(), failing_live()};
}

static bool same(const struct amount *a, const struct amount *b)
{
    return a->descriptors == b->descriptors && a->threads == b->threads && a->allocations == b->allocations;
}

/* A thread that was joined may be in /proc a moment longer. */
static void check_back(const struct amount *before)
{
    struct amount now = measure();
    for (int i = 0; i < LET_GO_MS && !same(&now, before); i++) {
        (void)usleep(1000);
        now = measure();
    }
    assert_int_equal(now.descriptors, before->descriptors);
    assert_int_equal(now.threads, before->threads);
    assert_int_equal(now.allocations, before->allocations);
}

static struct ipcfs fs;

static int begin(void)
{
    fs = (struct ipcfs){.passthrough_wanted = PASSTHROUGH_OFF, .threads_wanted = 1};
    return ipcfs_init(&fs);
}

static void test_it_starts(void **state)
{
    (void)state;
    assert_int_equal(begin(), 0);
    ipcfs_destroy(&fs); /* what the first start makes for good is there now */
    struct amount before = measure();
    assert_int_equal(begin(), 0);
    ipcfs_destroy(&fs);
    check_back(&before);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    struct amount before = measure();
    unsigned failures = 0;
    for (unsigned number = 1; number < MOST; number++) {
        failing_arm(number);
        int error = begin();
        bool failed = failing_disarm();
        if (!error)
            ipcfs_destroy(&fs);
        else
            assert_int_equal(error, -ENOMEM);
        check_back(&before);
        failures += error != 0;
        if (!failed)
            break;
    }
    assert_in_range(failures, 10, MOST - 2);
}

static void test_few_descriptors(void **state)
{
    (void)state;
    struct rlimit all;
    struct amount before = measure();
    unsigned refused = 0;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
    for (rlim_t number = 3; number < 80; number++) {
        struct rlimit few = {.rlim_cur = number, .rlim_max = all.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        int error = begin();
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
        if (!error)
            ipcfs_destroy(&fs);
        else
            assert_int_equal(error, -EMFILE);
        check_back(&before);
        refused += error != 0;
    }
    assert_in_range(refused, 1, 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_starts),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_few_descriptors),
    };
    private_shm_enter("size=64m,mode=1777");
    (void)umask(0);
    (void)alarm(500); /* nothing here may block for ever */
    if (session_block_signals() || creds_init())
        return EXIT_FAILURE;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
