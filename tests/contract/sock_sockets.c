/* SPDX-License-Identifier: MIT */
#include "sock_sockets.h"

#include "mq_users.h"
#include "sock.h"

#include "ipcfs/place.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- name spaces ---- */

static int first_net = -1;

void enter_new_net(void)
{
    struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    assert_int_equal(unshare(CLONE_NEWNET), 0);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &loopback), 0);
    close(fd);
}

int begin_in_own_net(void **state)
{
    struct stat stat;
    assert_int_equal(fstat(sock_nodes(), &stat), 0);
    place_set_device(stat.st_dev);
    if (first_net < 0)
        first_net = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    int error = begin_test(state);
    enter_new_net();
    return error;
}

int end_in_own_net(void **state)
{
    act_as_root();
    assert_int_equal(setns(first_net, CLONE_NEWNET), 0);
    place_set_device(0);
    return end_test(state);
}

/* ---- sockets ---- */

const char *node_path(const char *name)
{
    static char path[sizeof((struct sockaddr_un *)0)->sun_path];
    int length = snprintf(path, sizeof path, "%s/nodes/sock/%s", place_path(), name);
    assert_in_range(length, 1, sizeof path - 1);
    return path;
}

static struct sockaddr_un node_address(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = node_path(name);
    memcpy(address.sun_path, path, strlen(path));
    return address;
}

int bound_socket(int type, const char *path, size_t size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_true(size <= sizeof address.sun_path);
    memcpy(address.sun_path, path, size);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (bind(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size)))
        fail_msg("bind: %s", strerror(errno));
    return fd;
}

int node_socket(int type, const char *name)
{
    const char *path = node_path(name);
    int fd = bound_socket(type, path, strlen(path) + 1);
    if (type != SOCK_DGRAM)
        assert_int_equal(listen(fd, 7), 0);
    return fd;
}

int connect_to_node(int type, const char *name)
{
    const struct sockaddr_un address = node_address(name);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    int error = -errno;
    close(fd);
    return error;
}

int accept_one(int listener)
{
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    int fd = accept4(listener, (struct sockaddr *)&peer, &size, SOCK_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

ino_t inode_of(int fd)
{
    struct stat stat;
    assert_int_equal(fstat(fd, &stat), 0);
    return stat.st_ino;
}

uint64_t node_inode(const char *name)
{
    struct stat found;
    assert_int_equal(stat(node_path(name), &found), 0);
    return found.st_ino;
}

void close_all(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
}

/* ---- of the internet ---- */

int inet_socket(int family, int type, bool only_ipv6)
{
    int yes = only_ipv6;
    int fd = socket(family, type | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (family == AF_INET6)
        assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes), 0);
    return fd;
}

void bind_inet(int fd, int family, bool any)
{
    struct sockaddr_in ipv4 = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(any ? INADDR_ANY : INADDR_LOOPBACK)};
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};
    ipv6.sin6_addr = any ? in6addr_any : in6addr_loopback;
    assert_int_equal(family == AF_INET ? bind(fd, (struct sockaddr *)&ipv4, sizeof ipv4)
                                       : bind(fd, (struct sockaddr *)&ipv6, sizeof ipv6),
                     0);
}

void connect_to(int fd, int other)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    assert_int_equal(getsockname(other, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, size), 0);
}

/* ---- many ---- */

size_t make_some(int fds[static 16])
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

int come_and_go(void)
{
    int fds[COME_AND_GO] = {0};
    for (unsigned i = 0;; i = (i * 5 + 3) % COME_AND_GO) {
        if (fds[i])
            close(fds[i]);
        fds[i] = socket(AF_UNIX, SOCK_STREAM, 0);
    }
    return 0;
}

/* ---- elsewhere ---- */

static struct {
    int type;
    const char *name;
} wanted;

static int bind_elsewhere(void)
{
    const struct sockaddr_un address = node_address(wanted.name);
    if (unshare(CLONE_NEWNET))
        return 1;
    int fd = socket(AF_UNIX, wanted.type, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) ||
        (wanted.type != SOCK_DGRAM && listen(fd, 3)))
        return 2;
    for (;;)
        (void)raise(SIGSTOP);
}

pid_t start_elsewhere(int type, const char *name)
{
    int status = 0;
    wanted.type = type;
    wanted.name = name;
    pid_t pid = start_process(0, 0, bind_elsewhere);
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    return pid;
}

int give_up_netlink(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPROTONOSUPPORT),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = ARRAY_LENGTH(code), .filter = code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

void let_nodes_age(void)
{
    const struct timespec two_seconds_and_a_bit = {.tv_sec = 2, .tv_nsec = 50 * 1000 * 1000};
    (void)nanosleep(&two_seconds_and_a_bit, NULL);
}

/* ---- walks ---- */

static int collect(void *data, const struct diag_socket *socket)
{
    struct told_all *all = data;
    all->rows = realloc(all->rows, (all->count + 1) * sizeof *all->rows);
    assert_non_null(all->rows);
    struct told *row = &all->rows[all->count++];
    row->socket = *socket;
    (void)snprintf(row->local, sizeof row->local, "%s", socket->local);
    (void)snprintf(row->remote, sizeof row->remote, "%s", socket->remote);
    return 0;
}

struct told_all walk_all(void)
{
    struct told_all all = {0};
    assert_int_equal(diag_walk(collect, &all), 0);
    return all;
}

const struct told *only_one(const struct told_all *all, ino_t inode)
{
    const struct told *found = NULL;
    for (size_t i = 0; i < all->count; i++) {
        if (all->rows[i].socket.inode != inode)
            continue;
        assert_null(found);
        found = &all->rows[i];
    }
    if (!found)
        fail_msg("socket:[%lu] was not met", (unsigned long)inode);
    return found;
}

int count_visits(void *data, const struct diag_socket *socket)
{
    (void)socket;
    ++*(size_t *)data;
    return 0;
}
