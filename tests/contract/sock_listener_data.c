/* SPDX-License-Identifier: MIT */
/* What goes through connections and datagram sockets: every byte, both ways at once, and the ends of it. */
#include "sock_listener_subject.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum { AMOUNT = 2 * 1024 * 1024 };

struct transfer {
    struct ipcfs_file *file;
    char *data;
    bool writes;
    pthread_t thread;
    size_t done;
};

/* Waits as the FUSE side does. */
static bool wait_and_try(struct transfer *transfer)
{
    struct ipcfs_wait wait = {0};
    const struct sock_file_ops *ops = transfer->file->ops;
    size_t left = AMOUNT - transfer->done;
    size_t size = left < 50000 ? left : 50000;
    char *at = transfer->data + transfer->done;
    ssize_t count = transfer->writes ? ops->try_write(transfer->file, at, size, 0, 0, &wait)
                                     : ops->try_read(transfer->file, at, size, 0, 0, &wait);
    if (count > 0)
        transfer->done += (size_t)count;
    if (count != -EAGAIN)
        return count > 0;
    struct pollfd state = {.fd = wait.fd, .events = wait.events};
    return wait.source == IPCFS_WAIT_POLL && poll(&state, 1, 10000) == 1;
}

static void *run_transfer(void *argument)
{
    struct transfer *transfer = argument;
    while (transfer->done < AMOUNT && wait_and_try(transfer))
        ;
    return NULL;
}

static void start_transfer(struct transfer *transfer)
{
    assert_int_equal(pthread_create(&transfer->thread, NULL, run_transfer, transfer), 0);
}

static void fill_randomly(char *data, unsigned seed)
{
    for (size_t i = 0; i < AMOUNT; i++) {
        seed = seed * 1664525 + 1013904223;
        data[i] = (char)(seed >> 24);
    }
}

/* Both ends are files, and two threads use each at the same time. */
static void test_both_directions_at_once(void **state)
{
    (void)state;
    struct ipcfs_found object = make_listener("a", SOCK_STREAM, 0);
    struct ipcfs_file *client = open_connected(&object, "connect");
    struct ipcfs_file *server = open_connected(&object, "accept");
    char *sent[2] = {malloc(AMOUNT), malloc(AMOUNT)};
    char *got[2] = {calloc(1, AMOUNT), calloc(1, AMOUNT)};
    fill_randomly(sent[0], 1);
    fill_randomly(sent[1], 2);
    struct transfer transfers[] = {{.file = client, .data = sent[0], .writes = true},
                                   {.file = server, .data = got[0]},
                                   {.file = server, .data = sent[1], .writes = true},
                                   {.file = client, .data = got[1]}};
    for (size_t i = 0; i < ARRAY_LENGTH(transfers); i++)
        start_transfer(&transfers[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(transfers); i++)
        assert_int_equal(pthread_join(transfers[i].thread, NULL), 0);
    for (int i = 0; i < 2; i++) {
        assert_memory_equal(sent[i], got[i], AMOUNT);
        free(sent[i]);
        free(got[i]);
    }
    close_file(client);
    close_file(server);
    remove_listener("a");
}

static void check_native_echo(int type)
{
    struct ipcfs_found object = make_listener("a", type, 0);
    pid_t client = start_client(&object, type, USER, GROUP);
    struct ipcfs_file *server = open_part(&object, "accept");
    assert_int_equal(status_of(client), EACCES); /* the node is root's, 0600 */
    client = start_client(&object, type, 0, 0);
    must_connect(server);
    for (int i = 0; i < 100; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "packet %d", i);
        must_write(server, text);
        must_read(server, text);
    }
    close_file(server);
    assert_int_equal(status_of(client), 0);
    remove_listener("a");
}

static void test_native_clients(void **state)
{
    (void)state;
    check_native_echo(SOCK_STREAM);
    check_native_echo(SOCK_SEQPACKET);
}

static void test_packets(void **state)
{
    (void)state;
    char buffer[8];
    struct ipcfs_found object = make_listener("a", SOCK_SEQPACKET, 0);
    struct ipcfs_file *client = open_connected(&object, "connect");
    struct ipcfs_file *server = open_connected(&object, "accept");
    must_write(client, "one");
    must_write(client, "two and more");
    must_write(client, "three");
    assert_int_equal(read_file(server, buffer, 0), 0); /* takes nothing */
    must_read(server, "one");
    assert_int_equal(read_file(server, buffer, 3), 3);
    assert_memory_equal(buffer, "two", 3);
    must_read(server, "three");
    assert_int_equal(read_file(server, buffer, sizeof buffer), -EAGAIN);
    close_file(client);
    must_read(server, "");
    close_file(server);
    remove_listener("a");
}

