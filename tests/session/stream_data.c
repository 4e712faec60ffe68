/* SPDX-License-Identifier: MIT */
/* Reading and writing a connection: at once and waiting, both at a time, and all the ways in which a wait ends. */
#include "streams.h"

#include "failing.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LARGE = 24 * SOCKET_ROOM, A_PAGE = 4096 };

static char large[LARGE];

/* An open connection, whose other end is `end`. */
static struct open_file file;
static int end;

static void open_pair(int flags)
{
    file = must_open("link/one/pair", flags);
    end = links_take_end();
}

static void close_pair(void)
{
    must_close(&file);
    close(end);
    await_count(&links.files, 0);
}

/* ---- reading ---- */

static void must_read_at_once(const char *expected)
{
    char text[READ_SIZE + 1] = "";
    assert_int_equal(read_at_once(&file, text), strlen(expected));
    assert_string_equal(text, expected);
}

static void must_have_read(uint64_t unique, const char *expected)
{
    char text[READ_SIZE + 1] = "";
    assert_int_equal(late_bytes(unique, text, READ_SIZE), strlen(expected));
    assert_string_equal(text, expected);
}

static void test_read(void **state)
{
    (void)state;
    open_pair(O_RDONLY);
    assert_int_equal(read_at_once(&file, NULL), -EAGAIN);
    must_send(end, "hello ");
    must_send(end, "you");
    must_read_at_once("hello you");
    uint64_t waiting = read_later(&file);
    must_still_wait();
    must_send(end, "later");
    must_have_read(waiting, "later");
    must_send(end, "last");
    begin_read_of(&file, 0, 0);
    assert_int_equal(ask().size, 0);
    assert_int_equal(do_read(file.node, file.handle, 100, 0).error, -ENODEV); /* a page: it would take them */
    begin_read_of(&file, 2, 0);
    assert_memory_equal(ask().data, "la", 2);
    waiting = read_later(&file);
    must_have_read(waiting, "st");
    waiting = read_later(&file);
    assert_int_equal(shutdown(end, SHUT_WR), 0);
    must_have_read(waiting, ""); /* the end, for good */
    must_read_at_once("");
    must_read_at_once("");
    assert_int_equal(write_at_once(&file, "x", 1), -EBADF);
    close_pair();
}

/* A read(2) that the kernel splits must not wait for its second piece when the first has got something. */
static void test_pieces(void **state)
{
    (void)state;
    open_pair(O_RDWR);
    wire.fs.request_max = (size_t)2 * A_PAGE;
    memset(large, 'p', sizeof large);
    assert_int_equal(send(end, large, A_PAGE, 0), A_PAGE);
    begin_read_of(&file, A_PAGE, 0);
    assert_int_equal(ask().size, A_PAGE - 1);
    must_read_at_once("p"); /* it is not lost */
    assert_int_equal(send(end, large, A_PAGE, 0), A_PAGE);
    begin_read_of(&file, A_PAGE - 1, 0);
    assert_int_equal(ask().size, A_PAGE - 1);
    must_read_at_once("p");
    must_send(end, "few");
    begin_read_of(&file, A_PAGE, 0);
    assert_int_equal(ask().size, 3);
    wire.fs.request_max = A_PAGE; /* no kernel has so little: but one byte is not an end */
    must_send(end, "x");
    begin_read_of(&file, 1, 0);
    assert_int_equal(ask().size, 1);
    close_pair();
}

static void test_readers_in_order(void **state)
{
    (void)state;
    open_pair(O_RDWR);
    uint64_t first = read_later(&file);
    uint64_t second = read_later(&file);
    uint64_t third = read_later(&file);
    await_parked(3);
    assert_int_equal(read_at_once(&file, NULL), -EAGAIN);
    interrupt(second);
    assert_int_equal(late_answer(second, NULL, 0), -EINTR);
    must_send(end, "1");
    must_have_read(first, "1");
    must_still_wait();
    interrupt(third);
    assert_int_equal(late_answer(third, NULL, 0), -EINTR);
    must_send(end, "nobody's");
    must_still_wait();
    must_read_at_once("nobody's");
    uint64_t some[3] = {read_later(&file), read_later(&file), read_later(&file)};
    await_parked(3);
    close(end); /* all see the end */
    for (int i = 0; i < 3; i++)
        must_have_read(some[i], "");
    must_close(&file);
}

