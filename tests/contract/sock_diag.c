/* SPDX-License-Identifier: MIT */
/* What sock_diag(7) tells of sockets agrees with the sockets themselves, and with what else tells of them. */
#include "sock_sockets.h"

#include "failing.h"
#include "mq_users.h"
#include "sock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- sockets of the internet ---- */

static int inet_socket(int family, int type, bool only_ipv6)
{
    int yes = only_ipv6;
    int fd = socket(family, type | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (family == AF_INET6)
        assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes), 0);
    return fd;
}

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

static void bind_inet(int fd, int family, bool any)
{
    struct sockaddr_in ipv4 = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(any ? INADDR_ANY : INADDR_LOOPBACK)};
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};
    ipv6.sin6_addr = any ? in6addr_any : in6addr_loopback;
    assert_int_equal(family == AF_INET ? bind(fd, (struct sockaddr *)&ipv4, sizeof ipv4)
                                       : bind(fd, (struct sockaddr *)&ipv6, sizeof ipv6),
                     0);
}

static void connect_to(int fd, int other)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    assert_int_equal(getsockname(other, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, size), 0);
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

/* ---- what else tells ---- */

/* Some of every sort. */
static size_t make_some(int fds[static 16])
{
    size_t count = 0;
    fds[count++] = node_socket(SOCK_STREAM, "stream");
    fds[count++] = connect_to_node(SOCK_STREAM, "stream");
    fds[count++] = connect_to_node(SOCK_STREAM, "stream");
    fds[count++] = accept_one(fds[0]);
    fds[count++] = node_socket(SOCK_DGRAM, "dgram");
    fds[count++] = connect_to_node(SOCK_DGRAM, "dgram");
    fds[count++] = bound_socket(SOCK_SEQPACKET, "\0ab\0c", 5);
    for (int i = 0; i < 2; i++) {
        int family = i ? AF_INET6 : AF_INET;
        int listener = fds[count++] = inet_socket(family, SOCK_STREAM, false);
        bind_inet(listener, family, false);
        assert_int_equal(listen(listener, 5), 0);
        connect_to(fds[count++] = inet_socket(family, SOCK_STREAM, false), listener);
        fds[count++] = accept_one(listener);
        bind_inet(fds[count++] = inet_socket(family, SOCK_DGRAM, false), family, true);
    }
    assert_int_equal(write(fds[1], "four", 4), 4);
    assert_int_equal(write(fds[5], "datagram", 8), 8);
    return count;
}

/* A line of /proc/net/unix (unix_seq_show() in Linux net/unix/af_unix.c); false of one that waits to be accepted. */
static bool agrees_with_unix_line(const char *line, const struct told_all *all)
{
    unsigned long inode = 0;
    char name[128] = "";
    // NOLINTNEXTLINE(cert-err34-c): of /proc
    assert_true(sscanf(line, "%*s %*s %*s %*s %*s %*s %lu %127s", &inode, name) >= 1);
    if (!inode)
        return false;
    const struct told *told = only_one(all, inode);
    assert_memory_equal(told->socket.kind, "unix", 4);
    assert_string_equal(told->local, name);
    return true;
}

/* Of /proc/net/tcp and its like (get_tcp4_sock() in Linux net/ipv4/tcp_ipv4.c). */
static bool agrees_with_inet_line(const char *line, const struct told_all *all)
{
    unsigned send = 0;
    unsigned receive = 0;
    unsigned uid = 0;
    unsigned long inode = 0;
    // NOLINTNEXTLINE(cert-err34-c): of /proc
    int fields = sscanf(line, "%*s %*s %*s %*s %x:%x %*s %*s %u %*u %lu", &send, &receive, &uid, &inode);
    assert_int_equal(fields, 4);
    const struct told *told = only_one(all, inode);
    assert_int_equal(told->socket.uid, uid);
    assert_int_equal(told->socket.receive, receive);
    if (strcmp(told->socket.state, "listen") != 0) /* it does not tell the backlog */
        assert_int_equal(told->socket.send, send);
    return true;
}

/* How many lines there are. */
static size_t agree_with(const char *path, bool (*agrees)(const char *, const struct told_all *),
                         const struct told_all *all)
{
    char line[512];
    size_t count = 0;
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file)); /* titles */
    while (fgets(line, sizeof line, file))
        count += agrees(line, all);
    (void)fclose(file);
    return count;
}

