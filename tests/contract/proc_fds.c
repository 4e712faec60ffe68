/* SPDX-License-Identifier: MIT */
/* Duplicates of descriptors of other processes. */
#include "pipe_peers.h"

#include "proc_fds.h"
#include "inspect/process.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_duplicate(void **state)
{
    (void)state;
    (void)make_pipe("a", 0600);
    const struct held files[] = {{"a", O_RDONLY | O_NONBLOCK}, {"a", O_WRONLY | O_NONBLOCK}, {NULL, 0}};
    pid_t pid = start_holder(0, files);
    int reader = proc_fd_take(pid, FIRST_HELD);
    int writer = proc_fd_take(pid, FIRST_HELD + 1);
    char byte = 0;
    assert_true(reader >= 0 && writer >= 0);
    assert_int_equal(fcntl(reader, F_GETFD), FD_CLOEXEC);
    assert_int_equal(write(writer, "x", 1), 1);
    assert_int_equal(read(reader, &byte, 1), 1);
    assert_int_equal(byte, 'x');
    kill_and_wait(pid);
    assert_int_equal(read(reader, &byte, 1), -1); /* the end is open until its duplicate is closed */
    assert_int_equal(errno, EAGAIN);
    close(writer);
    assert_int_equal(read(reader, &byte, 1), 0);
    close(reader);
}

static void test_no_duplicate(void **state)
{
    (void)state;
    const struct held files[] = {{"/dev/null", O_RDONLY}, {NULL, 0}};
    pid_t pid = start_holder(0, files);
    assert_int_equal(proc_fd_take(pid, FIRST_HELD + 1), -EBADF);
    act_as(USER);
    int refused = proc_fd_take(pid, FIRST_HELD);
    act_as_root();
    assert_int_equal(refused, -EPERM);
    kill_and_wait(pid);
    assert_int_equal(proc_fd_take(pid, FIRST_HELD), -ESRCH);
}

/* Opens the FIFO for writing, which waits for a reader. */
static void wait_in_open(const void *data)
{
    (void)data;
    peer_ready();
    _exit(open(real_path("a"), O_WRONLY) >= 0 ? 0 : 1);
}

/* A duplicate of an O_PATH descriptor, as of any other, is no reader; nor is who looks at it. */
static void test_nobody_is_let_in(void **state)
{
    (void)state;
    (void)make_pipe("a", 0600);
    const struct held files[] = {{"a", O_PATH}, {NULL, 0}};
    pid_t marker = start_holder(0, files);
    pid_t waiter = start_peer(0, wait_in_open, NULL);
    let_peer_run(waiter);
    for (int i = 0; i < 100; i++) {
        int fd = proc_fd_take(marker, FIRST_HELD);
        struct process process;
        assert_true(fd >= 0);
        assert_int_equal(process_read(marker, PROCESS_DESCRIPTORS, &process), 0);
        assert_true(process.descriptor_count > 0);
        process_free(&process);
        close(fd);
        (void)usleep(1000);
    }
    assert_int_equal(waitpid(waiter, NULL, WNOHANG), 0);
    int reader = open_pipe("a", O_RDONLY);
    assert_int_equal(end_of(waiter), 0);
    close(reader);
    kill_and_wait(marker);
}

static const struct CMUnitTest tests[] = {
    PIPE_TEST(test_duplicate),
    PIPE_TEST(test_no_duplicate),
    PIPE_TEST(test_nobody_is_let_in),
};

const struct suite proc_fds_suite = {
    .name = "descriptors of processes", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "pipe"};
