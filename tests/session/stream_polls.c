/* SPDX-License-Identifier: MIT */
/* poll(2) of a connection: what is possible now, by each handle, and who is told when that changes. */
#include "streams.h"

#include "failing.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FOREVER_MS = 20000, A_WHILE_MS = 30, IN = POLLIN | POLLRDNORM, OUT = POLLOUT | POLLWRNORM };

/* What is possible of all; with a number, that is told of the next of `events` that is not. */
static unsigned ask_poll(const struct open_file *file, unsigned events, uint64_t number)
{
    const struct fuse_poll_in in = {
        .fh = file->handle, .kh = number, .flags = number ? FUSE_POLL_SCHEDULE_NOTIFY : 0, .events = events};
    struct fuse_poll_out out;
    begin(FUSE_POLL, file->node);
    add(&in, sizeof in);
    int error = late_answer(ask_later(), &out, sizeof out);
    if (error)
        fail_msg("POLL: %s", strerror(-error));
    return out.revents;
}

static void must_tell(uint64_t number)
{
    struct pollfd ready = {.fd = wire.peer, .events = POLLIN};
    struct fuse_out_header header;
    struct fuse_notify_poll_wakeup_out out;
    struct answer answer;
    if (poll(&ready, 1, FOREVER_MS) != 1)
        fail_msg("nobody is told");
    assert_true(receive_reply(&header, &answer));
    assert_true(header.unique == 0 && header.error == FUSE_NOTIFY_POLL && answer.size == sizeof out);
    memcpy(&out, answer.data, sizeof out);
    assert_int_equal(out.kh, number);
}

static void must_not_tell(void)
{
    must_still_wait();
}

static void test_possible(void **state)
{
    (void)state;
    struct open_file file = must_open("link/one/pair", O_RDWR);
    int end = links_take_end();
    struct open_file reader = open_again(&file, O_RDONLY);
    struct open_file writer = open_again(&file, O_WRONLY);
    assert_int_equal(ask_poll(&file, IN | OUT, 0) & (IN | OUT), POLLOUT);
    assert_int_equal(ask_poll(&reader, IN | OUT, 0) & (IN | OUT), 0);
    must_send(end, "x");
    assert_int_equal(ask_poll(&file, IN | OUT, 0) & (IN | OUT), POLLIN | POLLOUT);
    assert_int_equal(ask_poll(&reader, IN | OUT, 0) & (IN | OUT), POLLIN);
    assert_int_equal(ask_poll(&writer, IN | OUT, 0) & (IN | OUT), POLLOUT);
    (void)fill(&file, 'x');
    assert_int_equal(ask_poll(&writer, IN | OUT, 0) & (IN | OUT), 0);
    assert_int_equal(ask_poll(&file, IN | OUT, 0) & (IN | OUT), POLLIN);
    close(end);
    assert_true(ask_poll(&writer, OUT, 0) & POLLHUP);
    assert_true(ask_poll(&reader, IN, 0) & POLLRDHUP);
    must_close(&file);
    must_close(&reader);
    must_close(&writer);
}

static void test_told(void **state)
{
    (void)state;
    struct open_file file = must_open("link/one/pair", O_RDWR);
    int end = links_take_end();
    struct open_file reader = open_again(&file, O_RDONLY);
    assert_int_equal(ask_poll(&file, IN, 7) & IN, 0);
    assert_int_equal(ask_poll(&reader, IN, 8) & IN, 0);
    must_not_tell();
    must_send(end, "x");
    struct pollfd ready = {.fd = wire.peer, .events = POLLIN};
    struct fuse_out_header header;
    struct answer answer;
    uint64_t told = 0;
    for (int i = 0; i < 2; i++) { /* both, in any order, once */
        struct fuse_notify_poll_wakeup_out out;
        assert_int_equal(poll(&ready, 1, FOREVER_MS), 1);
        assert_true(receive_reply(&header, &answer) && header.error == FUSE_NOTIFY_POLL);
        memcpy(&out, answer.data, sizeof out);
        told += out.kh;
    }
    assert_int_equal(told, 15);
    must_send(end, "y");
    must_not_tell();
    assert_true(ask_poll(&file, IN, 9) & IN);
    size_t filled = fill(&file, 'f');
    assert_false(ask_poll(&file, OUT, 10) & OUT);
    receive_all(end, filled, 'f');
    must_tell(10);
    filled = fill(&file, 'f');
    assert_int_equal(read_at_once(&file, NULL), 2);
    assert_int_equal(ask_poll(&file, IN, 12) & IN, 0); /* and by another who has it: both are to be told */
    assert_int_equal(ask_poll(&file, OUT, 13) & OUT, 0);
    must_send(end, "z");
    must_tell(13);
    receive_all(end, filled, 'f');
    assert_false(ask_poll(&reader, POLLRDHUP, 11) & POLLRDHUP);
    assert_int_equal(shutdown(end, SHUT_WR), 0);
    must_tell(11);
    must_close(&file);
    must_close(&reader);
    close(end);
}

