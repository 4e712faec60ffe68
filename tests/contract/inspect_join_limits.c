/* SPDX-License-Identifier: MIT */
/* Inspections without memory, of very many uses, and of a user who may not look. */
#include "inspect_join_subject.h"

#include "failing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void use_everything(void)
{
    int ends[2];
    int fd = shm_open("/plain", O_RDWR | O_CREAT, 0600);
    if (fd < 0 || pipe(ends) || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) || flock(fd, LOCK_EX))
        _exit(97);
    ready();
}

static void wait_for_plain(void)
{
    int fd = shm_open("/plain", O_RDWR, 0);
    ready();
    (void)flock(fd, LOCK_EX);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    enum { NUMBER_MAX = 100000 };
    (void)start_child(use_everything);
    pid_t waiter = start_child(wait_for_plain);
    await_call(waiter, SYS_flock);
    made_up.locks[0] = (struct inspection_mount_lock){
        .kind = kind_of("shm"), .number = ino_of("/dev/shm/plain"), .holder = waiter};
    made_up.parked[0] = (struct inspection_parked){.tid = 1, .kind = kind_of("shm"), .call = "read"};
    made_up.lock_count = made_up.parked_count = 1;
    (void)look(INSPECT_WAITERS); /* what is kept from the first on is there */
    unsigned failures = 0;
    bool failed = true;
    for (unsigned number = 1; failed && number < NUMBER_MAX; number++) {
        struct inspection *made = NULL;
        long before = failing_live();
        failing_arm(number);
        int error = inspection_make(&host, INSPECT_WAITERS, 0, &made);
        failed = failing_disarm();
        failures += failed;
        if (error != (failed ? -ENOMEM : 0))
            fail_msg("failure %u: %s", number, strerror(-error));
        inspection_free(made);
        if (failing_live() != before)
            fail_msg("failure %u leaves %ld allocations", number, failing_live() - before);
    }
    assert_false(failed);
    assert_true(failures >= 20);
    inspection_free(NULL);
    assert_int_equal(shm_unlink("/plain"), 0);
}

static int64_t now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

/* A pass over everything takes as long as there are uses, not more. */
static void test_many_uses(void **state)
{
    (void)state;
    enum { LONGEST_US = 2000 * 1000 };
    static const struct made_processes many = {.count = 2000, .descriptors = 100};
    made_processes = &many;
    int64_t before = now_us();
    struct inspection *made = NULL;
    assert_int_equal(inspection_make(&host, INSPECT_WAITERS, 0, &made), 0);
    int64_t taken = now_us() - before;
    print_message("%zu uses: %lld us\n", made->use_count, (long long)taken);
    assert_int_equal(made->process_count, many.count);
    assert_int_equal(made->use_count, many.count * many.descriptors);
    assert_int_equal(made->object_count, many.count * many.descriptors / 2 + many.descriptors / 2);
    check_order(made);
    inspection_free(made);
    assert_true(taken < LONGEST_US);
}

/* One user with very many descriptors is passed over from some point on, and costs no more memory than that. */
static void test_share_of_user(void **state)
{
    (void)state;
    enum { SHARE = 256 * 1024 };
    static const struct made_processes many = {.count = 400, .descriptors = 800, .uid = 1234};
    made_processes = &many;
    struct inspection *made = NULL;
    assert_int_equal(inspection_make(&host, INSPECT_WAITERS, 0, &made), 0);
    assert_int_equal(made->process_count, many.count);
    assert_int_equal(made->use_count, SHARE / many.descriptors * many.descriptors);
    assert_int_equal(made->unreadable, many.count - SHARE / many.descriptors);
    assert_true(made->processes[0].readable);
    assert_false(made->processes[many.count - 1].readable);
    inspection_free(made);
}

static void test_as_user(void **state)
{
    (void)state;
    pid_t pid = start_child(use_everything);
    assert_int_equal(seteuid(USER), 0);
    struct inspection *made = NULL;
    int error = inspection_make(&host, INSPECT_WAITERS, 0, &made);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(error, 0);
    assert_non_null(inspection_process(made, pid));
    assert_false(inspection_process(made, pid)->readable);
    assert_int_equal(made->use_count, 0);
    assert_int_equal(made->object_count, 0);
    assert_true(made->unreadable >= 1);
    inspection_free(made);
    assert_int_equal(shm_unlink("/plain"), 0);
}

const struct CMUnitTest join_limit_tests[] = {JOIN_TEST(test_out_of_memory), JOIN_TEST(test_many_uses),
                                              JOIN_TEST(test_share_of_user), JOIN_TEST(test_as_user)};
const size_t join_limit_count = sizeof join_limit_tests / sizeof *join_limit_tests;
