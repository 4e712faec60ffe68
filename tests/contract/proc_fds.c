/* SPDX-License-Identifier: MIT */
/* The walk over what all processes have open, and duplicates of it. */
#include "pipe_peers.h"

#include "proc_fds.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the walk ---- */

enum { SEEN_MAX = 64 };

/* What is seen of one process. */
struct seen {
    pid_t pid;
    size_t count;
    struct {
        int fd;
        bool open, reads, writes;
        bool has_number, is_fifo;
        ino_t number;
        char target[64];
    } rows[SEEN_MAX];
};

static int see(void *data, const struct proc_fd *fd)
{
    struct seen *seen = data;
    struct statx stat;
    assert_int_not_equal(fd->pid, getpid());
    if (fd->pid != seen->pid)
        return 0;
    assert_true(seen->count < SEEN_MAX);
    size_t i = seen->count++;
    seen->rows[i].fd = fd->fd;
    seen->rows[i].open = proc_fd_access(fd, &seen->rows[i].reads, &seen->rows[i].writes);
    seen->rows[i].has_number = proc_fd_number(fd, "pipe", &seen->rows[i].number);
    seen->rows[i].is_fifo = proc_fd_stat(fd, &stat) == 0 && S_ISFIFO(stat.stx_mode);
    (void)snprintf(seen->rows[i].target, sizeof seen->rows[i].target, "%s", fd->target);
    return 0;
}

static struct seen look_at(pid_t pid)
{
    struct seen seen = {.pid = pid};
    assert_int_equal(proc_fds_walk(see, &seen), 0);
    return seen;
}

/* The row of a descriptor, of which there is one. */
static size_t row_of(const struct seen *seen, int fd)
{
    size_t found = SEEN_MAX;
    for (size_t i = 0; i < seen->count; i++) {
        if (seen->rows[i].fd != fd)
            continue;
        assert_int_equal(found, SEEN_MAX);
        found = i;
    }
    assert_true(found < SEEN_MAX);
    return found;
}

static void test_what_is_seen(void **state)
{
    (void)state;
    (void)make_pipe("a", 0600);
    const struct held files[] = {{"a", O_RDONLY | O_NONBLOCK}, {"a", O_WRONLY}, {"a", O_RDWR}, {"a", O_PATH},
                                 {"/dev/null", O_WRONLY},      {NULL, 0}};
    pid_t pid = start_holder(0, files);
    struct seen seen = look_at(pid);
    for (int i = 0; i < 5; i++) {
        size_t row = row_of(&seen, FIRST_HELD + i);
        assert_true(seen.rows[row].open);
        assert_int_equal(seen.rows[row].reads, i == 0 || i == 2);
        assert_int_equal(seen.rows[row].writes, i == 1 || i == 2 || i == 4);
        assert_int_equal(seen.rows[row].is_fifo, i != 4);
        assert_false(seen.rows[row].has_number);
        assert_string_equal(seen.rows[row].target, i == 4 ? "/dev/null" : real_path("a"));
    }
    kill_and_wait(pid);
}

static void hold_anonymous(const void *data)
{
    (void)data;
    int ends[2];
    if (pipe(ends) || dup2(ends[0], FIRST_HELD) < 0 || dup2(ends[1], FIRST_HELD + 1) < 0)
        _exit(97);
    peer_ready();
    for (;;)
        (void)pause();
}

static void test_numbers(void **state)
{
    (void)state;
    pid_t pid = start_peer(0, hold_anonymous, NULL);
    struct seen seen = look_at(pid);
    size_t reader = row_of(&seen, FIRST_HELD);
    size_t writer = row_of(&seen, FIRST_HELD + 1);
    assert_true(seen.rows[reader].has_number && seen.rows[writer].has_number);
    assert_int_equal(seen.rows[reader].number, seen.rows[writer].number);
    assert_true(seen.rows[reader].reads && !seen.rows[reader].writes);
    assert_true(!seen.rows[writer].reads && seen.rows[writer].writes);
    kill_and_wait(pid);
}

static void test_number_of_targets(void **state)
{
    (void)state;
    static const struct {
        const char *target;
        long number; /* −1: none */
    } cases[] = {{"pipe:[0]", 0},   {"pipe:[4294967299]", 4294967299},
                 {"pipe:[12", -1},  {"pipe:[]", -1},
                 {"pipe:12", -1},   {"/pipe:[12]", -1},
                 {"pipe:[1]2", -1}, {"pipes:[12]", -1},
                 {"pipe:[-1]", -1}, {"socket:[12]", -1},
                 {"", -1}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const struct proc_fd fd = {.target = cases[i].target};
        ino_t number = 77;
        assert_int_equal(proc_fd_number(&fd, "pipe", &number), cases[i].number >= 0);
        assert_int_equal(number, cases[i].number >= 0 ? cases[i].number : 77);
    }
}