/* Either it has the bytes, or they are still there. */
static void test_reader_interrupted_at_any_time(void **state)
{
    (void)state;
    unsigned served = 0;
    open_pair(O_RDWR);
    for (int round = 0; round < 300; round++) {
        char text[READ_SIZE + 1] = "";
        uint64_t waiting = read_later(&file);
        if (round % 2)
            must_send(end, "bytes");
        interrupt(waiting);
        if (round % 2 == 0)
            must_send(end, "bytes");
        ssize_t count = late_bytes(waiting, text, READ_SIZE);
        assert_true(count == 5 || count == -EINTR);
        served += count == 5;
        if (count < 0)
            must_read_at_once("bytes");
    }
    assert_true(served > 0);
    await_parked(0);
    close_pair();
}

static void test_reset(void **state)
{
    (void)state;
    open_pair(O_RDWR);
    assert_int_equal(write_at_once(&file, "unread", 6), 6);
    uint64_t waiting = read_later(&file);
    await_parked(1);
    close(end);
    assert_int_equal(late_answer(waiting, NULL, 0), -ECONNRESET);
    assert_int_equal(write_at_once(&file, "x", 1), -EPIPE);
    must_read_at_once("");
    must_close(&file);
}

/* ---- writing ---- */

static void test_write(void **state)
{
    (void)state;
    open_pair(O_WRONLY);
    assert_int_equal(write_at_once(&file, "now", 3), 3);
    must_receive(end, "now");
    assert_int_equal(written(write_later(&file, "then", 4)), 4);
    must_receive(end, "then");
    assert_int_equal(written(write_later(&file, "", 0)), 0);
    assert_int_equal(read_at_once(&file, NULL), -EBADF);
    assert_int_equal(do_read(file.node, file.handle, 100, 0).error, -ENODEV);
    links.stalled = 1; /* nothing sent and no error: it must not go on for ever */
    assert_int_equal(written(write_later(&file, "x", 1)), 0);
    links.stalled = 0;
    close_pair();
}

/* All of it, however slowly it is read; and it is not looked for where the request was. */
static void test_write_waits_for_all(void **state)
{
    (void)state;
    open_pair(O_RDWR);
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (char)(i % 251);
    uint64_t waiting = write_later(&file, large, sizeof large);
    await_parked(1);
    for (size_t got = 0; got < sizeof large;) {
        char buffer[1000];
        ssize_t count = receive(end, buffer, sizeof buffer);
        assert_true(count > 0);
        assert_memory_equal(buffer, large + got, count);
        got += (size_t)count;
    }
    assert_int_equal(written(waiting), sizeof large);
    close_pair();
}

static void test_write_what_fits(void **state)
{
    (void)state;
    open_pair(O_RDWR);
    memset(large, 'f', sizeof large);
    ssize_t count = write_at_once(&file, large, sizeof large);
    assert_true(count > 0 && count < LARGE);
    assert_int_equal(write_at_once(&file, large, sizeof large), -EAGAIN);
    receive_all(end, (size_t)count, 'f');
    assert_true(write_at_once(&file, large, sizeof large) > 0);
    close_pair();
}

static void test_writers_in_order(void **state)
{
    (void)state;
    enum { WRITERS = 4, PART = LARGE / 4 };
    uint64_t waiting[WRITERS];
    open_pair(O_RDWR);
    size_t before = fill(&file, '-');
    for (int i = 0; i < WRITERS; i++) {
        memset(large, 'a' + i, PART);
        waiting[i] = write_later(&file, large, PART);
        await_parked((size_t)i + 1);
    }
    assert_int_equal(write_at_once(&file, "!", 1), -EAGAIN);
    receive_all(end, before, '-');
    for (int i = 0; i < WRITERS; i++)
        receive_all(end, PART, (char)('a' + i));
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(written(waiting[i]), PART);
    close_pair();
}

static void test_writer_interrupted(void **state)
{
    (void)state;
    open_pair(O_RDWR);
    memset(large, 'i', sizeof large);
    uint64_t first = write_later(&file, large, sizeof large);
    uint64_t second = write_later(&file, "none of it", 10);
    await_parked(2);
    interrupt(second);
    assert_int_equal(written(second), -EINTR);
    interrupt(first);
    ssize_t count = written(first);
    assert_true(count > 0 && count < LARGE);
    receive_all(end, (size_t)count, 'i');
    assert_int_equal(write_at_once(&file, "next", 4), 4);
    must_receive(end, "next"); /* nothing else is on its way */
    close_pair();
}

/* What was sent counts, whenever the interrupt comes. */
static void test_writer_interrupted_at_any_time(void **state)
{
    (void)state;
    open_pair(O_RDWR);
    memset(large, 'a', sizeof large);
    for (int round = 0; round < 100; round++) {
        uint64_t waiting = write_later(&file, large, sizeof large);
        size_t got = (size_t)(round % 10) * SOCKET_ROOM / 2;
        receive_all(end, got, 'a');
        interrupt(waiting);
        ssize_t count = written(waiting);
        assert_true(count >= (ssize_t)got && count < LARGE);
        receive_all(end, (size_t)count - got, 'a');
        char byte = 0;
        assert_true(recv(end, &byte, 1, MSG_DONTWAIT) < 0);
    }
    close_pair();
}

