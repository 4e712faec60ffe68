/* SPDX-License-Identifier: MIT */
/* What waits in an object: holds in OPEN, and files that are read by taking one in READ. */
#include "parts.h"

#include "failing.h"

#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* ---- holds ---- */

static void test_hold(void **state)
{
    (void)state;
    static const int flags[] = {O_RDONLY, O_WRONLY, O_RDWR, O_WRONLY | O_CREAT | O_TRUNC,
                                O_RDWR | O_NONBLOCK};
    parts_set("one", 1, 1);
    for (size_t i = 0; i < ARRAY_LENGTH(flags); i++) {
        wire.asker = stranger;
        struct open_file file = must_open("set/one/1/hold", flags[i]);
        assert_int_equal(native.opener, stranger.uid);
        assert_int_equal(file.flags, FOPEN_STREAM | FOPEN_DIRECT_IO | FOPEN_NOFLUSH | 1 << 6);
        assert_true(native.taken == 1 && parts_value("one", 1) == 0 && parts_value("one", 0) == 0);
        must_read(&file, "");
        assert_int_equal(write_to(&file, "x"), -EINVAL);
        assert_int_equal(write_to(&file, ""), -EINVAL);
        must_close(&file);
        assert_true(native.taken == 0 && parts_value("one", 1) == 1);
        must_close(&file); /* once more gives nothing back */
        assert_true(parts_value("one", 1) == 1 && native.holds == 0);
    }
    struct fuse_open_out out;
    assert_int_equal(do_open(walk("set/one/hold"), O_RDWR | O_EXCL, &out), -EINVAL);
    assert_int_equal(handles(), 0);
}

/* Other requests about the handle of a hold. What is held is neither given back by them nor taken twice. */
static void test_hold_is_nothing_else(void **state)
{
    (void)state;
    parts_set("one", 0, 1);
    struct open_file file = must_open("set/one/hold", O_RDWR);
    const struct fuse_lk_in whole = {.fh = file.handle, .lk = {.type = F_UNLCK}, .lk_flags = FUSE_LK_FLOCK};
    const struct fuse_lk_in part = {.fh = file.handle, .owner = 1, .lk = {.end = INT64_MAX, .type = F_WRLCK}};
    begin(FUSE_SETLK, file.node);
    add(&whole, sizeof whole);
    assert_int_equal(ask().error, -EOPNOTSUPP);
    begin(FUSE_SETLK, file.node);
    add(&part, sizeof part);
    assert_int_equal(ask().error, -EOPNOTSUPP);
    const struct fuse_setattr_in in = {.valid = FATTR_SIZE | FATTR_FH, .fh = file.handle};
    assert_int_equal(do_setattr(file.node, &in, NULL), -EPERM);
    assert_int_equal(do_setattr(walk("set/one"), &in, NULL), -EBADF); /* no kernel would */
    assert_int_equal(do_readdir(file.node, file.handle, 1000, 0).error, -EBADF);
    const struct fuse_fallocate_in allocation = {.fh = file.handle, .length = 10};
    begin(FUSE_FALLOCATE, file.node);
    add(&allocation, sizeof allocation);
    assert_int_equal(ask().error, -EBADF);
    const struct fuse_flush_in flush = {.fh = file.handle, .lock_owner = 1};
    begin(FUSE_FLUSH, file.node);
    add(&flush, sizeof flush);
    assert_int_equal(ask().error, 0);
    assert_true(native.taken == 1 && native.changes == 0);
    must_close(&file);
    assert_int_equal(native.taken, 0);
}

static void test_hold_waits_in_order(void **state)
{
    (void)state;
    enum { WAITERS = 6 };
    uint64_t waiting[WAITERS];
    uint64_t nodes_of[WAITERS];
    for (int i = 0; i < WAITERS; i++) {
        nodes_of[i] = walk("set/one/hold");
        waiting[i] = open_later(nodes_of[i], O_RDWR);
        await_parked((size_t)i + 1);
    }
    struct open_file other = {0};
    parts_set("one", 1, 1); /* another member, another line */
    other = must_open("set/one/1/hold", O_RDWR);
    must_still_wait();
    assert_int_equal(handles(), WAITERS + 1);
    parts_set("one", 0, 1);
    for (int i = 0; i < WAITERS; i++) {
        struct open_file file = opened(waiting[i], nodes_of[i]);
        assert_int_equal(file.flags, FOPEN_STREAM | FOPEN_DIRECT_IO | FOPEN_NOFLUSH | 1 << 6);
        if (i + 1 < WAITERS)
            must_still_wait();
        must_close(&file);
    }
    await_count(&native.files, 1);
    assert_int_equal(parts_value("one", 0), 1);
    must_close(&other);
    assert_int_equal(handles(), 0);
}

