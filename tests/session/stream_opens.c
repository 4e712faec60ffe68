/* SPDX-License-Identifier: MIT */
/* OPEN of a connection: what it waits for, and all the ways in which that ends. */
#include "streams.h"

#include "failing.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STREAM_FLAGS = FOPEN_STREAM | FOPEN_DIRECT_IO | FOPEN_NOFLUSH | 1 << 6 };

static void test_open(void **state)
{
    (void)state;
    static const int flags[] = {O_RDONLY, O_WRONLY, O_RDWR, O_WRONLY | O_TRUNC, O_RDWR | O_NONBLOCK};
    for (size_t i = 0; i < ARRAY_LENGTH(flags); i++) {
        wire.asker = stranger;
        struct open_file file = must_open(i % 2 ? "link/one/pair" : "ctl/link/one/pair", flags[i]);
        assert_int_equal(links.opener, stranger.uid);
        assert_int_equal(links.flags & (O_ACCMODE | O_NONBLOCK), flags[i] & (O_ACCMODE | O_NONBLOCK));
        assert_int_equal(file.flags, STREAM_FLAGS);
        assert_true(links.files == 1 && links.holds == 1 && handles() == 1);
        int end = links_take_end();
        must_close(&file);
        must_end(end);
        close(end);
        assert_true(links.files == 0 && links.holds == 0 && handles() == 0);
        assert_true(links.shut_reading == 0 && links.shut_writing == 0); /* it was closed */
    }
}

static void test_attributes(void **state)
{
    (void)state;
    struct fuse_attr attr;
    assert_int_equal(do_getattr(walk("link/one/pair"), &attr), 0);
    assert_int_equal(attr.mode, S_IFREG | 0666);
    assert_int_equal(attr.blksize, 64 * 1024);
    assert_int_equal(attr.size, 0);
    assert_int_equal(do_getattr(walk("ctl/link/one/pair"), &attr), 0);
    assert_int_equal(attr.blksize, 64 * 1024);
    struct fuse_entry_out entry;
    uint64_t directory = walk("link/one");
    assert_int_equal(do_lookup(directory, "pair", &entry), 0); /* what the kernel writes by (fs/target.h) */
    assert_int_equal(entry.attr.size, INT32_MAX);
    const struct fuse_setattr_in truncate = {.valid = FATTR_SIZE};
    assert_int_equal(do_setattr(entry.nodeid, &truncate, &attr), 0);
    assert_int_equal(attr.size, INT32_MAX);
    assert_true(walk("link/one/pair") != walk("link/one/pair")); /* each its own */
}

/* Other requests about the handle of a connection. */
static void test_connection_is_nothing_else(void **state)
{
    (void)state;
    struct open_file file = must_open("link/one/pair", O_RDWR);
    const struct fuse_lk_in whole = {.fh = file.handle, .lk = {.type = F_WRLCK}, .lk_flags = FUSE_LK_FLOCK};
    begin(FUSE_SETLK, file.node);
    add(&whole, sizeof whole);
    assert_int_equal(ask().error, -EOPNOTSUPP);
    const struct fuse_setattr_in truncate = {.valid = FATTR_SIZE};
    assert_int_equal(do_setattr(file.node, &truncate, NULL), 0); /* of an open(2) with O_TRUNC */
    const struct fuse_setattr_in mode = {.valid = FATTR_MODE | FATTR_FH, .fh = file.handle, .mode = 0777};
    assert_int_equal(do_setattr(file.node, &mode, NULL), -EPERM);
    assert_int_equal(do_readdir(file.node, file.handle, 1000, 0).error, -EBADF);
    const struct fuse_fallocate_in allocation = {.fh = file.handle, .length = 10};
    begin(FUSE_FALLOCATE, file.node);
    add(&allocation, sizeof allocation);
    assert_int_equal(ask().error, -EBADF);
    const struct fuse_lseek_in seek = {.fh = file.handle, .whence = SEEK_DATA};
    begin(FUSE_LSEEK, file.node);
    add(&seek, sizeof seek);
    assert_int_equal(ask().error, -EINVAL);
    must_close(&file);
    close(links_take_end());
}

/* ---- waiting ---- */

