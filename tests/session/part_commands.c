/* SPDX-License-Identifier: MIT */
/* What is written in an object: commands, which may wait in WRITE, and texts a line at a time. */
#include "parts.h"

#include "failing.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t write_later(const struct open_file *file, const char *text, int flags)
{
    begin_write(file, text, flags);
    return ask_later();
}

/* The bytes that were written, or −errno. */
static int written(uint64_t unique)
{
    struct fuse_write_out out;
    int error = late_answer(unique, &out, sizeof out);
    return error ? error : (int)out.size;
}

/* ---- commands ---- */

static void test_command(void **state)
{
    (void)state;
    wire.asker = stranger;
    struct open_file file = must_open("set/one/1/op", O_RDWR);
    assert_int_equal(file.flags, FOPEN_STREAM | FOPEN_DIRECT_IO | FOPEN_NOFLUSH | 1 << 6);
    must_read(&file, "words of 1\n");
    must_read(&file, "");
    assert_int_equal(write_to(&file, "+3\n"), 3);
    assert_int_equal(native.commander, stranger.uid);
    assert_int_equal(write_to(&file, "-1"), 2);
    assert_int_equal(parts_value("one", 1), 2);
    assert_int_equal(native.files, 0); /* each command is over with its write */
    must_close(&file);
    file = must_open("set/one/1/op", O_RDONLY | O_TRUNC);
    assert_int_equal(file.flags & FOPEN_STREAM, 0);
    assert_int_equal(write_to(&file, "+3\n"), -EBADF);
    must_close(&file);
    file = must_open("set/two/op", O_WRONLY | O_TRUNC);
    const struct fuse_setattr_in in = {.valid = FATTR_SIZE};
    assert_int_equal(do_setattr(file.node, &in, NULL), 0);
    assert_int_equal(write_to(&file, "+1"), 2);
    assert_int_equal(parts_value("two", 0), 1);
    must_close(&file);
}

static void test_command_waits(void **state)
{
    (void)state;
    struct open_file one = must_open("set/one/op", O_RDWR);
    struct open_file other = must_open("set/one/op", O_RDWR);
    struct open_file member = must_open("set/one/1/op", O_RDWR);
    uint64_t first = write_later(&one, "-1\n", 0);
    uint64_t second = write_later(&other, "-1", 0);
    uint64_t large = write_later(&one, "-5", 0);
    uint64_t elsewhere = write_later(&member, "-1", 0);
    await_parked(4);
    must_still_wait();
    assert_int_equal(write_to(&one, "+0"), 2); /* the handle is free for others */
    parts_set("one", 0, 1);
    assert_int_equal(written(first), 3);
    must_still_wait();
    parts_set("one", 0, 6); /* enough for both, in either order */
    assert_int_equal(written(second), 2);
    assert_int_equal(written(large), 2);
    assert_int_equal(parts_value("one", 0), 0);
    interrupt(elsewhere);
    assert_int_equal(written(elsewhere), -EINTR);
    must_read(&member, "words of 1\n"); /* an interrupt is no refusal */
    must_close(&one);
    must_close(&other);
    must_close(&member);
    must_have_said("");
}

static void test_command_that_will_not_wait(void **state)
{
    (void)state;
    struct open_file file = must_open("set/one/op", O_RDWR);
    begin_write(&file, "-1", O_WRONLY | O_NONBLOCK);
    assert_int_equal(ask().error, -EAGAIN);
    uint64_t waiting = write_later(&file, "-1", 0);
    await_count(&native.blocking, 1);
    begin_write(&file, "-1", O_WRONLY | O_NONBLOCK);
    assert_int_equal(ask().error, -EAGAIN);
    must_have_said("");
    must_read(&file, "words of 0\n");
    parts_set("one", 0, 1);
    assert_int_equal(written(waiting), 2);
    must_close(&file);
}

static void test_command_interrupted_at_any_time(void **state)
{
    (void)state;
    struct open_file file = must_open("set/one/op", O_RDWR);
    for (int round = 0; round < 300; round++) {
        parts_set("one", 0, 0);
        uint64_t unique = write_later(&file, "-2", 0);
        if (round % 3 == 0)
            await_count(&native.blocking, 1);
        if (round % 2)
            parts_set("one", 0, 2);
        interrupt(unique);
        if (round % 2 == 0)
            parts_set("one", 0, 2);
        int result = written(unique);
        assert_true(result == 2 || result == -EINTR);
        assert_int_equal(parts_value("one", 0), result == 2 ? 0 : 2);
    }
    await_parked(0);
    must_close(&file);
}