static int what_holds(struct ipcfs_file *file)
{
    struct ipcfs_wait wait = {0};
    int events = file->ops->poll(file, &wait);
    assert_int_equal(wait.source, IPCFS_WAIT_POLL);
    return events;
}

static void test_half_close(void **state)
{
    (void)state;
    struct ipcfs_found object = make_listener("a", SOCK_STREAM, 0);
    struct ipcfs_file *client = open_connected(&object, "connect");
    struct ipcfs_file *server = open_connected(&object, "accept");
    assert_int_equal(what_holds(client) & (POLLIN | POLLOUT | POLLHUP), POLLOUT);
    must_write(client, "last");
    client->ops->shutdown(client, SHUT_WR);
    assert_int_equal(write_file(client, "x", 1), -EPIPE);
    assert_int_equal(what_holds(server) & (POLLIN | POLLRDHUP | POLLHUP), POLLIN | POLLRDHUP);
    must_read(server, "last");
    must_read(server, "");
    must_write(server, "answer");
    must_read(client, "answer");
    client->ops->shutdown(client, SHUT_RD);
    assert_int_equal(write_file(server, "x", 1), -EPIPE);
    must_read(client, "");
    assert_true(what_holds(server) & POLLHUP);
    close_file(client);
    close_file(server);
    remove_listener("a");
}

/* A shut down direction ends what waits in it. */
static void test_shutdown_wakes(void **state)
{
    (void)state;
    char byte = 0;
    struct ipcfs_found object = make_listener("a", SOCK_STREAM, 0);
    struct ipcfs_file *client = open_connected(&object, "connect");
    struct ipcfs_file *server = open_connected(&object, "accept");
    struct ipcfs_wait wait = {0};
    assert_int_equal(client->ops->try_read(client, &byte, 1, 0, 0, &wait), -EAGAIN);
    struct pollfd waiting = {.fd = wait.fd, .events = wait.events};
    assert_int_equal(poll(&waiting, 1, 0), 0);
    client->ops->shutdown(client, SHUT_RD);
    assert_int_equal(poll(&waiting, 1, 1000), 1);
    assert_int_equal(read_file(client, &byte, 1), 0);
    close_file(server);
    close_file(client);
    remove_listener("a");
}

/* Accepted all the same, and at its end at once. */
static void test_client_that_is_gone(void **state)
{
    (void)state;
    struct ipcfs_found object = make_listener("a", SOCK_STREAM, 0);
    int native = connect_natively(&object, SOCK_STREAM, false);
    assert_true(native >= 0);
    assert_int_equal(write(native, "bye", 3), 3);
    close(native);
    struct ipcfs_file *server = open_connected(&object, "accept");
    must_read(server, "bye");
    must_read(server, "");
    assert_int_equal(write_file(server, "x", 1), -EPIPE);
    close_file(server);
    remove_listener("a");
}