/* An edge-triggered epoll(7) asks no more when it has been told: it goes on until it meets a lack, and may take a short
 * count for one (epoll(7), question 9). */
static void test_told_after_a_lack(void **state)
{
    (void)state;
    struct open_file file = must_open("link/one/pair", O_RDWR);
    int end = links_take_end();
    must_send(end, "some");
    assert_true(ask_poll(&file, IN, 1) & IN);
    must_not_tell();
    assert_int_equal(read_at_once(&file, NULL), 4); /* less than was asked for */
    must_not_tell();
    must_send(end, "more");
    must_tell(1);
    assert_true(ask_poll(&file, IN, 2) & IN);
    begin_read_of(&file, 4, 0);
    assert_int_equal(late_bytes(ask_later(), NULL, 0),
                     4); /* all that was asked for: who polls has to go on */
    must_send(end, "even more");
    must_not_tell();
    begin_read_of(&file, 9, O_NONBLOCK);
    assert_int_equal(late_bytes(ask_later(), NULL, 0), 9);
    assert_int_equal(read_at_once(&file, NULL), -EAGAIN);
    must_send(end, "last");
    must_tell(2);
    assert_true(ask_poll(&file, IN | OUT, 3) & IN);
    size_t filled = fill(&file, 'w'); /* it met EAGAIN */
    receive_all(end, filled, 'w');
    must_tell(3);
    assert_int_equal(read_at_once(&file, NULL), 4);
    assert_int_equal(shutdown(end, SHUT_WR), 0);
    assert_true(ask_poll(&file, IN, 4) & IN);
    assert_int_equal(read_at_once(&file, NULL), 0);
    must_not_tell(); /* the end stays: who reads it again and again would be told again and again */
    must_close(&file);
    close(end);
}

/* Of a read that was short for being a piece, the rest is there: it is told at once. */
static void test_told_of_a_rest(void **state)
{
    (void)state;
    char text[4096];
    struct open_file file = must_open("link/one/pair", O_RDWR);
    int end = links_take_end();
    wire.fs.request_max = (size_t)2 * sizeof text;
    memset(text, 't', sizeof text);
    assert_int_equal(send(end, text, sizeof text, 0), sizeof text);
    assert_true(ask_poll(&file, IN, 5) & IN);
    begin_read_of(&file, sizeof text, O_NONBLOCK);
    assert_int_equal(late_bytes(ask_later(), text, sizeof text), sizeof text - 1);
    must_tell(5);
    must_close(&file);
    close(end);
}

static void test_poll_out_of_memory(void **state)
{
    (void)state;
    struct open_file file = must_open("link/one/pair", O_RDWR);
    int end = links_take_end();
    bool failed = true;
    for (unsigned number = 2; failed; number++) {
        const struct fuse_poll_in in = {
            .fh = file.handle, .kh = number, .flags = FUSE_POLL_SCHEDULE_NOTIFY, .events = IN};
        begin(FUSE_POLL, file.node);
        add(&in, sizeof in);
        failing_arm(number);
        int error = late_answer(ask_later(), NULL, 0);
        failed = failing_disarm();
        assert_int_equal(error, failed ? -ENOMEM : 0);
    }
    must_close(&file); /* while somebody waits to be told */
    close(end);
    must_not_tell();
}

static const struct CMUnitTest tests[] = {
    STREAMS(test_possible),           STREAMS(test_told),
    STREAMS(test_told_after_a_lack),  STREAMS(test_told_of_a_rest),
    STREAMS(test_poll_out_of_memory),
};

const struct suite stream_polls_suite = {"polls of streams", tests, ARRAY_LENGTH(tests)};