/* Why it was refused is said to who reads the same handle, and in last-error, with the file's path. */
static void test_command_refused(void **state)
{
    (void)state;
    static const struct {
        const char *path, *said;
    } cases[] = {{"set/one/op", "Z set/one/op: "}, {"set/one/2/op", "Z set/one/2/op: "}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char said[100];
        struct open_file file = must_open(cases[i].path, O_RDWR);
        struct open_file other = must_open(cases[i].path, O_RDWR);
        assert_int_equal(write_to(&file, "what\n"), -EINVAL);
        must_read(&file, "what: not +N or -N\n");
        must_read(&file, "");
        (void)snprintf(said, sizeof said, "%swhat: not +N or -N\n", cases[i].said);
        must_have_said(said);
        must_read(&other, i ? "words of 2\n" : "words of 0\n"); /* another handle, another talk */
        assert_int_equal(write_to(&file, "full\n"), -ERANGE);
        must_read(&file, "full: Numerical result out of range\n");
        (void)snprintf(said, sizeof said, "%sfull: Numerical result out of range\n", cases[i].said);
        must_have_said(said);
        assert_int_equal(write_to(&file, "what"), -EINVAL);
        assert_int_equal(write_to(&file, "+0"), 2); /* what is done takes the reason with it */
        must_read(&file, i ? "words of 2\n" : "words of 0\n");
        must_close(&file);
        must_close(&other);
    }
}

static void test_command_of_no_form(void **state)
{
    (void)state;
    enum { LONGEST = 64 * 1024 };
    static char text[LONGEST + 2];
    struct open_file file = must_open("set/one/op", O_RDWR);
    assert_int_equal(do_write(file.node, file.handle, "+1\0+1", 5, 0, O_RDWR), -EINVAL);
    must_read(&file, "a NUL byte in the line\n");
    assert_int_equal(do_write(file.node, file.handle, "+1", 3, 0, O_RDWR), -EINVAL);
    memset(text, ' ', LONGEST);
    memcpy(text, "+1", 2);
    assert_int_equal(write_to(&file, text), LONGEST);
    text[LONGEST] = ' ';
    assert_int_equal(write_to(&file, text), -E2BIG);
    must_read(&file, "line too long\n");
    must_have_said("Z set/one/op: line too long\n");
    memset(text, '\001', LONGEST);
    memcpy(text, "full", 4);
    text[LONGEST] = '\0';
    assert_int_equal(write_to(&file, text), -ERANGE); /* of a long one only the errno is said */
    must_read(&file, "Numerical result out of range\n");
    assert_int_equal(write_to(&file, ""), -EINVAL);
    assert_int_equal(write_to(&file, "stale"), -ENOENT);
    must_read(&file, "stale: No such file or directory\n");
    assert_true(parts_value("one", 0) == 1 && native.wrong == 0);
    must_close(&file);
}

static void test_command_of_what_goes(void **state)
{
    (void)state;
    struct fuse_open_out out;
    struct open_file file = must_open("set/one/1/op", O_RDWR);
    uint64_t unique = write_later(&file, "-1\n", 0);
    await_count(&native.blocking, 1);
    assert_int_equal(parts_remove("one"), 0);
    assert_int_equal(written(unique), -EIDRM);
    must_read(&file, "-1: Identifier removed\n");
    must_have_said("Z set/one/1/op: -1: Identifier removed\n");
    assert_int_equal(write_to(&file, "-1\n"), -EIDRM);
    must_close(&file);
    await_count(&native.holds, 0);
    assert_int_equal(do_open(file.node, O_RDWR, &out), -ENOENT);
}

static void test_end_while_commands_wait(void **state)
{
    (void)state;
    struct open_file file = must_open("set/one/op", O_RDWR);
    uint64_t first = write_later(&file, "-1", 0);
    uint64_t second = write_later(&file, "-2", 0);
    await_count(&native.blocking, 2);
    ipcfs_end_waits(&wire.fs);
    assert_int_equal(written(first), -ENOTCONN);
    assert_int_equal(written(second), -ENOTCONN);
}

/* A peer that releases what is still written to; no kernel does. */
static void test_released_while_it_waits(void **state)
{
    (void)state;
    struct open_file file = must_open("set/one/op", O_RDWR);
    uint64_t unique = write_later(&file, "-1", 0);
    await_count(&native.blocking, 1);
    must_close(&file);
    assert_int_equal(handles(), 0);
    parts_set("one", 0, 1);
    assert_int_equal(written(unique), 2);
    assert_int_equal(write_to(&file, "+1"), -EBADF);
}

static void test_command_nobody_waits_for(void **state)
{
    (void)state;
    struct open_file file = must_open("set/one/op", O_RDWR);
    (void)write_later(&file, "-1", 0);
    await_count(&native.blocking, 1);
    close(wire.peer);
    wire.peer = -1;
    parts_set("one", 0, 1);
    await_parked(0);
    assert_int_equal(parts_value("one", 0), 0);
}

/* In ctl/<object>/ as in the object: it is given a hold, and the object's line. */
static void test_command_of_ctl(void **state)
{
    (void)state;
    struct open_file file = must_open("ctl/set/one/op", O_WRONLY);
    assert_int_equal(write_to(&file, "+2"), 2);
    assert_true(native.command_held);
    uint64_t unique = write_later(&file, "-3", 0);
    await_count(&native.blocking, 1);
    struct open_file inside = must_open("set/one/op", O_WRONLY);
    begin_write(&inside, "+1", 0);
    uint64_t adding = ask_later();
    assert_int_equal(written(adding), 2);
    assert_int_equal(written(unique), 2);
    assert_int_equal(write_to(&file, "what"), -EINVAL);
    must_have_said("Z ctl/set/one/op: what: not +N or -N\n");
    assert_int_equal(parts_remove("one"), 0);
    assert_int_equal(write_to(&file, "+1"), -EIDRM);
    must_close(&file);
    must_close(&inside);
}