static void test_writer_fails(void **state)
{
    (void)state;
    open_pair(O_RDWR);
    memset(large, 'x', sizeof large);
    uint64_t first = write_later(&file, large, sizeof large);
    uint64_t second = write_later(&file, "none of it", 10);
    await_parked(2);
    close(end);
    ssize_t count = written(first);
    assert_true(count > 0 && count < LARGE);
    assert_int_equal(written(second), -EPIPE);
    assert_int_equal(written(write_later(&file, "x", 1)), -EPIPE);
    must_close(&file);
}

static void test_packets(void **state)
{
    (void)state;
    char text[READ_SIZE + 1] = "";
    file = must_open("link/one/packets", O_RDWR);
    end = links_take_end();
    must_send(end, "one");
    must_send(end, "another");
    must_read_at_once("one");
    begin_read_of(&file, 3, 0);
    assert_int_equal(late_bytes(ask_later(), text, READ_SIZE), 3); /* the rest of a packet is gone */
    assert_string_equal(text, "ano");
    assert_int_equal(read_at_once(&file, NULL), -EAGAIN);
    assert_int_equal(write_at_once(&file, large, LARGE), -EMSGSIZE);
    assert_int_equal(write_at_once(&file, "a", 1), 1);
    assert_int_equal(write_at_once(&file, "bc", 2), 2);
    must_receive(end, "a");
    must_receive(end, "bc");
    close_pair();
}

/* ---- both ---- */

static void test_both_directions(void **state)
{
    (void)state;
    open_pair(O_RDWR);
    uint64_t reading = read_later(&file);
    await_parked(1);
    assert_int_equal(written(write_later(&file, "past a reader", 13)), 13);
    must_receive(end, "past a reader");
    size_t before = fill(&file, '-');
    uint64_t writing = write_later(&file, "rest", 4);
    await_parked(2);
    must_send(end, "past a writer");
    must_have_read(reading, "past a writer");
    reading = read_later(&file);
    receive_all(end, before, '-');
    must_receive(end, "rest");
    assert_int_equal(written(writing), 4);
    await_parked(1);
    interrupt(reading);
    assert_int_equal(late_answer(reading, NULL, 0), -EINTR);
    close_pair();
}

/* One end of the daemon's at each side: what a writer here sends goes to a reader here. */
static void test_both_ends(void **state)
{
    (void)state;
    uint64_t node = walk("link/one/accept");
    uint64_t connecting = walk("link/one/connect");
    uint64_t waiting = open_later(node, O_RDWR);
    file = opened(open_later(connecting, O_RDWR), connecting);
    struct open_file other = opened(waiting, node);
    uint64_t reading = read_later(&other);
    memset(large, 'e', sizeof large);
    uint64_t writing = write_later(&file, large, sizeof large);
    size_t got = 0;
    while (got < sizeof large) {
        static char buffer[READ_SIZE];
        ssize_t count = late_bytes(reading, buffer, sizeof buffer);
        assert_true(count > 0);
        got += (size_t)count;
        reading = read_later(&other);
    }
    assert_int_equal(written(writing), sizeof large);
    must_close(&file);
    must_have_read(reading, "");
    must_close(&other);
}

/* ---- ends of other sorts ---- */

static void test_released_while_waiting(void **state)
{
    (void)state;
    open_pair(O_RDWR);
    struct open_file other = open_again(&file, O_RDWR);
    size_t before = fill(&file, '-');
    uint64_t reading = read_later(&file);
    uint64_t others_reading = read_later(&other);
    uint64_t writing = write_later(&file, "x", 1);
    uint64_t others_writing = write_later(&other, "mine", 4);
    await_parked(4);
    assert_int_equal(release_later(file.node, file.handle), 0);
    assert_int_equal(late_answer(reading, NULL, 0), -EBADF);
    assert_int_equal(written(writing), -EBADF);
    await_parked(2);
    receive_all(end, before, '-');
    must_receive(end, "mine");
    assert_int_equal(written(others_writing), 4);
    must_send(end, "yours");
    must_have_read(others_reading, "yours");
    assert_true(links.shut_reading == 0 && links.shut_writing == 0);
    must_close(&other);
    must_end(end);
    close(end);
    await_count(&links.files, 0);
}

