/* SPDX-License-Identifier: MIT */
/* Connections that are opened again (/dev/fd/N): who has them, and when the other end is told that a direction is over. */
#include "streams.h"

#include "failing.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void must_read_at_once(const struct open_file *file, const char *expected)
{
    char text[READ_SIZE + 1] = "";
    assert_int_equal(read_at_once(file, text), strlen(expected));
    assert_string_equal(text, expected);
}

/* So many times was a direction ended. */
static void must_be_shut(int reading, int writing)
{
    await_count(&links.shut_reading, reading);
    await_count(&links.shut_writing, writing);
}

static void test_same_connection(void **state)
{
    (void)state;
    struct open_file file = must_open("link/one/pair", O_RDWR);
    int end = links_take_end();
    struct open_file again = open_again(&file, O_RDONLY);
    struct open_file third = open_again(&file, O_WRONLY | O_NONBLOCK);
    assert_true(links.files == 1 && handles() == 3);
    assert_true(again.handle != file.handle && again.flags == file.flags);
    must_send(end, "for anybody");
    must_read_at_once(&again, "for anybody");
    assert_int_equal(write_at_once(&again, "x", 1), -EBADF);
    assert_int_equal(read_at_once(&third, NULL), -EBADF);
    assert_int_equal(write_at_once(&third, "by the third", 12), 12);
    must_receive(end, "by the third");
    struct open_file other = must_open("link/one/pair", O_RDWR); /* by the name it is another */
    assert_int_equal(links.files, 2);
    must_close(&other);
    must_close(&third);
    must_close(&again);
    must_be_shut(0, 0);
    must_close(&file);
    must_end(end);
    must_be_shut(0, 0);
    close(end);
    close(links_take_end());
    struct open_file anew = open_again(&file, O_RDWR); /* nobody has it any more */
    assert_true(links.files == 1 && links.end >= 0);
    must_close(&anew);
    close(links_take_end());
}

/* exec 3<>connect 4</dev/fd/3 3>&- */
static void test_half_close(void **state)
{
    (void)state;
    struct open_file file = must_open("link/one/pair", O_RDWR);
    int end = links_take_end();
    struct open_file reader = open_again(&file, O_RDONLY);
    struct open_file second = open_again(&file, O_RDONLY);
    uint64_t waiting = read_later(&reader);
    must_close(&file);
    must_end(end);
    must_be_shut(0, 1);
    must_send(end, "still heard");
    assert_int_equal(late_answer(waiting, NULL, 0), 0);
    must_close(&second);
    must_send(end, "by whoever has it");
    must_read_at_once(&reader, "by whoever has it");
    must_be_shut(0, 1);
    struct open_file late = open_again(&reader, O_WRONLY); /* the direction is over all the same */
    assert_int_equal(write_at_once(&late, "x", 1), -EPIPE);
    must_close(&late);
    must_close(&reader);
    must_be_shut(0, 2); /* the late one's, and nobody minds */
    close(end);
    await_count(&links.files, 0);
}