static void test_hold_interrupted(void **state)
{
    (void)state;
    uint64_t node = walk("set/one/hold");
    for (int round = 0; round < 20; round++) {
        uint64_t first = open_later(node, O_RDWR);
        uint64_t second = open_later(node, O_RDWR);
        uint64_t third = open_later(node, O_RDWR);
        await_parked(3);
        if (round % 2)
            await_count(&native.blocking, 1);
        interrupt(second); /* stands in the line */
        assert_int_equal(late_answer(second, NULL, 0), -EINTR);
        interrupt(first); /* the keeper waits for it natively */
        assert_int_equal(late_answer(first, NULL, 0), -EINTR);
        assert_int_equal(parts_value("one", 0), 0);
        parts_set("one", 0, 1);
        struct open_file file = opened(third, node);
        interrupt(third); /* too late */
        assert_int_equal(native.taken, 1);
        await_handles(1);
        must_close(&file);
        await_count(&native.files, 0);
        assert_int_equal(parts_value("one", 0), 1); /* nothing was taken for those that were interrupted */
        parts_set("one", 0, 0);
    }
}

/* As fast as can be: an interrupt before, while and after it is served. Either it has one, or nothing is taken. */
static void test_hold_interrupted_at_any_time(void **state)
{
    (void)state;
    uint64_t node = walk("set/one/hold");
    unsigned served = 0;
    for (int round = 0; round < 300; round++) {
        struct fuse_open_out out;
        uint64_t unique = open_later(node, O_RDWR);
        if (round % 3 == 0)
            await_count(&native.blocking, 1);
        if (round % 2)
            parts_set("one", 0, 1);
        interrupt(unique);
        if (round % 2 == 0)
            parts_set("one", 0, 1);
        int error = late_answer(unique, &out, sizeof out);
        assert_true(error == 0 || error == -EINTR);
        assert_int_equal(native.taken, !error);
        if (!error) {
            assert_int_equal(release_later(node, out.fh), 0);
            served++;
        }
        await_count(&native.files, 0); /* who answered may be the last to let go of it */
        assert_true(parts_value("one", 0) == 1 && native.taken == 0);
        parts_set("one", 0, 0);
    }
    assert_true(served > 0);
}

static void test_hold_that_will_not_wait(void **state)
{
    (void)state;
    struct fuse_open_out out;
    uint64_t node = walk("set/one/hold");
    assert_int_equal(do_open(node, O_RDWR | O_NONBLOCK, &out), -EAGAIN);
    uint64_t waiting = open_later(node, O_RDWR);
    await_count(&native.blocking, 1);
    assert_int_equal(do_open(node, O_RDWR | O_NONBLOCK, &out), -EAGAIN);
    assert_int_equal(handles(), 1);
    parts_set("one", 0, 2);
    struct open_file file = opened(waiting, node);
    assert_int_equal(do_open(node, O_RDWR | O_NONBLOCK, &out), 0);
    assert_int_equal(native.taken, 2);
    must_close(&file);
    assert_int_equal(do_release(node, out.fh), 0);
}

static void test_hold_that_nobody_takes(void **state)
{
    (void)state;
    uint64_t node = walk("set/one/hold");
    parts_set("one", 0, 1);
    begin(FUSE_OPEN, node);
    add_open(O_RDWR);
    ask_and_go_away();
    assert_true(native.taken == 0 && parts_value("one", 0) == 1 && native.files == 0);
    assert_int_equal(handles(), 0);
}

/* The same where it had to wait: it goes on to the next, who is there no more either. */
static void test_hold_that_nobody_takes_any_more(void **state)
{
    (void)state;
    uint64_t node = walk("set/one/hold");
    (void)open_later(node, O_RDWR);
    (void)open_later(node, O_RDWR);
    await_parked(2);
    close(wire.peer);
    wire.peer = -1;
    parts_set("one", 0, 1);
    await_parked(0);
    await_handles(0);
    await_count(&native.files, 0);
    assert_true(native.taken == 0 && parts_value("one", 0) == 1);
}