static void test_agrees_with_proc(void **state)
{
    (void)state;
    int fds[16];
    size_t made = make_some(fds);
    struct told_all all = walk_all();
    size_t count = agree_with("/proc/thread-self/net/unix", agrees_with_unix_line, &all);
    assert_int_equal(count, 7);
    count += agree_with("/proc/thread-self/net/tcp", agrees_with_inet_line, &all);
    count += agree_with("/proc/thread-self/net/tcp6", agrees_with_inet_line, &all);
    count += agree_with("/proc/thread-self/net/udp", agrees_with_inet_line, &all);
    count += agree_with("/proc/thread-self/net/udp6", agrees_with_inet_line, &all);
    assert_int_equal(count, made);
    assert_int_equal(all.count, made);
    free(all.rows);
    close_all(fds, made);
}

static const char *ss_word(const char *ours)
{
    static const char *const words[][2] = {
        {"unix-stream", "u_str"},   {"unix-dgram", "u_dgr"},   {"unix-seqpacket", "u_seq"},
        {"established", "ESTAB"},   {"unconnected", "UNCONN"}, {"listen", "LISTEN"},
        {"time-wait", "TIME-WAIT"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (strcmp(words[i][0], ours) == 0)
            return words[i][1];
    return ours;
}

/* As ss -n writes it, with one blank between columns. */
static void write_as_ss(const struct told *told, char *out, size_t room)
{
    const struct diag_socket *socket = &told->socket;
    int used = snprintf(out, room, "%s %s %u %u ", ss_word(socket->kind), ss_word(socket->state),
                        socket->receive, socket->send);
    if (strncmp(socket->kind, "unix", 4) == 0)
        (void)snprintf(out + used, room - (size_t)used, "%s %u * %u", *told->local ? told->local : "*",
                       socket->inode, socket->peer);
    else
        (void)snprintf(out + used, room - (size_t)used, "%s %s", told->local, told->remote);
}

static void squeeze_blanks(char *line)
{
    char *out = line;
    for (const char *in = line; *in; in++)
        if (*in != '\n' && (*in != ' ' || (out > line && out[-1] != ' ')))
            *out++ = *in;
    while (out > line && out[-1] == ' ')
        out--;
    *out = '\0';
}

static bool is_told(const struct told_all *all, const char *line)
{
    for (size_t i = 0; i < all->count; i++) {
        char ours[512];
        write_as_ss(&all->rows[i], ours, sizeof ours);
        if (strcmp(ours, line) == 0)
            return true;
    }
    return false;
}

static void test_agrees_with_ss(void **state)
{
    (void)state;
    int fds[16];
    char line[512];
    size_t lines = 0;
    FILE *output = popen("ss -H -xatun 2>/dev/null", "re"); // NOLINT(cert-env33-c): fixed
    assert_non_null(output);
    while (fgets(line, sizeof line, output))
        lines++;
    if (pclose(output) != 0)
        skip(); /* it is not there */
    assert_int_equal(lines, 0);
    size_t made = make_some(fds);
    struct told_all all = walk_all();
    output = popen("ss -H -xatun", "re"); // NOLINT(cert-env33-c)
    assert_non_null(output);
    for (lines = 0; fgets(line, sizeof line, output); lines++) {
        squeeze_blanks(line);
        if (!is_told(&all, line))
            fail_msg("ss alone has: %s", line);
    }
    assert_int_equal(pclose(output), 0);
    assert_int_equal(lines, all.count);
    free(all.rows);
    close_all(fds, made);
}

/* Answers in many pieces. */
static void test_thousands(void **state)
{
    (void)state;
    enum { PAIRS = 2000 };
    static int fds[2 * PAIRS];
    for (size_t i = 0; i < PAIRS; i++)
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, &fds[2 * i]), 0);
    struct told_all all = walk_all();
    assert_int_equal(all.count, 2 * PAIRS);
    for (size_t i = 0; i < 2 * PAIRS; i += 97)
        assert_int_equal(only_one(&all, inode_of(fds[i]))->socket.peer, inode_of(fds[i ^ 1]));
    free(all.rows);
    close_all(fds, 2 * PAIRS);
}

/* ---- by node ---- */

struct sightings {
    size_t reachable;
    size_t others;
    uint32_t inode; /* of the one last met that is reachable */
};

static int sight(void *data, const struct diag_socket *socket)
{
    struct sightings *sightings = data;
    *(socket->reachable ? &sightings->reachable : &sightings->others) += 1;
    if (socket->reachable)
        sightings->inode = socket->inode;
    return 0;
}

static struct sightings look_for(uint64_t inode)
{
    struct sightings sightings = {0};
    struct stat nodes;
    assert_int_equal(fstat(sock_nodes(), &nodes), 0);
    assert_int_equal(diag_walk_bound(nodes.st_dev, inode, sight, &sightings), 0);
    return sightings;
}