static void test_command_out_of_memory(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int result;
    } cases[] = {{"+1", 2}, {"what\n", -EINVAL}, {"full", -ERANGE}};
    uint64_t node = walk("set/one/op");
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        bool failed = true;
        for (unsigned number = 2; failed; number++) {
            struct fuse_open_out out;
            failing_arm(number);
            int error = do_open(node, O_RDWR, &out);
            failed = failing_disarm();
            assert_int_equal(error, failed ? -ENOMEM : 0);
            if (error)
                continue;
            const struct open_file file = {.node = node, .handle = out.fh};
            parts_set("one", 0, 0);
            failing_arm(number);
            int result = write_to(&file, cases[i].line);
            failed |= failing_disarm();
            assert_true(result == cases[i].result || result == -ENOMEM);
            assert_int_equal(parts_value("one", 0), result == 2);
            assert_int_equal(native.files, 0);
            must_close(&file);
            assert_true(handles() == 0 && native.holds == 0);
        }
    }
}

/* Where it would have to wait. */
static void test_waiting_out_of_memory(void **state)
{
    (void)state;
    struct open_file file = must_open("set/one/op", O_RDWR);
    bool failed = true;
    for (unsigned number = 2; failed; number++) {
        struct wait_stats stats;
        failing_arm(number);
        uint64_t unique = write_later(&file, "-1", 0);
        failed = failing_disarm();
        wait_stats(wire.fs.waits, &stats);
        if (stats.parked)
            interrupt(unique);
        assert_int_equal(written(unique), stats.parked ? -EINTR : -ENOMEM);
        await_parked(0);
    }
    must_close(&file);
}

/* ---- texts ---- */

static void test_text(void **state)
{
    (void)state;
    struct open_file file = must_open("set/one/2/value", O_RDWR);
    must_read(&file, "0\n");
    must_read(&file, "");
    wire.asker = stranger;
    assert_int_equal(write_to(&file, "\n\n17\n"), 5); /* empty lines mean nothing here */
    assert_int_equal(native.writer, stranger.uid);
    assert_true(parts_value("one", 2) == 17 && parts_value("one", 0) == 0);
    must_read(&file, "17\n");
    assert_int_equal(write_to(&file, "x"), -EINVAL);
    must_read(&file, "x: not a number\n");
    must_have_said("Z set/one/2/value: x: not a number\n");
    wire.asker = (struct asker){.pid = (uint32_t)getpid()};
    must_have_said("");
    struct fuse_open_out out;
    assert_int_equal(do_open(walk("set/one/words"), O_RDWR, &out), -EPERM);
    assert_int_equal(do_open(walk("set/one/words"), O_RDONLY | O_TRUNC, &out), -EPERM);
    struct open_file words = must_open("set/one/words", O_RDONLY);
    must_read(&words, "words of 0\n");
    must_close(&words);
    assert_int_equal(parts_remove("one"), 0);
    assert_int_equal(write_to(&file, "1"), -ENOENT);
    must_read(&file, "1: No such file or directory\n");
    must_close(&file);
}

static void test_blank(void **state)
{
    (void)state;
    static const struct {
        const char *data;
        int result, value;
    } cases[] = {
        {"\n", 1, 1},       {"", 0, 0},        {"\n\n\n", 3, 3},    {"5\n", 2, 5},
        {"5", 1, 5},        {"5\n\n", 3, 6},   {"\n5\n\n6", 5, 13}, {"full\n", -EOVERFLOW, 0},
        {"\nfull\n", 1, 1}, {"2\nfull", 2, 2},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        parts_set("one", 1, 0);
        struct open_file file = must_open("set/one/1/post", O_WRONLY);
        assert_int_equal(write_to(&file, cases[i].data), cases[i].result);
        assert_int_equal(parts_value("one", 1), cases[i].value);
        must_close(&file);
    }
    must_have_said("Z set/one/1/post: full: Value too large for defined data type\n");
}

static const struct CMUnitTest tests[] = {
    PARTS(test_command),
    PARTS(test_command_waits),
    PARTS(test_command_that_will_not_wait),
    PARTS(test_command_interrupted_at_any_time),
    PARTS(test_command_refused),
    PARTS(test_command_of_no_form),
    PARTS(test_command_of_what_goes),
    PARTS(test_end_while_commands_wait),
    PARTS(test_released_while_it_waits),
    PARTS(test_command_nobody_waits_for),
    PARTS(test_command_of_ctl),
    PARTS(test_command_out_of_memory),
    PARTS(test_waiting_out_of_memory),
    PARTS(test_text),
    PARTS(test_blank),
};

const struct suite part_commands_suite = {"commands in parts", tests, ARRAY_LENGTH(tests)};