/* A path longer than the kernel tells. */
static void hold_deep_file(const void *data)
{
    enum { DEPTH = 20 };
    (void)data;
    char name[NAME_MAX + 1] = {0};
    memset(name, 'd', NAME_MAX);
    if (chdir("/dev/shm"))
        _exit(97);
    for (int i = 0; i < DEPTH; i++)
        if (mkdir(name, 0700) || chdir(name))
            _exit(97);
    if (mkfifo("fifo", 0600) || dup2(open("fifo", O_RDWR), FIRST_HELD) < 0)
        _exit(97);
    peer_ready();
    (void)unlink("fifo");
    for (int i = 0; i < DEPTH; i++)
        if (chdir("..") || rmdir(name))
            _exit(97);
}

static void test_too_long_a_path(void **state)
{
    (void)state;
    pid_t pid = start_peer(0, hold_deep_file, NULL);
    struct seen seen = look_at(pid);
    size_t row = row_of(&seen, FIRST_HELD);
    let_peer_run(pid);
    assert_int_equal(end_of(pid), 0);
    assert_string_equal(seen.rows[row].target, "");
    assert_true(seen.rows[row].is_fifo && seen.rows[row].reads);
}

static int end_early(void *data, const struct proc_fd *fd)
{
    (void)fd;
    int *left = data;
    return --*left ? 0 : -ECANCELED;
}

static void test_end_by_visitor(void **state)
{
    (void)state;
    int left = 3;
    const struct held files[] = {{"/dev/null", O_RDONLY}, {"/dev/null", O_RDONLY}, {NULL, 0}};
    pid_t pid = start_holder(0, files);
    assert_int_equal(proc_fds_walk(end_early, &left), -ECANCELED);
    assert_int_equal(left, 0);
    kill_and_wait(pid);
}

/* He sees what is his. */
static void test_as_user(void **state)
{
    (void)state;
    const struct held files[] = {{"/dev/null", O_RDONLY}, {NULL, 0}};
    pid_t his = start_holder(USER, files);
    pid_t other = start_holder(OTHER_USER, files);
    pid_t roots = start_holder(0, files);
    act_as(USER);
    struct seen seen[] = {look_at(his), look_at(other), look_at(roots), look_at(1)};
    act_as_root();
    assert_true(seen[0].count >= 1);
    (void)row_of(&seen[0], FIRST_HELD);
    for (int i = 1; i < 4; i++)
        assert_int_equal(seen[i].count, 0);
    assert_true(look_at(his).count >= 1 && look_at(other).count >= 1 && look_at(1).count >= 1);
    kill_and_wait(his);
    kill_and_wait(other);
    kill_and_wait(roots);
}

/* ---- while processes come and go ---- */

/* Makes children that open something and end, without an end. */
static void breed(const void *data)
{
    (void)data;
    peer_ready();
    for (;;) {
        int ends[2];
        for (int i = 0; i < 4; i++)
            if (pipe(ends))
                _exit(1);
        for (int i = 0; i < 4; i++)
            if (fork() == 0)
                _exit(0);
        while (waitpid(-1, NULL, 0) > 0)
            ;
        for (int fd = 3; fd < 30; fd++)
            close(fd);
    }
}

static void test_while_processes_end(void **state)
{
    (void)state;
    enum { BREEDERS = 3, WALKS = 300 };
    const struct held files[] = {{"/dev/null", O_RDONLY}, {NULL, 0}};
    pid_t breeders[BREEDERS];
    pid_t before = start_holder(0, files);
    for (int i = 0; i < BREEDERS; i++) {
        breeders[i] = start_peer(0, breed, NULL);
        let_peer_run(breeders[i]);
    }
    pid_t after = start_holder(0, files);
    for (int i = 0; i < WALKS; i++) {
        struct seen seen[] = {look_at(before), look_at(after)};
        (void)row_of(&seen[0], FIRST_HELD);
        (void)row_of(&seen[1], FIRST_HELD);
    }
    for (int i = 0; i < BREEDERS; i++)
        kill_and_wait(breeders[i]);
    kill_and_wait(before);
    kill_and_wait(after);
}

/* ---- duplicates ---- */

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

/* A duplicate of an O_PATH descriptor, as of any other, is no reader. */
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
        struct seen seen = look_at(marker);
        size_t row = row_of(&seen, FIRST_HELD);
        assert_true(fd >= 0 && seen.rows[row].is_fifo);
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
    PIPE_TEST(test_what_is_seen),        PIPE_TEST(test_numbers),        PIPE_TEST(test_number_of_targets),
    PIPE_TEST(test_too_long_a_path),     PIPE_TEST(test_end_by_visitor), PIPE_TEST(test_as_user),
    PIPE_TEST(test_while_processes_end), PIPE_TEST(test_duplicate),      PIPE_TEST(test_no_duplicate),
    PIPE_TEST(test_nobody_is_let_in),
};

const struct suite proc_fds_suite = {
    .name = "descriptors of processes", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "pipe"};
