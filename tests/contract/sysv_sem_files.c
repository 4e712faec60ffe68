/* SPDX-License-Identifier: MIT */
/* The files of a semaphore set that are text, and `op`: what is read and written beside native users. */
#include "sysv_sem_subject.h"

#include "sysv_sem_values.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A command that is done at once. */
static void must_do(const struct ipcfs_created *object, const char *line)
{
    assert_int_equal(command(object, line), strlen(line));
}

/* ---- nsems and values ---- */

static void test_nsems(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(3, 0600);
    for (int by_hold = 0; by_hold < 2; by_hold++) {
        struct ipcfs_ref ref = key_ref(&object, by_hold);
        assert_int_equal(kind->members(&ref), 3);
        must_read(set_file("nsems"), &ref, 0, "3\n");
    }
    let_go(&object);
}

static void test_values(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(3, 0600);
    struct ipcfs_ref ref = key_ref(&object, false);
    int id = id_of(&object);
    must_read(set_file("values"), &ref, 0, "0 0 0\n");
    native_put(id, 0, 1);
    native_put(id, 2, 32767);
    must_read(set_file("values"), &ref, 0, "1 0 32767\n");
    static const char *const lines[] = {"5 6 7", " 5  6\t7 ", "5 6 7\n", "05 006 7"};
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
        native_put(id, 1, 0);
        assert_int_equal(write_line(set_file("values"), &ref, 0, lines[i]), 0);
        assert_true(native_value(id, 0) == 5 && native_value(id, 1) == 6 && native_value(id, 2) == 7);
    }
    assert_int_equal(native_get(id, 1, GETPID), getpid());
    let_go(&object);
}

static void must_refuse(const struct ipcfs_verb *verb, const struct ipcfs_ref *ref, const char *line,
                        int expected, const char *why)
{
    AUTO_TEXT reason = {0};
    int error = write_bytes(verb, ref, 0, line, strlen(line), &reason);
    text_bytes(&reason, "", 1);
    if (error != expected || !strstr(reason.data, why))
        fail_msg("%s \"%s\": %s, \"%s\"", verb->name, line, strerror(-error), reason.data);
}

static void test_values_refused(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int error;
        const char *why;
    } wrong[] = {
        {"", -EINVAL, "3 values are wanted, not 0"},
        {"1 2", -EINVAL, "3 values are wanted, not 2"},
        {"1 2 3 4", -EINVAL, "3 values are wanted, not 4"},
        {"1 x 3", -EINVAL, "x: a value"},
        {"1 -2 3", -EINVAL, "-2: a value"},
        {"1 +2 3", -EINVAL, "+2: a value"},
        {"1 2,3 4", -EINVAL, "2,3: a value"},
        {"1 2 32768", -ERANGE, "32768: over the highest value, 32767"},
        {"1 2 99999999999999999999999", -ERANGE, "over the highest value"},
        {"1 2 65537", -ERANGE, "65537"},
        {"1 2 \033[2J", -EINVAL, "\\033[2J: a value"},
    };
    struct ipcfs_created object = new_set(3, 0600);
    struct ipcfs_ref ref = key_ref(&object, false);
    native_put(id_of(&object), 0, 9);
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        must_refuse(set_file("values"), &ref, wrong[i].line, wrong[i].error, wrong[i].why);
    must_read(set_file("values"), &ref, 0, "9 0 0\n");
    let_go(&object);
}

static void test_many_values(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    AUTO_TEXT text = {0};
    AUTO_TEXT again = {0};
    AUTO_TEXT reason = {0};
    struct ipcfs_created object = new_set(COUNT, 0600);
    struct ipcfs_ref ref = key_ref(&object, true);
    for (int i = 0; i < COUNT; i++)
        text_printf(&text, "%d%c", i * 7 % 32768, i + 1 < COUNT ? ' ' : '\n');
    assert_int_equal(write_bytes(set_file("values"), &ref, 0, text.data, text.length, &reason), 0);
    assert_int_equal(native_value(id_of(&object), 4999), 4999 * 7 % 32768);
    assert_int_equal(set_file("values")->read(&ref, 0, &again), 0);
    assert_int_equal(again.length, text.length);
    assert_memory_equal(again.data, text.data, text.length);
    let_go(&object);
}

