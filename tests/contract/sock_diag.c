/* SPDX-License-Identifier: MIT */
/* What sock_diag(7) tells of sockets agrees with the sockets themselves. */
#include "sock_sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* ---- sockets of the internet ---- */

/* "ADDRESS:PORT" as getsockname(2), or getpeername(2), and getnameinfo(3) say it. */
static const char *address_of(int fd, int (*ask)(int, struct sockaddr *, socklen_t *))
{
    static char text[128];
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    char host[64];
    assert_int_equal(ask(fd, (struct sockaddr *)&address, &size), 0);
    const struct sockaddr_in *ipv4 = (struct sockaddr_in *)&address;
    const struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)&address;
    bool is_ipv4 = address.ss_family == AF_INET;
    assert_non_null(is_ipv4 ? inet_ntop(AF_INET, &ipv4->sin_addr, host, sizeof host)
                            : inet_ntop(AF_INET6, &ipv6->sin6_addr, host, sizeof host));
    (void)snprintf(text, sizeof text, is_ipv4 ? "%s:%u" : "[%s]:%u", host,
                   ntohs(is_ipv4 ? ipv4->sin_port : ipv6->sin6_port));
    return text;
}

static void must_be(const struct told *told, const char *socket_kind, const char *state, const char *local,
                    const char *remote)
{
    assert_string_equal(told->socket.kind, socket_kind);
    assert_string_equal(told->socket.state, state);
    assert_string_equal(told->local, local);
    assert_string_equal(told->remote, remote);
    assert_true(told->socket.has_uid);
    assert_int_equal(told->socket.uid, 0);
    assert_false(told->socket.bound);
}

static uint32_t queued(int fd, unsigned long which)
{
    int bytes = -1;
    assert_int_equal(ioctl(fd, which, &bytes), 0);
    return (uint32_t)bytes;
}

static void check_tcp(int family, const char *none)
{
    int listener = inet_socket(family, SOCK_STREAM, true);
    bind_inet(listener, family, false);
    assert_int_equal(listen(listener, 5), 0);
    int client = inet_socket(family, SOCK_STREAM, true);
    connect_to(client, listener);
    int waiting = inet_socket(family, SOCK_STREAM, true);
    int server = accept_one(listener);
    connect_to(waiting, listener);
    assert_int_equal(write(client, "seven!!", 7), 7);
    assert_int_equal(queued(server, SIOCINQ), 7);
    struct told_all all = walk_all();
    const struct told *told = only_one(&all, inode_of(listener));
    must_be(told, "tcp", "listen", address_of(listener, getsockname), none);
    assert_int_equal(told->socket.receive, 1);
    assert_int_equal(told->socket.send, 5);
    char local[128];
    (void)snprintf(local, sizeof local, "%s", address_of(server, getsockname));
    told = only_one(&all, inode_of(server));
    must_be(told, "tcp", "established", local, address_of(server, getpeername));
    assert_int_equal(told->socket.receive, 7);
    assert_int_equal(told->socket.send, queued(server, SIOCOUTQ));
    assert_string_equal(only_one(&all, inode_of(client))->remote, local);
    free(all.rows);
    close_all((int[]){listener, client, waiting, server}, 4);
}

static void test_tcp(void **state)
{
    (void)state;
    check_tcp(AF_INET, "0.0.0.0:*");
    check_tcp(AF_INET6, "[::]:*");
}

/* As ss(8) writes them. */
static void test_any_address(void **state)
{
    (void)state;
    static const struct {
        int family;
        bool only_ipv6;
        const char *host;
        const char *remote;
    } cases[] = {{AF_INET, false, "0.0.0.0", "0.0.0.0:*"},
                 {AF_INET6, false, "*", "*:*"},
                 {AF_INET6, true, "[::]", "[::]:*"}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char expected[64];
        int fd = inet_socket(cases[i].family, SOCK_DGRAM, cases[i].only_ipv6);
        bind_inet(fd, cases[i].family, true);
        (void)snprintf(expected, sizeof expected, "%s%s", cases[i].host,
                       strrchr(address_of(fd, getsockname), ':'));
        struct told_all all = walk_all();
        must_be(only_one(&all, inode_of(fd)), "udp", "unconnected", expected, cases[i].remote);
        free(all.rows);
        close(fd);
    }
}

static void test_udp(void **state)
{
    (void)state;
    int server = inet_socket(AF_INET, SOCK_DGRAM, false);
    int client = inet_socket(AF_INET, SOCK_DGRAM, false);
    bind_inet(server, AF_INET, false);
    assert_int_equal(setsockopt(server, SOL_SOCKET, SO_BINDTODEVICE, "lo", sizeof "lo"), 0);
    connect_to(client, server);
    assert_int_equal(write(client, "x", 1), 1);
    char expected[128];
    char port[16];
    (void)snprintf(port, sizeof port, "%s", strrchr(address_of(server, getsockname), ':'));
    (void)snprintf(expected, sizeof expected, "127.0.0.1%%lo%s", port);
    struct told_all all = walk_all();
    must_be(only_one(&all, inode_of(server)), "udp", "unconnected", expected, "0.0.0.0:*");
    assert_true(only_one(&all, inode_of(server))->socket.receive > 0);
    (void)snprintf(expected, sizeof expected, "127.0.0.1%s", port);
    assert_string_equal(only_one(&all, inode_of(client))->remote, expected);
    assert_string_equal(only_one(&all, inode_of(client))->socket.state, "established");
    free(all.rows);
    close_all((int[]){server, client}, 2);
}

/* ---- UNIX sockets ---- */

