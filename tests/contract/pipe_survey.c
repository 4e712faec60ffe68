/* SPDX-License-Identifier: MIT */
/* The survey: all pipes that processes have open, to whom they are shown, and each once. */
#include "pipe_peers.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A pipe that these and this process have open. */
static int ends[2];

static ino_t make_anonymous(void)
{
    struct stat stat;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fstat(ends[0], &stat), 0);
    return stat.st_ino;
}

static void close_anonymous(void)
{
    close(ends[0]);
    close(ends[1]);
}

static void keep_ends(const void *which)
{
    int flags = *(const int *)which;
    if (!(flags & 1))
        close(ends[0]);
    if (!(flags & 2))
        close(ends[1]);
    peer_ready();
}

enum { READER = 1, WRITER = 2, BOTH = 3 };

static pid_t start_peer_with(int which)
{
    return start_peer(0, keep_ends, &which);
}

__attribute__((format(printf, 2, 3))) static void must_have_pids(const struct surveyed *row,
                                                                 const char *format, ...)
{
    char expected[128];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(expected, sizeof expected, format, arguments);
    va_end(arguments);
    assert_string_equal(row->pids, expected);
}

static void test_anonymous(void **state)
{
    (void)state;
    ino_t ino = make_anonymous();
    assert_false(survey_for(NULL, ino).found);
    pid_t pids[] = {start_peer_with(READER), start_peer_with(WRITER), start_peer_with(BOTH)};
    assert_int_equal(write(ends[1], "123", 3), 3);
    struct surveyed row = survey_for(NULL, ino);
    assert_true(row.found);
    assert_string_equal(row.kind, "anonymous");
    assert_int_equal(row.capacity, fcntl(ends[0], F_GETPIPE_SZ));
    assert_int_equal(row.queued, 3);
    assert_int_equal(row.readers, 2);
    assert_int_equal(row.writers, 2);
    assert_int_equal(row.uid, 0);
    assert_int_equal(row.mode, 0600);
    must_have_pids(&row, "%dr,%dw,%drw", pids[0], pids[1], pids[2]);
    for (size_t i = 0; i < ARRAY_LENGTH(pids); i++)
        kill_and_wait(pids[i]);
    close_anonymous();
}

static void test_objects(void **state)
{
    (void)state;
    struct ipcfs_ref ref = make_pipe("a b", 0640);
    (void)make_pipe("idle", 0622);
    const struct held files[] = {{"a b", O_RDWR}, {"a b", O_RDONLY | O_NONBLOCK}, {NULL, 0}};
    pid_t pid = start_holder(USER, files);
    struct surveyed row = survey_for("a b", 0);
    assert_true(row.found);
    assert_string_equal(row.kind, "fifo");
    assert_int_equal(row.ino, ref.id.number);
    assert_true(row.readers == 1 && row.writers == 1 && row.queued == 0 && row.capacity > 0);
    assert_true(row.mode == 0640 && row.uid == 0);
    must_have_pids(&row, "%drw", pid);
    assert_false(survey_for(real_path("a b"), 0).found);
    row = survey_for("idle", 0);
    assert_true(row.found && row.readers == 0 && row.writers == 0 && row.mode == 0622);
    assert_true(row.queued == -1 && row.capacity == -1);
    assert_string_equal(row.pids, "");
    /* Without a name it is still open. */
    assert_int_equal(kind->remove(0, "a b"), 0);
    assert_false(survey_for("a b", 0).found);
    char path[600];
    (void)snprintf(path, sizeof path, "%s (deleted)", real_path("a b"));
    row = survey_for(path, 0);
    assert_true(row.found && row.ino == (long)ref.id.number && row.readers == 1 && row.uid == 0);
    kill_and_wait(pid);
    assert_false(survey_for(path, 0).found);
}