/* ---- value ---- */

static void test_value(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(2, 0600);
    int id = id_of(&object);
    for (int by_hold = 0; by_hold < 2; by_hold++) {
        struct ipcfs_ref ref = key_ref(&object, by_hold);
        native_put(id, 1, 44);
        must_read(member_file("value"), &ref, 1, "44\n");
        must_read(member_file("value"), &ref, 0, "0\n");
        assert_int_equal(write_line(member_file("value"), &ref, 1, "32767"), 0);
        assert_int_equal(native_value(id, 1), 32767);
        assert_int_equal(write_line(member_file("value"), &ref, 1, "0"), 0);
        assert_true(native_value(id, 1) == 0 && native_value(id, 0) == 0);
    }
    static const char *const wrong[] = {"", "x", "1x", "-1", "+1", " 1", "1 ", "1 2", "0x1"};
    struct ipcfs_ref ref = key_ref(&object, false);
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        must_refuse(member_file("value"), &ref, wrong[i], -EINVAL, "a value from 0 to 32767 is wanted");
    must_refuse(member_file("value"), &ref, "32768", -ERANGE, "over the highest value");
    must_refuse(member_file("value"), &ref, "4294967297", -ERANGE, "over the highest value");
    assert_int_equal(native_value(id, 0), 0);
    let_go(&object);
}

/* A semaphore that is not there: no file of it is. */
static void test_numbers_outside(void **state)
{
    (void)state;
    static const int64_t numbers[] = {2,         3,        65536, 65537, -1, INT32_MAX, INT64_C(1) << 32,
                                      INT64_MAX, INT64_MIN};
    static const char *const opened[] = {"wait", "zero", "hold"};
    struct ipcfs_created object = new_set(2, 0600);
    struct ipcfs_ref ref = key_ref(&object, true);
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
        AUTO_TEXT text = {0};
        struct ipcfs_file *file = NULL;
        assert_int_equal(member_file("value")->read(&ref, numbers[i], &text), -ENOENT);
        assert_int_equal(write_line(member_file("value"), &ref, numbers[i], "1"), -ENOENT);
        assert_int_equal(write_line(member_file("post"), &ref, numbers[i], ""), -ENOENT);
        for (size_t j = 0; j < ARRAY_LENGTH(opened); j++)
            assert_int_equal(member_file(opened[j])->open(&ref, numbers[i], O_RDONLY, &file), -ENOENT);
    }
    must_read(set_file("values"), &ref, 0, "0 0\n");
    let_go(&object);
}

/* semop(2) has 16 bits for the number: what comes after is not to become a semaphore at the beginning. */
static void test_numbers_that_semop_has_not(void **state)
{
    (void)state;
    set_kernel_sem("70000 1024000000 500 32000");
    struct ipcfs_created object = new_set(65538, 0600);
    reset_kernel_sem();
    struct ipcfs_ref ref = key_ref(&object, true);
    struct ipcfs_file *file = NULL;
    static const char *const opened[] = {"wait", "zero", "hold"};
    assert_int_equal(write_line(member_file("post"), &ref, 65536, "3"), -EFBIG);
    for (size_t j = 0; j < ARRAY_LENGTH(opened); j++)
        assert_int_equal(member_file(opened[j])->open(&ref, 65536, O_RDONLY, &file), -EFBIG);
    assert_int_equal(prepare(&object, "65536:+1", NULL, &file), -EFBIG);
    must_do(&object, "65535:+1");
    assert_int_equal(write_line(member_file("value"), &ref, 65536, "5"), 0);
    must_read(member_file("value"), &ref, 65536, "5\n");
    must_read(member_file("value"), &ref, 0, "0\n");
    must_read(member_file("value"), &ref, 65535, "1\n");
    let_go(&object);
}

/* ---- post ---- */