static void test_hold_of_what_goes(void **state)
{
    (void)state;
    struct fuse_open_out out;
    uint64_t node = walk("set/one/hold");
    uint64_t member = walk("set/one/1/hold");
    parts_set("one", 1, 1);
    assert_int_equal(do_open(member, O_RDWR, &out), 0);
    uint64_t first = open_later(node, O_RDWR);
    uint64_t second = open_later(node, O_RDWR);
    await_count(&native.blocking, 1);
    assert_int_equal(parts_remove("one"), 0);
    assert_int_equal(late_answer(first, NULL, 0), -EIDRM);
    assert_int_equal(late_answer(second, NULL, 0), -EIDRM);
    await_count(&native.files, 1);
    assert_int_equal(release_later(member, out.fh), 0); /* there is nothing to give it back to */
    await_count(&native.holds, 0);
    assert_int_equal(do_open(node, O_RDWR, &out), -ENOENT);
    assert_int_equal(do_open(member, O_RDONLY | O_NONBLOCK, &out), -ENOENT);
    assert_int_equal(handles(), 0);
    assert_int_equal(native.taken, 0);
}

/* The end of the daemon: end_parts() looks whether everything is given back, and begin_parts() whether it can go on. */
static void test_end_while_holds_wait(void **state)
{
    (void)state;
    uint64_t node = walk("set/one/hold");
    uint64_t member = walk("set/one/1/hold");
    parts_set("one", 2, 1);
    (void)must_open("set/one/2/hold", O_RDWR); /* held to the end */
    uint64_t first = open_later(node, O_RDWR);
    uint64_t second = open_later(node, O_RDWR);
    await_count(&native.blocking, 1);
    uint64_t other = open_later(member, O_RDWR);
    await_count(&native.blocking, 2);
    interrupt(0); /* of nobody */
    ipcfs_end_waits(&wire.fs);
    assert_int_equal(late_answer(first, NULL, 0), -ENOTCONN);
    assert_int_equal(late_answer(second, NULL, 0), -ENOTCONN);
    assert_int_equal(late_answer(other, NULL, 0), -ENOTCONN);
    struct fuse_open_out out;
    begin(FUSE_OPEN, node); /* one that comes late is not kept waiting */
    add_open(O_RDWR);
    assert_int_equal(late_answer(ask_later(), &out, sizeof out), -ENOTCONN);
    assert_int_equal(handles(), 1);
}

static void test_hold_out_of_memory(void **state)
{
    (void)state;
    uint64_t node = walk("set/one/hold");
    bool failed = true;
    for (unsigned number = 2; failed; number++) { /* free: it never waits */
        struct fuse_open_out out;
        parts_set("one", 0, 1);
        failing_arm(number);
        int error = do_open(node, O_RDWR, &out);
        failed = failing_disarm();
        assert_int_equal(error, failed ? -ENOMEM : 0);
        assert_int_equal(native.taken, !error);
        if (!error)
            assert_int_equal(do_release(node, out.fh), 0);
        assert_true(handles() == 0 && native.files == 0 && native.holds == 0);
        assert_int_equal(parts_value("one", 0), 1);
    }
    parts_set("one", 0, 0);
    failed = true;
    for (unsigned number = 2; failed; number++) { /* it waits, if there is memory for that */
        struct wait_stats stats;
        failing_arm(number);
        uint64_t unique = open_later(node, O_RDWR);
        failed = failing_disarm();
        wait_stats(wire.fs.waits, &stats);
        if (stats.parked)
            interrupt(unique);
        assert_int_equal(late_answer(unique, NULL, 0), stats.parked ? -EINTR : -ENOMEM);
        await_handles(0);
    }
}

/* Nobody knows the handle of an OPEN that waits. A peer that guesses it gets nothing, and harms nobody. */
static void test_guessed_handle(void **state)
{
    (void)state;
    parts_set("one", 1, 1);
    uint64_t node = walk("set/one/hold");
    struct open_file last = must_open("set/one/1/hold", O_RDWR);
    const struct open_file guessed = {.node = node, .handle = last.handle + 1};
    uint64_t unique = open_later(node, O_RDWR);
    await_count(&native.blocking, 1);
    must_close(&guessed);
    must_close(&guessed);
    assert_int_equal(handles(), 1);
    parts_set("one", 0, 1);
    struct open_file file = opened(unique, node);
    assert_int_equal(file.handle, guessed.handle);
    must_close(&file);
    await_count(&native.taken, 1);
    assert_int_equal(parts_value("one", 0), 1);
    must_close(&last);
}

/* ---- files that are read by taking one ---- */

static uint64_t read_later(const struct open_file *file, int flags)
{
    begin_read(file, flags);
    return ask_later();
}

static int read_now(const struct open_file *file, int flags, char *text)
{
    return late_answer(read_later(file, flags), text, 100);
}

