/* SPDX-License-Identifier: MIT */
/* What sock_diag(7) tells of all sockets is what else tells of them, whoever asks and whatever comes and goes. */
#include "sock_sockets.h"

#include "mq_users.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what else tells ---- */

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
    int fds[SOME_MAX];
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
    int fds[SOME_MAX];
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

/* Everybody is told of all. */
static void test_as_others(void **state)
{
    (void)state;
    int fds[SOME_MAX];
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
    assert_in_range(visits, WALKS * (2 * PAIRS - 5), WALKS * (2 * PAIRS + COME_AND_GO + 5));
    close_all(fds, 2 * PAIRS);
}

static const struct CMUnitTest tests[] = {
    NET_TEST(test_agrees_with_proc), NET_TEST(test_agrees_with_ss), NET_TEST(test_thousands),
    NET_TEST(test_as_others),        NET_TEST(test_churn),
};

const struct suite sock_agrees_suite = {
    .name = "the sockets of the machine", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "sock"};