static void test_post(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int posted;
    } lines[] = {{"", 1},    {"3", 3},   {"0", 0},   {"x", 1},      {"go 3", 1},   {"007", 7},
                 {" 2 ", 2}, {"   ", 1}, {"\t4", 4}, {"32700", -1}, {"32766", -1}, {"ü", 1}};
    struct ipcfs_created object = new_set(2, 0600);
    struct ipcfs_ref ref = key_ref(&object, true);
    int id = id_of(&object);
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
        int before = lines[i].posted < 0 ? 0 : 100;
        native_put(id, 1, before);
        int posted = lines[i].posted < 0 ? (int)strtol(lines[i].line, NULL, 10) : lines[i].posted;
        assert_int_equal(write_line(member_file("post"), &ref, 1, lines[i].line), 0);
        assert_int_equal(native_value(id, 1), before + posted);
    }
    assert_int_equal(native_value(id, 0), 0);
    assert_int_equal(native_get(id, 1, GETPID), getpid());
    let_go(&object);
}

static void test_post_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"3x", "-1", "+3", "+", "-", "1.5", "0x3", "3 4", "3 x", "--3"};
    struct ipcfs_created object = new_set(1, 0600);
    struct ipcfs_ref ref = key_ref(&object, true);
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        must_refuse(member_file("post"), &ref, wrong[i], -EINVAL, "how many to post is wanted");
    must_refuse(member_file("post"), &ref, "32768", -ERANGE, "over the highest value");
    must_refuse(member_file("post"), &ref, "65536", -ERANGE, "over the highest value");
    must_refuse(member_file("post"), &ref, "4294967297", -ERANGE, "over the highest value");
    AUTO_TEXT reason = {0};
    assert_int_equal(write_bytes(member_file("post"), &ref, 0, "\0", 1, &reason), -EINVAL);
    native_put(id_of(&object), 0, 32766);
    must_refuse(member_file("post"), &ref, "2", -ERANGE, "the value would be over the highest");
    assert_int_equal(native_value(id_of(&object), 0), 32766);
    assert_int_equal(write_line(member_file("post"), &ref, 0, ""), 0);
    assert_int_equal(native_value(id_of(&object), 0), 32767);
    let_go(&object);
}

/* ---- op ---- */

static void test_op(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(3, 0600);
    struct ipcfs_ref ref = key_ref(&object, true);
    must_do(&object, "0:+5 1:2");
    must_read(set_file("values"), &ref, 0, "5 2 0\n");
    must_do(&object, " 0:-1\n1:+1\n2:0\n\n");
    must_read(set_file("values"), &ref, 0, "4 3 0\n");
    must_do(&object, "0:-1\t0:-1 0:+0007 2:+0 2:-0"); /* in order, of one semaphore */
    must_read(set_file("values"), &ref, 0, "9 3 0\n");
    must_do(&object, "0:32758 1:-3");
    must_read(set_file("values"), &ref, 0, "32767 0 0\n");
    must_do(&object, "0:-32767");
    must_read(set_file("values"), &ref, 0, "0 0 0\n");
    let_go(&object);
}

/* All or nothing. */
static void test_op_is_atomic(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(2, 0600);
    struct ipcfs_ref ref = key_ref(&object, true);
    must_do(&object, "0:+2");
    assert_int_equal(command(&object, "0:-1 1:-1"), -EAGAIN);
    assert_int_equal(command(&object, "0:-2 0:-1"), -EAGAIN);
    assert_int_equal(command(&object, "1:+1 0:0"), -EAGAIN);
    assert_int_equal(command(&object, "0:+1 1:+32767 1:+1"), -ERANGE);
    assert_int_equal(command(&object, "0:+32767"), -ERANGE);
    must_read(set_file("values"), &ref, 0, "2 0\n");
    must_do(&object, "0:-2 0:0 1:+1"); /* 0 is reached on the way */
    must_read(set_file("values"), &ref, 0, "0 1\n");
    let_go(&object);
}