static void test_accept_in_order(void **state)
{
    (void)state;
    enum { WAITERS = 6 };
    uint64_t waiting[WAITERS];
    uint64_t nodes_of[WAITERS];
    for (int i = 0; i < WAITERS; i++) {
        nodes_of[i] = walk("link/one/accept");
        waiting[i] = open_later(nodes_of[i], O_RDWR);
        await_parked((size_t)i + 1);
    }
    struct open_file other = must_open("link/one/pair", O_RDWR); /* waits in no line of theirs */
    must_still_wait();
    for (int i = 0; i < WAITERS; i++) {
        char text[READ_SIZE];
        int client = links_connect();
        must_send(client, "hello");
        struct open_file file = opened(waiting[i], nodes_of[i]);
        assert_int_equal(file.flags, STREAM_FLAGS);
        assert_int_equal(read_at_once(&file, text), 5);
        await_parked((size_t)(WAITERS - 1 - i));
        must_close(&file);
        must_end(client);
        close(client);
    }
    must_close(&other);
    await_count(&links.files, 0);
    close(links_take_end());
}

/* A client that has come before needs no wait; an open that will not wait has it, or EAGAIN. */
static void test_open_that_will_not_wait(void **state)
{
    (void)state;
    struct fuse_open_out out;
    uint64_t node = walk("link/one/accept");
    assert_int_equal(do_open(node, O_RDWR | O_NONBLOCK, &out), -EAGAIN);
    assert_int_equal(do_open(walk("link/one/never"), O_RDWR, &out), -EAGAIN); /* nothing to wait for */
    assert_int_equal(do_open(walk("link/one/refused"), O_RDWR, &out), -ECONNREFUSED);
    assert_true(handles() == 0 && links.files == 0 && links.holds == 0);
    int client = links_connect();
    assert_int_equal(do_open(node, O_RDWR | O_NONBLOCK, &out), 0);
    assert_int_equal(do_release(node, out.fh), 0);
    close(client);
    uint64_t waiting = open_later(node, O_RDWR);
    await_parked(1);
    assert_int_equal(do_open(walk("link/one/accept"), O_RDWR | O_NONBLOCK, &out), -EAGAIN);
    client = links_connect();
    struct open_file file = opened(waiting, node);
    must_close(&file);
    close(client);
}

/* A connect(2) that waits for room in the backlog: nothing tells of it, so a keeper waits. */
static void test_open_by_a_keeper(void **state)
{
    (void)state;
    char text[READ_SIZE + 1] = "";
    links_stop();
    links_start(0);
    struct open_file first = must_open("link/one/connect", O_RDWR);
    uint64_t node = walk("link/one/connect");
    uint64_t later = walk("link/one/connect");
    uint64_t waiting = open_later(node, O_RDWR);
    await_count(&links.blocking, 1);
    uint64_t gone = open_later(later, O_RDWR);
    await_parked(2);
    interrupt(gone);
    assert_int_equal(late_answer(gone, NULL, 0), -EINTR);
    uint64_t reopened = open_later(node, O_RDONLY); /* what the keeper gets for one is the others', too */
    await_parked(2);
    int end = links_accept();
    struct open_file file = opened(waiting, node);
    struct open_file again = opened(reopened, node);
    int second = links_accept();
    must_send(second, "to both");
    assert_int_equal(read_at_once(&again, text), 7);
    assert_int_equal(write_at_once(&file, "back", 4), 4);
    must_receive(second, "back");
    must_close(&again);
    must_close(&file);
    must_close(&first);
    close(end);
    close(second);
}

static void test_keeper_interrupted(void **state)
{
    (void)state;
    links_stop();
    links_start(0);
    struct open_file first = must_open("link/one/connect", O_RDWR);
    uint64_t node = walk("link/one/connect");
    for (int round = 0; round < 20; round++) {
        uint64_t waiting = open_later(node, O_RDWR);
        if (round % 2)
            await_count(&links.blocking, 1);
        interrupt(waiting);
        assert_int_equal(late_answer(waiting, NULL, 0), -EINTR);
        await_handles(1);
    }
    await_count(&links.files, 1);
    must_close(&first);
}

/* ---- ends ---- */

static void test_interrupted(void **state)
{
    (void)state;
    uint64_t node = walk("link/one/accept");
    uint64_t other = walk("link/one/accept");
    for (int round = 0; round < 20; round++) {
        uint64_t first = open_later(node, O_RDWR);
        uint64_t second = open_later(other, O_RDWR);
        await_parked(2);
        interrupt(first);
        assert_int_equal(late_answer(first, NULL, 0), -EINTR);
        int client = links_connect();
        struct open_file file = opened(second, other);
        interrupt(second); /* too late */
        assert_int_equal(write_at_once(&file, "it is there", 11), 11);
        must_receive(client, "it is there");
        must_close(&file);
        close(client);
        await_count(&links.files, 0);
        await_handles(0);
    }
}