/* FIFOs of other file systems, and other files of this one. */
static void test_elsewhere(void **state)
{
    (void)state;
    struct stat stat;
    assert_int_equal(mkfifo("/dev/shm/else where", 0606), 0);
    assert_int_equal(lstat("/dev/shm/else where", &stat), 0);
    const struct held files[] = {{"/dev/shm/else where", O_RDWR}, {"/dev/null", O_RDWR}, {NULL, 0}};
    pid_t pid = start_holder(0, files);
    struct surveyed row = survey_for("/dev/shm/else where", 0);
    assert_true(row.found);
    assert_string_equal(row.kind, "fifo");
    assert_true(row.ino == (long)stat.st_ino && row.readers == 1 && row.writers == 1 && row.mode == 0606);
    assert_false(survey_for("/dev/null", 0).found);
    kill_and_wait(pid);
    assert_int_equal(unlink("/dev/shm/else where"), 0);
}

/* More than are named. */
static void test_many_holders(void **state)
{
    (void)state;
    enum { MANY = 20, SHOWN = 16 };
    ino_t ino = make_anonymous();
    pid_t pids[MANY];
    for (int i = 0; i < MANY; i++)
        pids[i] = start_peer_with(i % 2 ? READER : WRITER);
    struct surveyed row = survey_for(NULL, ino);
    assert_int_equal(row.readers, MANY / 2);
    assert_int_equal(row.writers, MANY / 2);
    int commas = 0;
    for (const char *byte = row.pids; *byte; byte++)
        commas += *byte == ',';
    assert_int_equal(commas, SHOWN);
    assert_string_equal(strrchr(row.pids, ','), ",+4");
    for (int i = 0; i < MANY; i++)
        kill_and_wait(pids[i]);
    close_anonymous();
}

static void test_as_user(void **state)
{
    (void)state;
    (void)make_pipe("his", 0600);
    (void)make_pipe("roots", 0600);
    const struct held his[] = {{"his", O_RDWR}, {NULL, 0}};
    const struct held roots[] = {{"his", O_RDWR}, {"roots", O_RDWR}, {"/dev/shm/x", O_RDWR}, {NULL, 0}};
    assert_int_equal(mkfifo("/dev/shm/x", 0666), 0);
    ino_t ino = make_anonymous();
    pid_t pids[] = {start_holder(USER, his), start_holder(0, roots), start_peer_with(BOTH)};
    act_as(USER);
    struct surveyed rows[] = {survey_for("his", 0), survey_for("roots", 0), survey_for("/dev/shm/x", 0),
                              survey_for(NULL, ino)};
    act_as_root();
    assert_true(rows[0].found && rows[0].readers == 1 && rows[0].capacity > 0);
    must_have_pids(&rows[0], "%drw", pids[0]);
    assert_true(rows[1].found && rows[1].readers == 0 && rows[1].capacity == -1 && rows[1].queued == -1);
    assert_false(rows[2].found);
    assert_false(rows[3].found);
    assert_true(survey_for("/dev/shm/x", 0).found);
    for (size_t i = 0; i < ARRAY_LENGTH(pids); i++)
        kill_and_wait(pids[i]);
    close_anonymous();
    assert_int_equal(unlink("/dev/shm/x"), 0);
}

static int refuse_row(void *data, const struct ipcfs_value *values)
{
    (void)values;
    int *left = data;
    return --*left ? 0 : -ECANCELED;
}

static void test_end_by_row(void **state)
{
    (void)state;
    (void)make_pipe("a", 0600);
    (void)make_pipe("b", 0600);
    (void)make_anonymous();
    pid_t pid = start_peer_with(BOTH);
    for (int rows = 1; rows <= 3; rows++) {
        int left = rows;
        assert_int_equal(kind->survey(refuse_row, &left), -ECANCELED);
        assert_int_equal(left, 0);
    }
    kill_and_wait(pid);
    close_anonymous();
}

static const struct CMUnitTest tests[] = {
    PIPE_TEST(test_anonymous),    PIPE_TEST(test_objects), PIPE_TEST(test_elsewhere),
    PIPE_TEST(test_many_holders), PIPE_TEST(test_as_user), PIPE_TEST(test_end_by_row),
};

const struct suite pipe_survey_suite = {
    .name = "survey", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "pipe"};
