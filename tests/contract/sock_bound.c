/* SPDX-License-Identifier: MIT */
/* Sockets found by the node that they are bound to, in whatever network name space; and walks that end early, or fail. */
#include "sock_sockets.h"

#include "failing.h"
#include "mq_users.h"
#include "sock.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

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

static const struct CMUnitTest tests[] = {
    NET_TEST(test_bound_here),
    NET_TEST(test_bound_otherwise),
    NET_TEST(test_bound_to_another_device),
    NET_TEST(test_bound_elsewhere),
    NET_TEST(test_elsewhere_is_met_once),
    NET_TEST(test_visitor_ends_it),
    NET_TEST(test_out_of_memory),
    NET_TEST(test_out_of_descriptors),
};

const struct suite sock_bound_suite = {
    .name = "sockets by their nodes", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "sock"};