/* As fast as can be. Either it has a connection, or the client is still there for the next. */
static void test_interrupted_at_any_time(void **state)
{
    (void)state;
    uint64_t node = walk("link/one/accept");
    unsigned served = 0;
    for (int round = 0; round < 300; round++) {
        struct fuse_open_out out;
        int client = -1;
        uint64_t unique = open_later(node, O_RDWR);
        if (round % 2)
            client = links_connect();
        interrupt(unique);
        if (client < 0)
            client = links_connect();
        int error = late_answer(unique, &out, sizeof out);
        assert_true(error == 0 || error == -EINTR);
        if (error) {
            await_handles(0);
            assert_int_equal(do_open(node, O_RDWR | O_NONBLOCK, &out), 0);
        }
        served += !error;
        assert_int_equal(release_later(node, out.fh), 0);
        must_end(client);
        close(client);
        await_count(&links.files, 0);
    }
    assert_true(served > 0);
}

static void test_nobody_takes_it(void **state)
{
    (void)state;
    uint64_t node = walk("link/one/pair");
    begin(FUSE_OPEN, node);
    add_open(O_RDWR);
    ask_and_go_away();
    int end = links_take_end();
    must_end(end);
    close(end);
    assert_true(handles() == 0 && links.files == 0 && links.holds == 0);
}

/* The same where it had to wait: a connection for each that is there no more. */
static void test_nobody_takes_it_any_more(void **state)
{
    (void)state;
    uint64_t node = walk("link/one/accept");
    (void)open_later(node, O_RDWR);
    (void)open_later(walk("link/one/accept"), O_RDWR);
    await_parked(2);
    close(wire.peer);
    wire.peer = -1;
    int first = links_connect();
    int second = links_connect();
    must_end(first);
    must_end(second);
    close(first);
    close(second);
    await_handles(0);
    await_count(&links.files, 0);
}

/* Nobody knows the handle of an OPEN that waits. A peer that guesses it ends the wait, and gets nothing by it. */
static void test_guessed_handle(void **state)
{
    (void)state;
    struct open_file last = must_open("link/one/pair", O_RDWR);
    uint64_t node = walk("link/one/accept");
    const struct open_file guessed = {.node = node, .handle = last.handle + 1};
    uint64_t unique = open_later(node, O_RDWR);
    await_parked(1);
    assert_int_equal(read_at_once(&guessed, NULL), -EBADF);
    assert_int_equal(write_at_once(&guessed, "x", 1), -EBADF);
    const struct fuse_poll_in poll_in = {.fh = guessed.handle, .kh = 1, .flags = FUSE_POLL_SCHEDULE_NOTIFY};
    begin(FUSE_POLL, node);
    add(&poll_in, sizeof poll_in);
    assert_int_equal(ask().error, 0);
    assert_int_equal(release_later(guessed.node, guessed.handle), 0);
    assert_int_equal(late_answer(unique, NULL, 0), -EBADF);
    assert_int_equal(release_later(guessed.node, guessed.handle), 0);
    await_handles(1);
    await_count(&links.files, 1);
    must_close(&last);
    close(links_take_end());
}

/* end_streams() looks whether everything is given back. */
static void test_end_while_openers_wait(void **state)
{
    (void)state;
    struct fuse_open_out out;
    links_stop();
    links_start(0);
    struct open_file first = must_open("link/one/connect", O_RDWR);
    uint64_t by_keeper = open_later(walk("link/one/connect"), O_RDWR);
    await_count(&links.blocking, 1);
    int client = links_accept(); /* and that of the keeper is next */
    struct open_file second = opened(by_keeper, 0);
    assert_true(second.handle != first.handle);
    close(links_accept());
    close(client);
    uint64_t last = open_later(walk("link/one/accept"), O_RDWR);
    uint64_t node = walk("link/one/accept");
    await_parked(1);
    ipcfs_end_waits(&wire.fs);
    assert_int_equal(late_answer(last, NULL, 0), -ENOTCONN);
    begin(FUSE_OPEN, node); /* one that comes late is not kept waiting */
    add_open(O_RDWR);
    assert_int_equal(late_answer(ask_later(), &out, sizeof out), -ENOTCONN);
    await_handles(2);
}

