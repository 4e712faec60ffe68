/* SPDX-License-Identifier: MIT */
/*
 * Pipes that are looked at while they are at work: nothing is lost, doubled or held up, what is told is of the pipe that is
 * asked for, and pipes that do not answer hold nobody up.
 */
#include "pipe_peers.h"

#include "failing.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t now_in_ms(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* ---- conservation ---- */

enum { BLOCK = 8000, STREAM = 32 * 1024 * 1024 };

/* The byte at each place of the stream. */
static char byte_at(size_t place)
{
    return (char)(place * 131 + place / 509);
}

static void write_stream(const void *data)
{
    (void)data;
    char block[BLOCK];
    int fd = open(real_path("a"), O_RDWR);
    peer_ready();
    for (size_t place = 0; place < STREAM;) {
        size_t size = 1 + place * 7 % (BLOCK - 1);
        size = size < STREAM - place ? size : STREAM - place;
        for (size_t i = 0; i < size; i++)
            block[i] = byte_at(place + i);
        if (write(fd, block, size) != (ssize_t)size)
            _exit(1);
        place += size;
    }
}

static void read_stream(const void *data)
{
    (void)data;
    char block[BLOCK];
    int fd = open(real_path("a"), O_RDWR);
    peer_ready();
    for (size_t place = 0; place < STREAM;) {
        ssize_t size = read(fd, block, sizeof block);
        if (size <= 0)
            _exit(1);
        for (ssize_t i = 0; i < size; i++)
            if (block[i] != byte_at(place + (size_t)i))
                _exit(2);
        place += (size_t)size;
    }
}

/* What is seen is a piece of the stream: byte_at() of places one after another. */
static void must_be_of_the_stream(const struct text *text)
{
    enum { PERIOD = 256 * 509 };
    if (text->length < 600)
        return;
    for (size_t place = 0; place < PERIOD; place++) {
        size_t i = 0;
        while (i < text->length && text->data[i] == byte_at(place + i))
            i++;
        if (i == text->length)
            return;
    }
    fail_msg("%zu bytes are no piece of what is sent", text->length);
}

static void test_conservation(void **state)
{
    (void)state;
    struct ipcfs_ref ref = make_pipe("a", 0600);
    pid_t writer = start_peer(0, write_stream, NULL);
    pid_t reader = start_peer(0, read_stream, NULL);
    int status = 0;
    unsigned peeked = 0;
    let_peer_run(writer);
    let_peer_run(reader);
    while (waitpid(reader, &status, WNOHANG) == 0) {
        AUTO_TEXT text = {0};
        assert_int_equal(read_file(&ref, "peek", &text), 0);
        must_be_of_the_stream(&text);
        peeked += text.length > 0;
        struct surveyed row = survey_for("a", 0);
        assert_true(row.found && row.queued <= 65536);
        (void)write_file(&ref, "capacity", peeked % 2 ? "65536" : "16384", NULL);
        assert_true(shown_number_of(&ref, "queued") <= 65536);
    }
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(end_of(writer), 0);
    assert_true(peeked > 0);
}

/* ---- descriptors that change ---- */

/* The same number is now of the one FIFO, now of the other. */
static void swap(const void *data)
{
    (void)data;
    int a = open(real_path("a"), O_RDWR);
    int b = open(real_path("b"), O_RDWR);
    peer_ready();
    for (;;)
        if (dup2(a, FIRST_HELD) < 0 || close(a) || dup2(b, FIRST_HELD) < 0 || close(b) ||
            (a = open(real_path("a"), O_RDWR)) < 0 || (b = open(real_path("b"), O_RDWR)) < 0)
            _exit(1);
}

static void must_be_only(const struct ipcfs_ref *ref, char expected, unsigned *some)
{
    AUTO_TEXT text = {0};
    int error = read_file(ref, "peek", &text);
    assert_int_equal(error, 0);
    for (size_t i = 0; i < text.length; i++)
        assert_int_equal(text.data[i], expected);
    assert_true(text.length == 0 || text.length == 10);
    *some += text.length > 0;
}