/* What a listener has accepted keeps its address, and is not there to be connected to. */
static void test_bound_here(void **state)
{
    (void)state;
    int listener = node_socket(SOCK_STREAM, "a");
    int other = node_socket(SOCK_DGRAM, "b");
    int client = connect_to_node(SOCK_STREAM, "a");
    int server = accept_one(listener);
    uint64_t inode = node_inode("a");
    struct sightings sightings = look_for(inode);
    assert_int_equal(sightings.reachable, 1);
    assert_int_equal(sightings.others, 1);
    assert_int_equal(sightings.inode, inode_of(listener));
    assert_int_equal(look_for(node_inode("b")).inode, inode_of(other));
    assert_int_equal(look_for((uint64_t)1 << 40 | node_inode("b")).inode, inode_of(other));
    assert_int_equal(look_for(node_inode("b") + 100).reachable, 0);
    close(listener);
    sightings = look_for(inode);
    assert_int_equal(sightings.reachable, 0);
    assert_int_equal(sightings.others, 1);
    assert_int_equal(connect_to_node(SOCK_STREAM, "a"), -ECONNREFUSED);
    close_all((int[]){server, client, other}, 3);
    assert_int_equal(look_for(inode).others, 0);
}

/* Bound and not listening, and bound and then connected. */
static void test_bound_otherwise(void **state)
{
    (void)state;
    const char *path = node_path("a");
    int fd = bound_socket(SOCK_STREAM, path, strlen(path) + 1);
    assert_int_equal(look_for(node_inode("a")).reachable, 1);
    int listener = node_socket(SOCK_STREAM, "b");
    connect_to(fd, listener);
    assert_int_equal(look_for(node_inode("a")).reachable, 0);
    assert_int_equal(look_for(node_inode("a")).others, 1);
    assert_int_equal(connect_to_node(SOCK_STREAM, "a"), -ECONNREFUSED);
    close_all((int[]){fd, listener}, 2);
}

/* An inode number, and no other device's. */
static void test_bound_to_another_device(void **state)
{
    (void)state;
    size_t visits = 0;
    int fd = node_socket(SOCK_DGRAM, "a");
    assert_int_equal(diag_walk_bound(makedev(8, 1), node_inode("a"), count_visits, &visits), 0);
    assert_int_equal(visits, 0);
    close(fd);
}

static void must_be_in_net(ino_t expected)
{
    struct stat now;
    assert_int_equal(stat("/proc/thread-self/ns/net", &now), 0);
    assert_int_equal(now.st_ino, expected);
}

static ino_t own_net(void)
{
    struct stat now;
    assert_int_equal(stat("/proc/thread-self/ns/net", &now), 0);
    return now.st_ino;
}

static void test_bound_elsewhere(void **state)
{
    (void)state;
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM};
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        pid_t pid = start_elsewhere(types[i], "a");
        pid_t other = start_elsewhere(types[i], "b");
        uint64_t inode = node_inode("a");
        ino_t net = own_net();
        int fd = connect_to_node(types[i], "a"); /* the kernel goes by the inode alone */
        assert_true(fd >= 0);
        assert_int_equal(look_for(inode).reachable, 1);
        act_as(USER);
        assert_int_equal(look_for(inode).reachable, 1);
        assert_int_equal(geteuid(), USER);
        act_as_root();
        must_be_in_net(net);
        size_t visits = 0;
        assert_int_equal(diag_walk_elsewhere(count_visits, &visits), 0);
        assert_true(visits >= 2);
        kill_and_wait(pid);
        assert_int_equal(look_for(inode).reachable, 0);
        kill_and_wait(other);
        close(fd);
        remove_all_objects();
    }
}

/* Two processes in one name space, the first of which ends. */
static void test_elsewhere_is_met_once(void **state)
{
    (void)state;
    int ends[2];
    pid_t pid = start_elsewhere(SOCK_DGRAM, "a");
    int net = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/ns/net", pid);
    int there = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(setns(there, CLONE_NEWNET), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends), 0);
    pid_t second = start_idle_process(0, 0);
    assert_int_equal(setns(net, CLONE_NEWNET), 0);
    struct sightings sightings = look_for(node_inode("a"));
    assert_int_equal(sightings.reachable, 1);
    kill_and_wait(pid);
    assert_int_equal(look_for(node_inode("a")).reachable, 0);
    kill_and_wait(second);
    close_all((int[]){net, there, ends[0], ends[1]}, 4);
}

/* ---- ends and errors ---- */

static int answer(void *data, const struct diag_socket *socket)
{
    (void)socket;
    return *(int *)data;
}

