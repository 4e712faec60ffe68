/* SPDX-License-Identifier: MIT */
/* Connections by raw requests, with a kind of the test's own. */
#include "streams.h"

#include "creds.h"
#include "private_shm.h"
#include "session.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOREVER_MS = 20000 };

int begin_streams(void **state)
{
    later_reset();
    int error = begin_test(state);
    links_start(1000);
    return error;
}

int end_streams(void **state)
{
    links_stop();
    int error = end_test(state);
    int left = links.holds + links.files + links.blocking;
    if (left || links.wrong)
        (void)fprintf(stderr, "%d of the kind's own are left, %d calls were wrong\n", left, links.wrong);
    return left || links.wrong ? -1 : error;
}

/* ---- requests ---- */

struct open_file open_again(const struct open_file *file, int flags)
{
    return opened(open_later(file->node, flags), file->node);
}

uint64_t read_later(const struct open_file *file)
{
    begin_read(file, 0);
    return ask_later();
}

uint64_t write_later(const struct open_file *file, const void *data, size_t size)
{
    begin_write_of(file, data, size, 0);
    return ask_later();
}

ssize_t read_at_once(const struct open_file *file, char *text)
{
    begin_read(file, O_NONBLOCK);
    return late_bytes(ask_later(), text, READ_SIZE);
}

ssize_t written(uint64_t unique)
{
    struct fuse_write_out out = {0};
    ssize_t count = late_bytes(unique, &out, sizeof out);
    return count < 0 ? count : (ssize_t)out.size;
}

ssize_t write_at_once(const struct open_file *file, const void *data, size_t size)
{
    begin_write_of(file, data, size, O_NONBLOCK);
    return written(ask_later());
}

size_t fill(const struct open_file *file, char byte)
{
    static char data[16 * SOCKET_ROOM];
    size_t total = 0;
    ssize_t count = 0;
    memset(data, byte, sizeof data);
    while ((count = write_at_once(file, data, sizeof data)) > 0)
        total += (size_t)count;
    assert_int_equal(count, -EAGAIN);
    return total;
}

/* ---- the test's ends ---- */

ssize_t receive(int end, char *buffer, size_t size)
{
    struct pollfd ready = {.fd = end, .events = POLLIN};
    if (poll(&ready, 1, FOREVER_MS) != 1)
        fail_msg("nothing comes");
    return recv(end, buffer, size, MSG_DONTWAIT);
}

void must_receive(int end, const char *expected)
{
    char text[READ_SIZE + 1] = "";
    assert_int_equal(receive(end, text, READ_SIZE), strlen(expected));
    assert_string_equal(text, expected);
}

void must_end(int end)
{
    char byte = 0;
    assert_int_equal(receive(end, &byte, 1), 0);
}

void must_send(int end, const char *text)
{
    assert_int_equal(send(end, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

void receive_all(int end, size_t size, char byte)
{
    static char buffer[SOCKET_ROOM];
    while (size) {
        ssize_t count = receive(end, buffer, size < sizeof buffer ? size : sizeof buffer);
        assert_true(count > 0);
        for (ssize_t i = 0; i < count; i++)
            assert_int_equal(buffer[i], byte);
        size -= (size_t)count;
    }
}

/* ---- all of them ---- */

__attribute__((format(printf, 2, 0))) static void say_nothing(enum fuse_log_level level, const char *format,
                                                              va_list arguments)
{
    (void)level;
    (void)format;
    (void)arguments;
}

/* Many openers, and clients, are descriptors of one process here. */
static void want_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(void)
{
    static const struct suite *const suites[] = {&stream_opens_suite, &stream_data_suite,
                                                 &stream_shared_suite, &stream_polls_suite,
                                                 &stream_storm_suite};
    private_shm_enter("size=64m,mode=1777");
    (void)umask(0);
    want_descriptors();
    (void)alarm(500); /* nothing here may block for ever */
    fuse_set_log_func(say_nothing);
    if (session_block_signals() || creds_init())
        return EXIT_FAILURE;
    int failed = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(suites); i++)
        failed += _cmocka_run_group_tests(suites[i]->name, suites[i]->tests, suites[i]->count, NULL, NULL);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