static void test_descriptors_that_change(void **state)
{
    (void)state;
    struct ipcfs_ref a = make_pipe("a", 0600);
    struct ipcfs_ref b = make_pipe("b", 0600);
    int fd_a = open_pipe("a", O_RDWR);
    int fd_b = open_pipe("b", O_RDWR);
    unsigned some = 0;
    assert_int_equal(write(fd_a, "aaaaaaaaaa", 10), 10);
    assert_int_equal(write(fd_b, "bbbbbbbbbb", 10), 10);
    pid_t pid = start_peer(0, swap, NULL);
    let_peer_run(pid);
    for (int i = 0; i < 3000; i++) {
        must_be_only(&a, 'a', &some);
        must_be_only(&b, 'b', &some);
    }
    assert_true(some > 0);
    kill_and_wait(pid);
    close(fd_a);
    close(fd_b);
}

/* ---- processes that end ---- */

/* Children have "a" open for a moment each; what they write is nothing. */
static void breed_holders(const void *data)
{
    (void)data;
    peer_ready();
    for (;;) {
        pid_t pid = fork();
        if (pid == 0) {
            int ends[2];
            bool failed = open(real_path("a"), O_RDWR) < 0 || pipe(ends);
            _exit(failed ? 1 : 0);
        }
        if (pid < 0 || waitpid(pid, NULL, 0) != pid)
            _exit(1);
    }
}

static void test_processes_that_end(void **state)
{
    (void)state;
    struct ipcfs_ref ref = make_pipe("a", 0600);
    (void)make_pipe("b", 0600);
    const struct held files[] = {{"b", O_RDWR}, {NULL, 0}};
    pid_t holder = start_holder(0, files);
    pid_t breeders[] = {start_peer(0, breed_holders, NULL), start_peer(0, breed_holders, NULL)};
    for (size_t i = 0; i < ARRAY_LENGTH(breeders); i++)
        let_peer_run(breeders[i]);
    for (int i = 0; i < 500; i++) {
        AUTO_TEXT text = {0};
        assert_int_equal(read_file(&ref, "peek", &text), 0);
        assert_int_equal(text.length, 0);
        long queued = shown_number_of(&ref, "queued");
        assert_true(queued == 0 || queued == -1);
        struct surveyed row = survey_for("b", 0);
        assert_true(row.readers == 1 && row.writers == 1 && row.capacity > 0);
        assert_true(survey_for("a", 0).found);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(breeders); i++)
        kill_and_wait(breeders[i]);
    kill_and_wait(holder);
}

/* ---- pipes that do not answer ---- */

enum { SOON_MS = 300, PATIENCE_MS = 500 };

/* The askers that were given up end when their pipes answer again. */
static void await_allocations(long count)
{
    for (int i = 0; i < 5000 && failing_live() != count; i++)
        (void)usleep(1000);
    assert_int_equal(failing_live(), count);
}