static void test_released_amid_a_write(void **state)
{
    (void)state;
    open_pair(O_RDWR);
    memset(large, 'r', sizeof large);
    uint64_t writing = write_later(&file, large, sizeof large);
    await_parked(1);
    assert_int_equal(release_later(file.node, file.handle), 0);
    ssize_t count = written(writing);
    assert_true(count > 0 && count < LARGE);
    receive_all(end, (size_t)count, 'r');
    must_end(end);
    close(end);
    await_count(&links.files, 0);
}

static void test_end_while_data_wait(void **state)
{
    (void)state;
    open_pair(O_RDWR);
    (void)open_again(&file, O_RDONLY); /* left open to the end, as the other */
    memset(large, 'd', sizeof large);
    uint64_t reading = read_later(&file);
    uint64_t writing = write_later(&file, large, sizeof large);
    uint64_t second = write_later(&file, "x", 1);
    await_parked(3);
    ipcfs_end_waits(&wire.fs);
    assert_int_equal(late_answer(reading, NULL, 0), -ENOTCONN);
    assert_true(written(writing) > 0);
    assert_int_equal(written(second), -ENOTCONN);
    close(end);
}

/* ---- without memory ---- */

static void test_read_out_of_memory(void **state)
{
    (void)state;
    open_pair(O_RDWR);
    bool failed = true;
    unsigned failures = 0;
    must_send(end, "kept");
    for (unsigned number = 2; failed; number++) {
        failing_arm(number);
        uint64_t unique = read_later(&file);
        failed = failing_disarm();
        failures += failed;
        if (failed)
            assert_int_equal(late_answer(unique, NULL, 0), -ENOMEM);
        else
            must_have_read(unique, "kept");
    }
    failed = true;
    for (unsigned number = 2; failed; number++) { /* it waits, if there is memory for that */
        struct wait_stats stats;
        failing_arm(number);
        uint64_t unique = read_later(&file);
        failed = failing_disarm();
        failures += failed;
        wait_stats(wire.fs.waits, &stats);
        if (stats.parked)
            interrupt(unique);
        assert_int_equal(late_answer(unique, NULL, 0), stats.parked ? -EINTR : -ENOMEM);
    }
    assert_true(failures >= 4);
    await_parked(0);
    close_pair();
}

/* A write with the connection as it is, and memory that ends there; it is interrupted where it waits. Whether it failed. */
static bool write_without_memory(unsigned number, size_t size, ssize_t *count)
{
    struct wait_stats stats;
    failing_arm(number);
    uint64_t unique = write_later(&file, large, size);
    bool failed = failing_disarm();
    wait_stats(wire.fs.waits, &stats);
    assert_int_equal(stats.parked, !failed);
    if (stats.parked)
        interrupt(unique);
    *count = written(unique);
    return failed;
}

/* What was sent before memory ended counts. */
static void test_write_out_of_memory(void **state)
{
    (void)state;
    bool failed = true;
    unsigned part_written = 0;
    memset(large, 'm', sizeof large);
    for (unsigned number = 2; failed; number++) {
        ssize_t count = 0;
        open_pair(O_RDWR);
        failed = write_without_memory(number, sizeof large, &count);
        assert_true(count < LARGE && (count > 0 || (failed && count == -ENOMEM)));
        part_written += failed && count > 0;
        if (count > 0)
            receive_all(end, (size_t)count, 'm');
        size_t filled = fill(&file, 'm');
        assert_int_equal(write_without_memory(number, 1, &count), failed);
        assert_int_equal(count, failed ? -ENOMEM : -EINTR);
        receive_all(end, filled, 'm');
        await_parked(0);
        close_pair();
    }
    assert_int_equal(part_written, 2); /* for the waiter, and for its data */
}

static const struct CMUnitTest tests[] = {
    STREAMS(test_read),
    STREAMS(test_pieces),
    STREAMS(test_readers_in_order),
    STREAMS(test_reader_interrupted_at_any_time),
    STREAMS(test_reset),
    STREAMS(test_write),
    STREAMS(test_write_waits_for_all),
    STREAMS(test_write_what_fits),
    STREAMS(test_writers_in_order),
    STREAMS(test_writer_interrupted),
    STREAMS(test_writer_interrupted_at_any_time),
    STREAMS(test_writer_fails),
    STREAMS(test_packets),
    STREAMS(test_both_directions),
    STREAMS(test_both_ends),
    STREAMS(test_released_while_waiting),
    STREAMS(test_released_amid_a_write),
    STREAMS(test_end_while_data_wait),
    STREAMS(test_read_out_of_memory),
    STREAMS(test_write_out_of_memory),
};

const struct suite stream_data_suite = {"data of streams", tests, ARRAY_LENGTH(tests)};