static void test_visitor_ends_it(void **state)
{
    (void)state;
    static const int answers[] = {7, -ENOENT, -EPERM, -ENOMEM};
    struct stat nodes;
    int fd = node_socket(SOCK_STREAM, "a");
    pid_t pid = start_elsewhere(SOCK_STREAM, "b");
    assert_int_equal(fstat(sock_nodes(), &nodes), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(answers); i++) {
        int wanted = answers[i];
        assert_int_equal(diag_walk(answer, &wanted), wanted);
        assert_int_equal(diag_walk_elsewhere(answer, &wanted), wanted);
        assert_int_equal(diag_walk_bound(nodes.st_dev, node_inode("a"), answer, &wanted), wanted);
        assert_int_equal(diag_walk_bound(nodes.st_dev, node_inode("b"), answer, &wanted), wanted);
    }
    kill_and_wait(pid);
    close(fd);
}

static int walk_here(void)
{
    size_t visits = 0;
    return diag_walk(count_visits, &visits);
}

static int walk_elsewhere(void)
{
    size_t visits = 0;
    return diag_walk_elsewhere(count_visits, &visits);
}

static int find_one(void)
{
    struct diag_socket found;
    int error = diag_find_unix(1, &found);
    return error == -ENOENT ? 0 : error;
}

static int (*const operations[])(void) = {walk_here, walk_elsewhere, find_one};

static void test_out_of_memory(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(operations); i++) {
        unsigned number = 0;
        bool failed = true;
        for (; failed; number++) {
            failing_arm(number + 1);
            int error = operations[i]();
            failed = failing_disarm();
            assert_int_equal(error, failed ? -ENOMEM : 0);
        }
        assert_true(number > 1);
    }
}

static void test_out_of_descriptors(void **state)
{
    (void)state;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(operations); i++) {
        int error = -EMFILE;
        size_t failures = 0;
        for (rlim_t limit = 3; error; limit++) {
            const struct rlimit low = {limit, before.rlim_max};
            assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
            error = operations[i]();
            assert_true(error == 0 || error == -EMFILE);
            failures += error != 0;
        }
        assert_true(failures > 0);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    }
}

/* Everybody is told of all. */
static void test_as_others(void **state)
{
    (void)state;
    int fds[16];
    size_t made = make_some(fds);
    act_as(USER);
    struct told_all all = walk_all();
    act_as_root();
    assert_int_equal(all.count, made);
    assert_int_equal(only_one(&all, inode_of(fds[0]))->socket.uid, 0);
    free(all.rows);
    close_all(fds, made);
}

/* ---- churn ---- */

static int come_and_go(void)
{
    int fds[64] = {0};
    for (unsigned i = 0;; i = (i * 5 + 3) % 64) {
        if (fds[i])
            close(fds[i]);
        fds[i] = socket(AF_UNIX, SOCK_STREAM, 0);
    }
    return 0;
}

/* Sockets come and go in the kernel's table, so that now and then one that stays is passed over or met twice. */
static void test_churn(void **state)
{
    (void)state;
    enum { PAIRS = 500, WALKS = 100 };
    static int fds[2 * PAIRS];
    size_t visits = 0;
    for (size_t i = 0; i < PAIRS; i++)
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, &fds[2 * i]), 0);
    pid_t pid = start_process(0, 0, come_and_go);
    for (int i = 0; i < WALKS; i++)
        assert_int_equal(diag_walk(count_visits, &visits), 0);
    kill_and_wait(pid);
    assert_in_range(visits, WALKS * (2 * PAIRS - 5), WALKS * (2 * PAIRS + 64 + 5));
    close_all(fds, 2 * PAIRS);
}

static const struct CMUnitTest tests[] = {
    NET_TEST(test_tcp),
    NET_TEST(test_any_address),
    NET_TEST(test_udp),
    NET_TEST(test_pairs),
    NET_TEST(test_names),
    NET_TEST(test_listener),
    NET_TEST(test_large_device),
    NET_TEST(test_find),
    NET_TEST(test_agrees_with_proc),
    NET_TEST(test_agrees_with_ss),
    NET_TEST(test_thousands),
    NET_TEST(test_bound_here),
    NET_TEST(test_bound_otherwise),
    NET_TEST(test_bound_to_another_device),
    NET_TEST(test_bound_elsewhere),
    NET_TEST(test_elsewhere_is_met_once),
    NET_TEST(test_visitor_ends_it),
    NET_TEST(test_out_of_memory),
    NET_TEST(test_out_of_descriptors),
    NET_TEST(test_as_others),
    NET_TEST(test_churn),
};

const struct suite sock_diag_suite = {
    .name = "sockets of the machine", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "sock"};