static void test_stuck(void **state)
{
    (void)state;
    struct ipcfs_ref a = make_pipe("a", 0600);
    struct ipcfs_ref b = make_pipe("b", 0600);
    int fd_a = open_pipe("a", O_RDWR);
    int fd_b = open_pipe("b", O_RDWR);
    const struct held files[] = {{"b", O_RDWR}, {NULL, 0}};
    pid_t holder = start_holder(0, files);
    long live = failing_live();
    pid_t stuck = start_stuck_writer(fd_a);
    AUTO_TEXT text = {0};
    AUTO_TEXT reason = {0};
    int64_t start = now_in_ms();
    assert_int_equal(shown_number_of(&a, "capacity"), -1);
    assert_true(now_in_ms() - start < PATIENCE_MS + SOON_MS);
    start = now_in_ms(); /* from now on it is known */
    assert_int_equal(shown_number_of(&a, "queued"), -1);
    assert_int_equal(shown_number_of(&a, "writers"), 1);
    assert_int_equal(read_file(&a, "peek", &text), -EAGAIN);
    assert_int_equal(read_file(&a, "capacity", &text), -EAGAIN);
    assert_int_equal(write_file(&a, "capacity", "4096", &reason), -EAGAIN);
    assert_true(reason.length > 0);
    struct surveyed row = survey_for("a", 0);
    assert_true(row.found && row.capacity == -1 && row.writers == 1);
    row = survey_for("b", 0);
    assert_true(row.found && row.capacity > 0 && row.queued == 0);
    assert_true(shown_number_of(&b, "capacity") > 0);
    assert_true(now_in_ms() - start < SOON_MS);
    kill_and_wait(stuck);
    text_reset(&text);
    text_reset(&reason);
    await_allocations(live);
    row = survey_for("b", 0);
    assert_true(row.capacity > 0);
    kill_and_wait(holder);
    close(fd_a);
    close(fd_b);
}

/* In the middle of a survey: what comes before and behind is told. */
static void test_stuck_in_survey(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b", "c"};
    int fds[ARRAY_LENGTH(names)];
    const struct held files[] = {{"a", O_RDWR}, {"b", O_RDWR}, {"c", O_RDWR}, {NULL, 0}};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        (void)make_pipe(names[i], 0600);
        fds[i] = open_pipe(names[i], O_RDWR);
    }
    pid_t holder = start_holder(0, files);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        long live = failing_live();
        pid_t stuck = start_stuck_writer(fds[i]);
        int64_t start = now_in_ms();
        struct surveyed rows[] = {survey_for("a", 0), survey_for("b", 0), survey_for("c", 0)};
        assert_true(now_in_ms() - start < PATIENCE_MS + SOON_MS);
        for (size_t j = 0; j < ARRAY_LENGTH(names); j++)
            assert_int_equal(rows[j].capacity > 0, i != j);
        kill_and_wait(stuck);
        await_allocations(live);
    }
    kill_and_wait(holder);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        close(fds[i]);
}

/* More than are waited for: then nothing is asked, and nobody is held up. */
static void test_many_stuck(void **state)
{
    (void)state;
    enum { MANY = 18, GIVEN_UP_MAX = 16 };
    pid_t stuck[MANY];
    int fds[MANY][2];
    long live = failing_live();
    (void)make_pipe("z", 0600);
    const struct held files[] = {{"z", O_RDWR}, {NULL, 0}};
    pid_t holder = start_holder(0, files);
    assert_true(survey_for("z", 0).capacity > 0);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(pipe(fds[i]), 0);
        stuck[i] = start_stuck_writer(fds[i][1]);
    }
    int64_t start = now_in_ms();
    struct surveyed row = survey_for("z", 0);
    assert_true(now_in_ms() - start < GIVEN_UP_MAX * PATIENCE_MS + 2000);
    assert_true(row.found && row.readers == 1);
    start = now_in_ms();
    row = survey_for("z", 0);
    assert_true(row.found && row.capacity == -1);
    assert_true(now_in_ms() - start < SOON_MS);
    for (int i = 0; i < MANY; i++) {
        kill_and_wait(stuck[i]);
        close(fds[i][0]);
        close(fds[i][1]);
    }
    await_allocations(live);
    assert_true(survey_for("z", 0).capacity > 0);
    kill_and_wait(holder);
}

static const struct CMUnitTest tests[] = {
    PIPE_TEST(test_conservation), PIPE_TEST(test_descriptors_that_change), PIPE_TEST(test_processes_that_end),
    PIPE_TEST(test_stuck),        PIPE_TEST(test_stuck_in_survey),         PIPE_TEST(test_many_stuck),
};

const struct suite pipe_busy_suite = {
    .name = "busy pipes", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "pipe"};