static void test_half_close_of_reading(void **state)
{
    (void)state;
    struct open_file file = must_open("link/one/pair", O_RDWR);
    int end = links_take_end();
    struct open_file writer = open_again(&file, O_WRONLY);
    must_close(&file);
    must_be_shut(1, 0);
    assert_true(send(end, "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE);
    assert_int_equal(write_at_once(&writer, "out", 3), 3);
    must_receive(end, "out");
    must_close(&writer);
    must_be_shut(1, 0);
    must_end(end);
    close(end);
}

/* What was opened for one direction is not shut down in the other, which somebody may open yet. */
static void test_one_direction(void **state)
{
    (void)state;
    struct open_file writer = must_open("link/one/pair", O_WRONLY);
    int end = links_take_end();
    struct open_file second = open_again(&writer, O_WRONLY);
    must_close(&second);
    must_be_shut(0, 0);
    must_send(end, "is it open?");
    struct open_file reader = open_again(&writer, O_RDONLY);
    must_read_at_once(&reader, "is it open?");
    must_close(&writer);
    must_be_shut(0, 1);
    must_close(&reader);
    must_be_shut(0, 1);
    close(end);
    struct open_file neither = must_open("link/one/pair", O_ACCMODE); /* for ioctl(2) */
    end = links_take_end();
    struct open_file both = open_again(&neither, O_RDWR);
    assert_int_equal(read_at_once(&neither, NULL), -EBADF);
    assert_int_equal(write_at_once(&neither, "x", 1), -EBADF);
    must_close(&both);
    must_be_shut(1, 2);
    must_end(end);
    must_close(&neither);
    close(end);
}

/* All who open a node while it waits have what the first gets. */
static void test_opened_again_while_waiting(void **state)
{
    (void)state;
    uint64_t node = walk("link/one/accept");
    uint64_t other = walk("link/one/accept");
    uint64_t first = open_later(node, O_RDWR);
    uint64_t between = open_later(other, O_RDWR);
    uint64_t second = open_later(node, O_RDONLY);
    uint64_t third = open_later(node, O_RDWR);
    uint64_t gone = open_later(node, O_WRONLY);
    await_parked(5);
    assert_int_equal(links.files, 2);
    interrupt(gone);
    assert_int_equal(late_answer(gone, NULL, 0), -EINTR);
    must_be_shut(0, 0);
    int client = links_connect();
    struct open_file file = opened(first, node);
    struct open_file reader = opened(second, node);
    struct open_file both = opened(third, node);
    await_parked(1);
    struct open_file late = open_again(&file, O_RDWR); /* past those who wait for one of their own */
    must_close(&file);
    must_close(&both);
    must_close(&late);
    must_end(client);
    must_be_shut(0, 1);
    interrupt(between);
    assert_int_equal(late_answer(between, NULL, 0), -EINTR);
    must_close(&reader);
    close(client);
    await_count(&links.files, 0);
}

static uint64_t contested;
static uint64_t in_between;

static void open_it_too(void)
{
    in_between = open_later(contested, O_RDWR);
}

/* Two open a node at once: the one that the node had last has the connection of the other, and its own is closed unused. */
static void test_opened_twice_at_once(void **state)
{
    (void)state;
    char text[READ_SIZE + 1] = "";
    contested = walk("link/one/pair");
    links.meanwhile = open_it_too;
    uint64_t unique = open_later(contested, O_RDWR);
    struct open_file file = opened(unique, contested);
    struct open_file second = opened(in_between, contested);
    int end = links_take_end();
    assert_true(links.files == 1 && handles() == 2);
    assert_int_equal(write_at_once(&file, "one ", 4), 4);
    assert_int_equal(write_at_once(&second, "end", 3), 3);
    assert_int_equal(receive(end, text, READ_SIZE), 7);
    assert_string_equal(text, "one end");
    must_close(&second);
    must_be_shut(0, 0);
    must_close(&file);
    must_end(end);
    close(end);
}

/* The first gives up: the others wait on. When all have, nobody is told of anything. */
static void test_first_gives_up(void **state)
{
    (void)state;
    uint64_t node = walk("link/one/accept");
    uint64_t first = open_later(node, O_RDWR);
    uint64_t second = open_later(node, O_RDONLY);
    await_parked(2);
    interrupt(first);
    assert_int_equal(late_answer(first, NULL, 0), -EINTR);
    await_handles(1);
    int client = links_connect();
    struct open_file file = opened(second, node);
    must_send(client, "second");
    must_read_at_once(&file, "second");
    must_close(&file);
    must_be_shut(0, 0);
    close(client);
    await_count(&links.files, 0);
    first = open_later(node, O_RDWR);
    second = open_later(node, O_RDWR);
    await_parked(2);
    interrupt(second);
    interrupt(first);
    assert_int_equal(late_answer(first, NULL, 0), -EINTR);
    assert_int_equal(late_answer(second, NULL, 0), -EINTR);
    await_count(&links.files, 0);
    must_be_shut(0, 0);
}

/* An open that fails, or that nobody takes, leaves the connection as it was. */
static void test_failed_again(void **state)
{
    (void)state;
    struct open_file file = must_open("link/one/pair", O_RDONLY);
    int end = links_take_end();
    bool failed = true;
    unsigned failures = 0;
    for (unsigned number = 2; failed; number++) {
        failing_arm(number);
        uint64_t unique = open_later(file.node, O_RDONLY);
        failed = failing_disarm();
        failures += failed;
        if (failed) {
            assert_int_equal(late_answer(unique, NULL, 0), -ENOMEM);
            continue;
        }
        struct open_file again = opened(unique, file.node);
        must_close(&again);
    }
    assert_true(failures >= 3);
    assert_true(links.files == 1 && handles() == 1);
    must_be_shut(0, 0);
    must_send(end, "as it was");
    must_read_at_once(&file, "as it was");
    begin(FUSE_OPEN, file.node);
    add_open(O_RDONLY);
    ask_and_go_away();
    assert_true(links.files == 1 && handles() == 1);
    must_be_shut(0, 0);
    close(end);
}

/* A handle without a node that the kernel knows: FORGET may come before RELEASE. */
static void test_forgotten(void **state)
{
    (void)state;
    struct open_file file = must_open("link/one/pair", O_RDWR);
    int end = links_take_end();
    struct open_file again = open_again(&file, O_RDONLY);
    size_t known = nodes();
    do_forget(file.node, 1);
    assert_int_equal(nodes(), known);
    must_close(&file);
    must_be_shut(0, 1);
    must_close(&again);
    assert_int_equal(nodes(), known - 1);
    close(end);
}

static const struct CMUnitTest tests[] = {
    STREAMS(test_same_connection),
    STREAMS(test_half_close),
    STREAMS(test_half_close_of_reading),
    STREAMS(test_one_direction),
    STREAMS(test_opened_again_while_waiting),
    STREAMS(test_opened_twice_at_once),
    STREAMS(test_first_gives_up),
    STREAMS(test_failed_again),
    STREAMS(test_forgotten),
};

const struct suite stream_shared_suite = {"shared streams", tests, ARRAY_LENGTH(tests)};