static void test_wait(void **state)
{
    (void)state;
    char text[101] = "";
    parts_set("one", 2, 2);
    wire.asker = stranger;
    struct open_file file = must_open("set/one/2/wait", O_RDONLY);
    assert_int_equal(native.opener, stranger.uid);
    assert_int_equal(file.flags, FOPEN_STREAM | FOPEN_DIRECT_IO | FOPEN_NOFLUSH | 1 << 6);
    assert_int_equal(read_now(&file, 0, text), 0);
    assert_string_equal(text, "1\n");
    assert_int_equal(read_now(&file, 0, text), 0); /* its end: cat(1) stops here */
    assert_string_equal(text, "");
    assert_int_equal(read_now(&file, O_NONBLOCK, text), 0);
    assert_string_equal(text, "0\n");
    assert_int_equal(read_now(&file, O_NONBLOCK, text), 0);
    assert_int_equal(read_now(&file, O_NONBLOCK, text), -EAGAIN);
    uint64_t first = read_later(&file, 0);
    uint64_t second = read_later(&file, 0);
    await_count(&native.blocking, 1);
    interrupt(first);
    assert_int_equal(late_answer(first, NULL, 0), -EINTR);
    must_still_wait();
    parts_set("one", 2, 7);
    assert_int_equal(late_answer(second, text, 100), 0);
    assert_string_equal(text, "6\n");
    assert_int_equal(write_to(&file, "x"), -EBADF);
    assert_int_equal(do_read(file.node, file.handle, 100, 0).error, -ENODEV); /* a page: it would take one */
    assert_int_equal(parts_value("one", 2), 6);
    must_close(&file);
}

/* A lock of flock(2) on a file that is read by taking one: there is nothing to lock, and least of all to take. */
static void test_wait_is_not_locked(void **state)
{
    (void)state;
    static const uint32_t types[] = {F_WRLCK, F_RDLCK, F_UNLCK};
    parts_set("one", 0, 1);
    struct open_file file = must_open("set/one/wait", O_RDONLY);
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        const struct fuse_lk_in in = {.fh = file.handle, .lk = {.type = types[i]}, .lk_flags = FUSE_LK_FLOCK};
        begin(FUSE_SETLK, file.node);
        add(&in, sizeof in);
        assert_int_equal(ask().error, -EOPNOTSUPP);
    }
    assert_int_equal(parts_value("one", 0), 1);
    must_close(&file);
}

/* Who reads and who holds wait in lines of their own; both go with the object. */
static void test_wait_of_what_goes(void **state)
{
    (void)state;
    struct fuse_open_out out;
    struct open_file file = must_open("set/one/wait", O_RDONLY);
    uint64_t unique = read_later(&file, 0);
    await_count(&native.blocking, 1);
    assert_int_equal(parts_remove("one"), 0);
    assert_int_equal(late_answer(unique, NULL, 0), -EIDRM);
    assert_int_equal(read_now(&file, 0, NULL), -EIDRM);
    assert_int_equal(do_open(file.node, O_RDONLY, &out), -EIDRM); /* by the hold of who has it open */
    must_close(&file);
    await_count(&native.holds, 0);
    assert_int_equal(do_open(file.node, O_RDONLY, &out), -ENOENT);
}

static void test_end_while_readers_wait(void **state)
{
    (void)state;
    struct open_file file = must_open("set/one/wait", O_RDONLY);
    uint64_t unique = read_later(&file, 0);
    await_count(&native.blocking, 1);
    ipcfs_end_waits(&wire.fs);
    assert_int_equal(late_answer(unique, NULL, 0), -ENOTCONN);
}

static const struct CMUnitTest tests[] = {
    PARTS(test_hold),
    PARTS(test_hold_is_nothing_else),
    PARTS(test_hold_waits_in_order),
    PARTS(test_hold_interrupted),
    PARTS(test_hold_interrupted_at_any_time),
    PARTS(test_hold_that_will_not_wait),
    PARTS(test_hold_that_nobody_takes),
    PARTS(test_hold_that_nobody_takes_any_more),
    PARTS(test_hold_of_what_goes),
    PARTS(test_end_while_holds_wait),
    PARTS(test_hold_out_of_memory),
    PARTS(test_guessed_handle),
    PARTS(test_wait),
    PARTS(test_wait_is_not_locked),
    PARTS(test_wait_of_what_goes),
    PARTS(test_end_while_readers_wait),
};

const struct suite part_waits_suite = {"waits in parts", tests, ARRAY_LENGTH(tests)};
