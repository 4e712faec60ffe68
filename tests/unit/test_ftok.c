/* SPDX-License-Identifier: MIT */
/* The keys of sysv/ftok beside those of ftok(3). */
#include "cmocka_api.h"
#include "failing.h"

#include "control.h"
#include "ftok.h"
#include "ipcfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/stat.h>
#include <unistd.h>

static char base[] = "/tmp/ipcfs-ftok-XXXXXX";
static char paths[2][PATH_MAX];

/* "BASE/NAME", in one of two places in turn. */
static const char *in_base(const char *name)
{
    static unsigned turn;
    char *path = paths[turn++ % 2];
    (void)snprintf(path, PATH_MAX, "%s/%s", base, name);
    return path;
}

static void make_link(const char *target, const char *name)
{
    assert_int_equal(symlink(target, in_base(name)), 0);
}

static void make_file(const char *name)
{
    int fd = open(in_base(name), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static int set_up(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(base));
    assert_int_equal(mkdir(in_base("d"), 0700), 0);
    assert_int_equal(mkdir(in_base("d/e"), 0700), 0);
    make_file("d/e/file");
    make_file("with space");
    assert_int_equal(mkfifo(in_base("fifo"), 0600), 0); /* never opened: it would block */
    make_link("d/e", "relative");
    make_link(in_base("d"), "absolute");
    make_link("relative/../e/file", "far");
    make_link("loop", "loop");
    make_link("nowhere", "dangling");
    make_link("d/e/file/", "file with slash");
    make_link("d/", "d with slash");
    make_link("/proc/self", "proc");
    char name[32];
    make_link("d", "chain0");
    for (int i = 1; i <= 41; i++) {
        char target[32];
        (void)snprintf(target, sizeof target, "chain%d", i - 1);
        (void)snprintf(name, sizeof name, "chain%d", i);
        make_link(target, name);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[PATH_MAX];
    (void)snprintf(command, sizeof command, "rm -r %s", base);
    return system(command); // NOLINT(cert-env33-c,concurrency-mt-unsafe): a path of our own
}

/* What ftok(3) says and what we say: the key, or the errno. */
static void must_agree(const char *path)
{
    AUTO_TEXT reason = {0};
    uint32_t key = 0;
    for (int project = 1; project <= 255; project += 127) {
        errno = 0;
        key_t theirs = ftok(path, project);
        int their_error = theirs == -1 ? -errno : 0;
        int error = ftok_key(path, (unsigned char)project, 0, &key, &reason);
        if (error != their_error || (!error && key != (uint32_t)theirs))
            fail_msg("%s: %d, 0x%08x; ftok(3): %d, 0x%08x", path, error, key, their_error, (unsigned)theirs);
    }
}

static void test_agrees_with_ftok(void **state)
{
    (void)state;
    static const char *const names[] = {
        "",
        ".",
        "..",
        "./",
        "d",
        "d/",
        "d//e///file",
        "d/e/file",
        "d/e/file/",
        "d/e/file/.",
        "d/e/../e/.",
        "d/./e",
        "with space",
        "fifo",
        "fifo/",
        "relative",
        "relative/",
        "absolute",
        "absolute/e",
        "far",
        "far/x",
        "loop",
        "loop/x",
        "dangling",
        "dangling/..",
        "missing",
        "missing/x",
        "d/missing",
        "file with slash",
        "d with slash",
        "d with slash/e",
        "relative/../../d",
        "chain0",
        "chain38",
        "chain39",
        "chain40",
        "chain41",
        "../../../..",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        must_agree(in_base(names[i]));
    static const char *const others[] = {"/",      "//",        "/.",       "/..", "/proc",
                                         "/proc/", "/dev/null", "/proc/1/", "/sys"};
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        must_agree(others[i]);
}

static void test_long_paths(void **state)
{
    (void)state;
    char path[PATH_MAX + 1];
    memset(path, '/', sizeof path);
    path[PATH_MAX - 1] = '\0';
    must_agree(path);
    path[PATH_MAX - 1] = '/';
    path[PATH_MAX] = '\0';
    must_agree(path);
    memset(path + 1, 'n', NAME_MAX + 1);
    path[NAME_MAX + 1] = '\0';
    must_agree(path);
    path[NAME_MAX + 1] = 'n';
    path[NAME_MAX + 2] = '\0';
    must_agree(path);
}

static void must_fail(const char *path, dev_t own, int expected, const char *words)
{
    AUTO_TEXT reason = {0};
    uint32_t key = 0;
    assert_int_equal(ftok_key(path, 1, own, &key, &reason), expected);
    text_bytes(&reason, "", 1);
    assert_string_equal(reason.data, words);
}

static void test_refusals(void **state)
{
    (void)state;
    must_fail("", 0, -EINVAL, "not an absolute path");
    must_fail("d", 0, -EINVAL, "not an absolute path");
    must_fail("/proc/self/status", 0, -EINVAL, "a link in /proc leads elsewhere for everybody");
    must_fail(in_base("proc"), 0, -EINVAL, "a link in /proc leads elsewhere for everybody");
    must_fail(in_base("missing"), 0, -ENOENT, "");
}

/* Nothing in the mount is looked at, whatever way leads there. */
static void test_own_mount(void **state)
{
    (void)state;
    struct stat status;
    uint32_t key = 0;
    AUTO_TEXT reason = {0};
    assert_int_equal(stat("/proc", &status), 0);
    make_link("/proc/1/status", "into");
    make_link("into", "into it");
    must_fail("/proc", status.st_dev, -EINVAL, "inside the mount");
    must_fail("/proc/missing", status.st_dev, -EINVAL, "inside the mount");
    must_fail("/proc/..", status.st_dev, -EINVAL, "inside the mount");
    must_fail(in_base("into"), status.st_dev, -EINVAL, "inside the mount");
    must_fail(in_base("into it"), status.st_dev, -EINVAL, "inside the mount");
    assert_int_equal(ftok_key(in_base("d"), 1, status.st_dev, &key, &reason), 0);
}

/* All at once, so that some have to do without waiting. */
static void *walk_on(void *data)
{
    uintptr_t wrong = 0;
    for (int i = 0; i < 300; i++) {
        AUTO_TEXT reason = {0};
        uint32_t key = 0;
        int error = ftok_key(data, 7, 0, &key, &reason);
        if (error == -EAGAIN) /* who may not wait, where the machine drops its caches or mounts a lot */
            continue;
        wrong += error || key != (uint32_t)ftok(data, 7);
    }
    return (void *)wrong;
}

static void test_at_once(void **state)
{
    (void)state;
    pthread_t threads[8];
    const char *path = in_base("absolute/e/file");
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, walk_on, (void *)path), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++) {
        void *wrong = NULL;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    /* And afterwards one may wait again: this name is in no cache. */
    must_fail(in_base("never looked up"), 0, -ENOENT, "");
}

/* ---- the line ---- */

static int write_ftok(const char *line, struct text *answer)
{
    static struct ipcfs fs;
    int error = control_ftok(&fs, NULL, NULL, line, strlen(line), answer);
    text_bytes(answer, "", 1);
    return error;
}

static void must_answer(const char *line, const char *path, int project)
{
    AUTO_TEXT answer = {0};
    char expected[16];
    (void)snprintf(expected, sizeof expected, "0x%08x\n", (unsigned)ftok(path, project));
    int error = write_ftok(line, &answer);
    if (error || strcmp(answer.data, expected) != 0)
        fail_msg("\"%s\": %d, %s, expected %s", line, error, answer.data, expected);
}

static void test_lines(void **state)
{
    (void)state;
    char line[PATH_MAX];
    char path[PATH_MAX];
    must_answer("/ 1", "/", 1);
    must_answer("/ 255", "/", 255);
    must_answer("/ 007", "/", 7);
    must_answer("/ A", "/", 'A');
    must_answer("/ /", "/", '/');
    must_answer("/ \\134", "/", '\\');
    must_answer("/ \\040", "/", ' ');
    must_answer(" \t/dev/null \t 5 ", "/dev/null", 5);
    (void)snprintf(path, sizeof path, "%s/with space", base);
    (void)snprintf(line, sizeof line, "%s/with space 9", base);
    must_answer(line, path, 9);
    (void)snprintf(line, sizeof line, "%s/with\\040space 9", base);
    must_answer(line, path, 9);
}

static const struct {
    const char *line;
    int error;
    const char *reason;
} bad[] = {
    {" ", -EINVAL, "PATH PROJ is wanted: a path, and a number or a character"},
    {"/tmp", -EINVAL, "PATH PROJ is wanted: a path, and a number or a character"},
    {"/tmp ", -EINVAL, "PATH PROJ is wanted: a path, and a number or a character"},
    {"/tmp 0", -EINVAL, "0: PROJ is a number of 1 to 255, or one character"},
    {"/tmp 256", -EINVAL, "256: PROJ is a number of 1 to 255, or one character"},
    {"/tmp 99999999999999999999", -EINVAL,
     "99999999999999999999: PROJ is a number of 1 to 255, or one character"},
    {"/tmp 4294967301", -EINVAL, "4294967301: PROJ is a number of 1 to 255, or one character"},
    {"/tmp AB", -EINVAL, "AB: PROJ is a number of 1 to 255, or one character"},
    {"/tmp -1", -EINVAL, "-1: PROJ is a number of 1 to 255, or one character"},
    {"/tmp 1x", -EINVAL, "1x: PROJ is a number of 1 to 255, or one character"},
    {"/tmp \\", -EINVAL, "\\: PROJ is a number of 1 to 255, or one character"},
    {"/a\\b 1", -EINVAL, "/a\\b: a backslash in a path is \\134"},
    {"tmp 1", -EINVAL, "tmp: not an absolute path"},
    {"/missing\\040file 1", -ENOENT, "/missing\\040file: No such file or directory"},
};

static void test_bad_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        AUTO_TEXT answer = {0};
        assert_int_equal(write_ftok(bad[i].line, &answer), bad[i].error);
        assert_string_equal(answer.data, bad[i].reason);
    }
}

static void test_out_of_memory(void **state)
{
    (void)state;
    static struct ipcfs fs;
    static const char *const lines[] = {"/ 1", "/missing 1", "tmp 1"};
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
        static const int errors[] = {0, -ENOENT, -EINVAL};
        long before = failing_live();
        bool failed = true;
        for (unsigned number = 1; failed; number++) {
            struct text answer = {0};
            failing_arm(number);
            int error = control_ftok(&fs, NULL, NULL, lines[i], strlen(lines[i]), &answer);
            failed = failing_disarm();
            if (!failed)
                assert_int_equal(error, errors[i]);
            else if (error == 0)
                assert_int_equal(text_error(&answer), -ENOMEM);
            text_reset(&answer);
            assert_int_equal(failing_live(), before);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agrees_with_ftok), cmocka_unit_test(test_long_paths),
        cmocka_unit_test(test_refusals),         cmocka_unit_test(test_own_mount),
        cmocka_unit_test(test_at_once),          cmocka_unit_test(test_lines),
        cmocka_unit_test(test_bad_lines),        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