static void check_pair(int type, const char *expected)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(write(ends[0], "seven!!", 7), 7);
    struct told_all all = walk_all();
    const struct told *told = only_one(&all, inode_of(ends[1]));
    must_be(told, expected, "established", "", "");
    assert_int_equal(told->socket.receive, queued(ends[1], SIOCINQ));
    assert_int_equal(told->socket.peer, inode_of(ends[0]));
    told = only_one(&all, inode_of(ends[0]));
    assert_int_equal(told->socket.send, queued(ends[0], SIOCOUTQ));
    assert_int_equal(told->socket.peer, inode_of(ends[1]));
    struct diag_socket found;
    assert_int_equal(diag_find_unix((uint32_t)inode_of(ends[1]), &found), 0);
    assert_string_equal(found.kind, expected);
    assert_string_equal(found.local, "");
    assert_int_equal(found.inode, inode_of(ends[1]));
    assert_int_equal(found.receive, 7);
    free(all.rows);
    close_all(ends, 2);
}

static void test_pairs(void **state)
{
    (void)state;
    check_pair(SOCK_STREAM, "unix-stream");
    check_pair(SOCK_DGRAM, "unix-dgram");
    check_pair(SOCK_SEQPACKET, "unix-seqpacket");
}

/* Names are shown as they are; a NUL byte, of an abstract name, as '@'. */
static void test_names(void **state)
{
    (void)state;
    char longest[109] = "/run/";
    memset(longest + 5, 'n', 103);
    char longest_abstract[108] = "";
    memset(longest_abstract + 1, 'a', 107);
    char expected[109] = "@";
    memset(expected + 1, 'a', 107);
    const struct {
        const char *path;
        size_t size;
        const char *expected;
    } cases[] = {
        {"/run/plain", 10, "/run/plain"},  {"/run/a b\nc\\\xff", 12, "/run/a b\nc\\\xff"},
        {longest, 108, longest},           {"\0abstract", 9, "@abstract"},
        {"\0a\0b\n\0", 6, "@a@b\n@"},      {"\0", 1, "@"},
        {longest_abstract, 108, expected},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        int fd = bound_socket(SOCK_STREAM, cases[i].path, cases[i].size);
        struct told_all all = walk_all();
        const struct told *told = only_one(&all, inode_of(fd));
        assert_string_equal(told->local, cases[i].expected);
        assert_string_equal(told->socket.state, "unconnected");
        assert_int_equal(told->socket.bound, *cases[i].path == '/');
        free(all.rows);
        close(fd);
        if (*cases[i].path == '/')
            assert_int_equal(unlink(cases[i].expected), 0);
    }
}

static void test_listener(void **state)
{
    (void)state;
    int listener = node_socket(SOCK_SEQPACKET, "a");
    int client = connect_to_node(SOCK_SEQPACKET, "a");
    struct stat node;
    struct diag_socket found;
    assert_int_equal(stat(node_path("a"), &node), 0);
    struct told_all all = walk_all();
    const struct told *told = only_one(&all, inode_of(listener));
    assert_string_equal(told->socket.kind, "unix-seqpacket");
    assert_string_equal(told->socket.state, "listen");
    assert_string_equal(told->local, node_path("a"));
    assert_int_equal(told->socket.receive, 1);
    assert_int_equal(told->socket.send, 7);
    assert_true(told->socket.bound);
    assert_true(told->socket.reachable);
    assert_int_equal(told->socket.node_device, node.st_dev);
    assert_int_equal(told->socket.node_inode, (uint32_t)node.st_ino);
    assert_int_equal(diag_find_unix((uint32_t)inode_of(listener), &found), 0);
    assert_int_equal(found.receive, 1);
    assert_int_equal(found.send, 7);
    assert_int_equal(found.node_inode, (uint32_t)node.st_ino);
    free(all.rows);
    close_all((int[]){listener, client}, 2);
}

/* Of devices with a minor number that stat(2) and the kernel itself write in different ways: one of so many must be such. */
static void test_large_device(void **state)
{
    (void)state;
    enum { MOUNTS = 257 };
    size_t large = 0;
    assert_int_equal(mkdir("/run/on", 0755), 0);
    for (int i = 0; i < MOUNTS; i++) {
        struct stat node;
        assert_int_equal(mount("none", "/run/on", "tmpfs", 0, "nr_inodes=10"), 0);
        int fd = bound_socket(SOCK_DGRAM, "/run/on/a", sizeof "/run/on/a");
        assert_int_equal(stat("/run/on/a", &node), 0);
        struct told_all all = walk_all();
        assert_int_equal(only_one(&all, inode_of(fd))->socket.node_device, node.st_dev);
        large += minor(node.st_dev) > 255;
        free(all.rows);
        close(fd);
    }
    for (int i = 0; i < MOUNTS; i++)
        assert_int_equal(umount("/run/on"), 0);
    assert_int_equal(rmdir("/run/on"), 0);
    assert_true(large > 0);
}

static void test_find(void **state)
{
    (void)state;
    struct diag_socket found;
    int fd = node_socket(SOCK_STREAM, "a");
    uint32_t inode = (uint32_t)inode_of(fd);
    assert_int_equal(diag_find_unix(0, &found), -ENOENT);
    assert_int_equal(diag_find_unix(inode, &found), 0);
    enter_new_net();
    assert_int_equal(diag_find_unix(inode, &found), -ENOENT);
    close(fd);
    assert_int_equal(diag_find_unix(inode, &found), -ENOENT);
}

static const struct CMUnitTest tests[] = {
    NET_TEST(test_tcp),   NET_TEST(test_any_address), NET_TEST(test_udp),          NET_TEST(test_pairs),
    NET_TEST(test_names), NET_TEST(test_listener),    NET_TEST(test_large_device), NET_TEST(test_find),
};

const struct suite sock_diag_suite = {
    .name = "what sockets are told to be", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "sock"};