/* What it would wait for: a keeper's native call, or, with an n, nothing. */
static void test_op_that_will_not_wait(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum ipcfs_wait_source source;
    } lines[] = {{"0:-1", IPCFS_WAIT_KEEPER},
                 {"0:-1n", IPCFS_WAIT_NONE},
                 {"0:+1 0:0n", IPCFS_WAIT_NONE},
                 {"1:+1n 0:-1", IPCFS_WAIT_NONE},
                 {"1:1 0:-1", IPCFS_WAIT_KEEPER}};
    struct ipcfs_created object = new_set(2, 0600);
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
        struct ipcfs_wait wait = {0};
        struct ipcfs_file *file = must_prepare(&object, lines[i].line);
        assert_int_equal(write_once(file, lines[i].line, &wait), -EAGAIN);
        assert_int_equal(wait.source, lines[i].source);
        if (wait.source == IPCFS_WAIT_NONE) {
            wait.block = true; /* not even then */
            assert_int_equal(write_once(file, lines[i].line, &wait), -EAGAIN);
        }
        kind->close(file);
    }
    must_do(&object, "0:+1n 1:0n");
    assert_int_equal(native_value(id_of(&object), 0), 1);
    let_go(&object);
}

static void test_op_refused(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int error;
        const char *why;
    } wrong[] = {
        {"", -EINVAL, "words are wanted"},
        {" \n\t", -EINVAL, "words are wanted"},
        {"0", -EINVAL, "0: NUM:OP"},
        {"0:", -EINVAL, "0:: NUM:OP"},
        {":1", -EINVAL, ":1: NUM:OP"},
        {"0:+1 x:1", -EINVAL, "x:1: NUM:OP"},
        {"0:+1 0:x", -EINVAL, "0:x: NUM:OP"},
        {"-1:1", -EINVAL, "-1:1: NUM:OP"},
        {"+1:1", -EINVAL, "+1:1: NUM:OP"},
        {"0:+-1", -EINVAL, "0:+-1"},
        {"0:--1", -EINVAL, "0:--1"},
        {"0:1 0:+", -EINVAL, "0:+: "},
        {"0:1nn", -EINVAL, "0:1nn"},
        {"0:n", -EINVAL, "0:n"},
        {"0:-n", -EINVAL, "0:-n"},
        {"0:1u", -EINVAL, "0:1u"},
        {"0:1:1", -EINVAL, "0:1:1"},
        {"0 : 1", -EINVAL, "0: NUM:OP"},
        {"0:0x1", -EINVAL, "0:0x1"},
        {"0:1,1:1", -EINVAL, "0:1,1:1"},
        {"2:1", -EFBIG, "2:1: the semaphores are 0 to 1"},
        {"0:1 65536:1", -EFBIG, "65536:1"},
        {"18446744073709551616:1", -EFBIG, "18446744073709551616:1"},
        {"4294967296:1", -EFBIG, "4294967296:1"},
        {"0:32768", -ERANGE, "OP is from -32768 to 32767"},
        {"0:-32769", -ERANGE, "OP is from"},
        {"0:65537", -ERANGE, "OP is from"},
        {"0:99999999999999999999n", -ERANGE, "OP is from"},
        {"0:\033[0m:a-very-long-word-that-does-not-end-for-a-long-time", -EINVAL, "0:\\033[0m:a-very"},
    };
    struct ipcfs_created object = new_set(2, 0600);
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        AUTO_TEXT reason = {0};
        struct ipcfs_file *file = NULL;
        int error = prepare(&object, wrong[i].line, &reason, &file);
        text_bytes(&reason, "", 1);
        if (error != wrong[i].error || !strstr(reason.data, wrong[i].why))
            fail_msg("\"%s\": %s, \"%s\"", wrong[i].line, strerror(-error), reason.data);
    }
    let_go(&object);
}