/* What sendmsg(2) answers. */
static ssize_t send_descriptor(int socket, int fd)
{
    char control[CMSG_SPACE(sizeof fd)] = {0};
    char byte = 'd';
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header =
        (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    ssize_t count = sendmsg(socket, &message, 0);
    return count < 0 ? -errno : count;
}

/* Descriptors sent along are refused, or (before Linux 6.16) go nowhere; out-of-band bytes neither stop the stream nor keep anybody busy. */
static void test_what_is_sent_along(void **state)
{
    (void)state;
    char byte = 0;
    struct ipcfs_found object = make_listener("a", SOCK_STREAM, 0);
    int native = connect_natively(&object, SOCK_STREAM, false);
    struct ipcfs_file *server = open_connected(&object, "accept");
    int descriptors = count_descriptors();
    for (int i = 0; i < 10; i++) {
        ssize_t count = send_descriptor(native, native);
        if (count == 1)
            must_read(server, "d");
        else
            assert_int_equal(count, -EPERM);
    }
    assert_int_equal(count_descriptors(), descriptors);
    assert_int_equal(send(native, "ab", 2, MSG_OOB), 2);
    must_read(server, "a");
    assert_int_equal(read_file(server, &byte, 1), -EAGAIN);
    assert_false(what_holds(server) & POLLIN);
    must_write(server, "c");
    assert_int_equal(read(native, &byte, 1), 1);
    close(native);
    close_file(server);
    remove_listener("a");
}

/* ---- datagrams ---- */

static void test_datagrams(void **state)
{
    (void)state;
    char buffer[64];
    struct ipcfs_found object = make_listener("a", SOCK_DGRAM, 0);
    struct ipcfs_file *sender = open_part(&object, "send");
    struct ipcfs_file *receiver = open_part(&object, "recv");
    assert_int_equal(read_file(receiver, buffer, sizeof buffer), -EAGAIN);
    assert_int_equal(what_holds(receiver), 0);
    must_write(sender, "one");
    must_write(sender, "");
    must_write(sender, "a longer one");
    assert_true(what_holds(receiver) & POLLIN);
    must_read(receiver, "one");
    must_read(receiver, "");
    assert_int_equal(receiver->ops->message_room(receiver), 12);
    assert_int_equal(read_file(receiver, buffer, 11), -E2BIG);
    assert_int_equal(read_file(receiver, buffer, 12), 12);
    assert_memory_equal(buffer, "a longer one", 12);
    assert_int_equal(read_file(receiver, buffer, sizeof buffer), -EAGAIN);
    int native = connect_natively(&object, SOCK_DGRAM, false);
    assert_int_equal(send(native, "native", 6, 0), 6);
    close(native);
    must_read(receiver, "native");
    assert_int_equal(write_file(receiver, "x", 1), -EBADF);
    assert_int_equal(sender->ops->message_room(sender), 0);
    struct ipcfs_wait wait = {0};
    assert_int_equal(sender->ops->try_read(sender, buffer, 1, 0, 0, &wait), -EBADF);
    close_file(sender);
    close_file(receiver);
    remove_listener("a");
}

/* The largest that the sender's buffer takes goes through; a larger one never would. */
static void test_large_datagrams(void **state)
{
    (void)state;
    static char data[AMOUNT];
    struct ipcfs_found object = make_listener("a", SOCK_DGRAM, 0);
    struct ipcfs_file *sender = open_part(&object, "send");
    struct ipcfs_file *receiver = open_part(&object, "recv");
    assert_int_equal(write_file(sender, data, sizeof data), -EMSGSIZE);
    fill_randomly(data, 3);
    assert_int_equal(write_file(sender, data, 200000), 200000);
    char *got = malloc(200000);
    assert_int_equal(receiver->ops->message_room(receiver), 200000);
    assert_int_equal(read_file(receiver, got, 200000), 200000);
    assert_memory_equal(got, data, 200000);
    free(got);
    close_file(sender);
    close_file(receiver);
    remove_listener("a");
}

static void test_full_queue_of_datagrams(void **state)
{
    (void)state;
    unsigned sent = 0;
    char number[16];
    struct ipcfs_wait wait = {0};
    struct ipcfs_found object = make_listener("a", SOCK_DGRAM, 0);
    struct ipcfs_file *sender = open_part(&object, "send");
    struct ipcfs_file *receiver = open_part(&object, "recv");
    for (ssize_t count = 1; count > 0; sent += count > 0) {
        (void)snprintf(number, sizeof number, "%u", sent);
        count = sender->ops->try_write(sender, number, strlen(number), 0, 0, &wait);
        assert_true(count > 0 || count == -EAGAIN);
    }
    struct listener_state shown = look_at(&object);
    assert_int_equal(shown.queued, sent);
    assert_in_range(sent, shown.backlog, shown.backlog + 1);
    let_state_go(&shown);
    struct pollfd room = {.fd = wait.fd, .events = wait.events};
    assert_int_equal(poll(&room, 1, 0), 0);
    for (unsigned i = 0; i < sent; i++) {
        (void)snprintf(number, sizeof number, "%u", i);
        must_read(receiver, number);
    }
    assert_int_equal(poll(&room, 1, 1000), 1);
    must_write(sender, "again");
    must_read(receiver, "again");
    close_file(sender);
    close_file(receiver);
    remove_listener("a");
}

/* ---- many receivers ---- */

enum { DATAGRAMS = 20000 };

struct receiver {
    struct ipcfs_file *file;
    pthread_t thread;
    atomic_uint *received;
    size_t cut; /* came with another length than it was sent with */
};

/* Of every one the first bytes tell its length; the room is what the file says, and may be too small by then. */
static void *receive_all(void *argument)
{
    struct receiver *receiver = argument;
    const struct sock_file_ops *ops = receiver->file->ops;
    while (atomic_load(receiver->received) < DATAGRAMS) {
        char buffer[2000];
        int length = 0;
        struct ipcfs_wait wait = {0};
        size_t room = ops->message_room(receiver->file);
        ssize_t count = ops->try_read(receiver->file, buffer, room, 0, 0, &wait);
        if (count < 0)
            continue; /* E2BIG: another one has taken the one that was looked at */
        atomic_fetch_add(receiver->received, 1);
        memcpy(&length, buffer, sizeof length);
        receiver->cut += count != length;
    }
    return NULL;
}

static void send_all(struct ipcfs_file *sender)
{
    char buffer[2000] = "";
    for (int i = 0; i < DATAGRAMS;) {
        int length = i % 2 ? (int)sizeof length : 2000;
        memcpy(buffer, &length, sizeof length);
        i += write_file(sender, buffer, (size_t)length) == length;
    }
}

static void test_receivers_take_whole_ones(void **state)
{
    (void)state;
    atomic_uint received = 0;
    struct receiver receivers[3] = {0};
    struct ipcfs_found object = make_listener("a", SOCK_DGRAM, 0);
    struct ipcfs_file *sender = open_part(&object, "send");
    for (size_t i = 0; i < ARRAY_LENGTH(receivers); i++) {
        receivers[i].file = open_part(&object, "recv");
        receivers[i].received = &received;
        assert_int_equal(pthread_create(&receivers[i].thread, NULL, receive_all, &receivers[i]), 0);
    }
    send_all(sender);
    for (size_t i = 0; i < ARRAY_LENGTH(receivers); i++) {
        assert_int_equal(pthread_join(receivers[i].thread, NULL), 0);
        assert_int_equal(receivers[i].cut, 0);
        close_file(receivers[i].file);
    }
    close_file(sender);
    remove_listener("a");
}

/* ---- which file is for which type ---- */

static void test_files_of_types(void **state)
{
    (void)state;
    struct ipcfs_file *file = NULL;
    struct ipcfs_found stream = make_listener("a", SOCK_STREAM, 0);
    struct ipcfs_found datagrams = make_listener("b", SOCK_DGRAM, 0);
    assert_int_equal(try_open_part(&stream, "send", O_WRONLY, &file), -EOPNOTSUPP);
    assert_int_equal(try_open_part(&stream, "recv", O_RDONLY, &file), -EOPNOTSUPP);
    assert_int_equal(try_open_part(&datagrams, "accept", O_RDWR, &file), -EOPNOTSUPP);
    assert_int_equal(try_open_part(&datagrams, "connect", O_RDWR, &file), -EOPNOTSUPP);
    assert_int_equal(try_open_part(&datagrams, "send", O_RDWR, &file), -EACCES);
    assert_int_equal(try_open_part(&datagrams, "recv", O_RDWR, &file), -EACCES);
    struct ipcfs_found none = {.id = {.number = stream.id.number, .birth = stream.id.birth + 1}};
    assert_int_equal(try_open_part(&none, "accept", O_RDWR, &file), -ESTALE);
    assert_int_equal(try_open_part(&none, "connect", O_RDWR, &file), -ESTALE);
    remove_listener("a");
    remove_listener("b");
}

const struct CMUnitTest listener_data_tests[] = {
    LISTENER_TEST(test_both_directions_at_once),
    LISTENER_TEST(test_native_clients),
    LISTENER_TEST(test_packets),
    LISTENER_TEST(test_half_close),
    LISTENER_TEST(test_shutdown_wakes),
    LISTENER_TEST(test_client_that_is_gone),
    LISTENER_TEST(test_what_is_sent_along),
    LISTENER_TEST(test_datagrams),
    LISTENER_TEST(test_large_datagrams),
    LISTENER_TEST(test_full_queue_of_datagrams),
    LISTENER_TEST(test_receivers_take_whole_ones),
    LISTENER_TEST(test_files_of_types),
};
const size_t listener_data_count = ARRAY_LENGTH(listener_data_tests);