static void test_end_while_a_keeper_waits(void **state)
{
    (void)state;
    links_stop();
    links_start(0);
    (void)must_open("link/one/connect", O_RDWR);
    uint64_t waiting = open_later(walk("link/one/connect"), O_RDWR);
    await_count(&links.blocking, 1);
    ipcfs_end_waits(&wire.fs);
    assert_int_equal(late_answer(waiting, NULL, 0), -ENOTCONN);
}

/* ---- many ---- */

/* A client each, in their order; every third has been interrupted, and took none. */
static void test_many_openers(void **state)
{
    (void)state;
    enum { MANY = 1000 };
    static uint64_t waiting[MANY];
    static uint64_t nodes_of[MANY];
    for (int i = 0; i < MANY; i++) {
        nodes_of[i] = walk("link/one/accept");
        waiting[i] = open_later(nodes_of[i], O_RDWR);
    }
    await_parked(MANY);
    assert_int_equal(handles(), MANY);
    for (int i = 0; i < MANY; i += 3) {
        interrupt(waiting[i]);
        assert_int_equal(late_answer(waiting[i], NULL, 0), -EINTR);
    }
    for (int i = 0; i < MANY; i++) {
        if (i % 3 == 0)
            continue;
        char text[READ_SIZE + 1] = "";
        char number[16];
        (void)snprintf(number, sizeof number, "%d", i);
        int client = links_connect();
        must_send(client, number);
        struct open_file file = opened(waiting[i], nodes_of[i]);
        assert_true(read_at_once(&file, text) > 0);
        assert_string_equal(text, number);
        must_close(&file);
        close(client);
    }
    await_parked(0);
    await_handles(0);
    await_count(&links.files, 0);
}

/* What one that waits costs, with all that is its own. */
static void test_memory_of_openers(void **state)
{
    (void)state;
    enum { SOME = 100 };
    uint64_t waiting[SOME];
    uint64_t first = open_later(walk("link/one/accept"), O_RDWR);
    await_parked(1);
    long before = failing_live();
    for (int i = 0; i < SOME; i++)
        waiting[i] = open_later(walk("link/one/accept"), O_RDWR);
    await_parked(SOME + 1);
    assert_true(failing_live() - before <= SOME * 12L);
    for (int i = 0; i < SOME; i++) {
        interrupt(waiting[i]);
        assert_int_equal(late_answer(waiting[i], NULL, 0), -EINTR);
    }
    interrupt(first);
    assert_int_equal(late_answer(first, NULL, 0), -EINTR);
    await_handles(0);
}

/* ---- without memory ---- */

static void test_out_of_memory(void **state)
{
    (void)state;
    uint64_t node = walk("link/one/pair");
    bool failed = true;
    unsigned failures = 0;
    for (unsigned number = 2; failed; number++) { /* after the request's own */
        struct fuse_open_out out;
        failing_arm(number);
        int error = do_open(node, O_RDWR, &out);
        failed = failing_disarm();
        assert_int_equal(error, failed ? -ENOMEM : 0);
        failures += failed;
        if (!error)
            assert_int_equal(do_release(node, out.fh), 0);
        assert_true(handles() == 0 && links.files == 0 && links.holds == 0);
    }
    assert_true(failures > 5);
    close(links_take_end());
    node = walk("link/one/accept");
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
        await_count(&links.files, 0);
    }
}

static const struct CMUnitTest tests[] = {
    STREAMS(test_open),
    STREAMS(test_attributes),
    STREAMS(test_connection_is_nothing_else),
    STREAMS(test_accept_in_order),
    STREAMS(test_open_that_will_not_wait),
    STREAMS(test_open_by_a_keeper),
    STREAMS(test_keeper_interrupted),
    STREAMS(test_interrupted),
    STREAMS(test_interrupted_at_any_time),
    STREAMS(test_nobody_takes_it),
    STREAMS(test_nobody_takes_it_any_more),
    STREAMS(test_guessed_handle),
    STREAMS(test_end_while_openers_wait),
    STREAMS(test_end_while_a_keeper_waits),
    STREAMS(test_many_openers),
    STREAMS(test_memory_of_openers),
    STREAMS(test_out_of_memory),
};

const struct suite stream_opens_suite = {"opens of streams", tests, ARRAY_LENGTH(tests)};