static void test_op_of_too_many(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(1, 0600);
    struct ipcfs_file *file = NULL;
    AUTO_TEXT reason = {0};
    AUTO_TEXT line = {0};
    set_kernel_sem("32000 1024000000 3 32000");
    must_do(&object, "0:1 0:1 0:1");
    assert_int_equal(prepare(&object, "0:1 0:1 0:1 0:1", &reason, &file), -E2BIG);
    text_bytes(&reason, "", 1);
    assert_string_equal(reason.data, "4 operations: over semopm (3) of kernel.sem");
    file = must_prepare(&object, "0:1 0:1 0:1");
    set_kernel_sem("32000 1024000000 2 32000"); /* lowered meanwhile: the kernel says so itself */
    struct ipcfs_wait wait = {0};
    assert_int_equal(write_once(file, "x", &wait), -E2BIG);
    kind->close(file);
    reset_kernel_sem();
    for (int i = 0; i < 500; i++)
        text_string(&line, "0:+1 ");
    text_bytes(&line, "", 1);
    must_do(&object, line.data);
    assert_int_equal(native_value(id_of(&object), 0), 503);
    let_go(&object);
}

/* ---- an id that means a larger set by now ---- */

/* What the race below seldom meets: the array is of the set as it was, and the kernel would write 10,000 bytes. */
static void test_array_that_is_too_small(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(5000, 0600);
    static const size_t counts[] = {1, 3, 2047, 2048, 2049, 4999};
    for (size_t i = 0; i < ARRAY_LENGTH(counts); i++) {
        struct sysv_sem_values values = {0};
        assert_int_equal(sysv_sem_values_make(counts[i], &values), 0);
        for (size_t j = 0; j < counts[i]; j++)
            assert_int_equal(values.values[j], 0); /* also where it had others before */
        memset(values.values, 7, counts[i] * sizeof values.values[0]);
        assert_int_equal(sysv_sem_set_all(id_of(&object), &values), -ESTALE);
        assert_int_equal(native_value(id_of(&object), 0), 0);
        assert_int_equal(sysv_sem_get_all(id_of(&object), &values), -ESTALE);
        sysv_sem_values_release(&values);
        sysv_sem_values_release(&values);
    }
    let_go(&object);
}

/* Reading and setting all values goes by what the set had a moment ago. Many times, while another process keeps
 * replacing it by sets of other sizes that have the same id: with too small an array memory would be written over. */
static void replace_for_ever(int id)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (unsigned i = 0;; i++) {
        FILE *file = fopen("/proc/sys/kernel/sem_next_id", "we");
        if (!file || fprintf(file, "%d", id) < 0 || fclose(file))
            _exit(1);
        int made = semget(0x2a, i % 2 ? 1 : 30000, IPC_CREAT | IPC_EXCL | 0600);
        if (made < 0)
            _exit(errno);
        (void)sched_yield();
        if (made != id || semctl(id, 0, IPC_RMID))
            _exit(255);
    }
}

static void test_replaced_by_a_larger_set(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(1, 0600);
    struct ipcfs_ref ref = key_ref(&object, true);
    native_set_remove(id_of(&object));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        replace_for_ever(id_of(&object));
    unsigned seen = 0;
    const time_t end = time(NULL) + 60; /* on a busy machine the other one may long not run */
    for (int i = 0; i < 20000 || (seen != 3 && time(NULL) < end); i++) {
        AUTO_TEXT text = {0};
        int error =
            i % 2 ? set_file("values")->read(&ref, 0, &text) : write_line(set_file("values"), &ref, 0, "1");
        assert_true(error == 0 || error == -ESTALE || error == -EINVAL);
        seen |= error == 0 ? 1 : 2;
    }
    int status = 0;
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, SIGKILL); /* it has done so to the end */
    assert_int_equal(seen, 3);
    let_go(&object);
}

static const struct CMUnitTest tests[] = {
    TEST(test_nsems),
    TEST(test_values),
    TEST(test_values_refused),
    TEST(test_many_values),
    TEST(test_value),
    TEST(test_numbers_outside),
    TEST(test_numbers_that_semop_has_not),
    TEST(test_post),
    TEST(test_post_refused),
    TEST(test_op),
    TEST(test_op_is_atomic),
    TEST(test_op_that_will_not_wait),
    TEST(test_op_refused),
    TEST(test_op_of_too_many),
    TEST(test_array_that_is_too_small),
    TEST(test_replaced_by_a_larger_set),
};

const struct suite sysv_sem_files_suite = {
    .name = "files", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "sysv/sem"};
