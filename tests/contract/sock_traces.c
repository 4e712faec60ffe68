/* SPDX-License-Identifier: MIT */
/* What is left of sockets, one by one and by one look at all of them. */
#include "sock_shown.h"

#include "failing.h"
#include "mq_users.h"

#include "ipcfs/place.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct ipcfs_traces traces_of(const char *name, void **kept)
{
    struct ipcfs_traces traces;
    struct ipcfs_found found = find_object(name);
    struct ipcfs_ref ref = ref_by_name(&found, name);
    assert_int_equal(kind->traces(&ref, kept, &traces), 0);
    return traces;
}

enum said { HELD, LEFT, UNSAID };

static void must_be(enum said said, const char *name, void **kept)
{
    struct ipcfs_traces traces = traces_of(name, kept);
    assert_int_equal(traces.holds_counted, said != UNSAID);
    assert_int_equal(traces.holds, said == HELD);
    assert_int_equal(traces.out_of_reach, said == LEFT);
}

static void test_one_by_one(void **unused)
{
    (void)unused;
    int fds[] = {node_socket(SOCK_STREAM, "listens"), node_socket(SOCK_DGRAM, "bound")};
    close(node_socket(SOCK_STREAM, "left"));
    must_be(HELD, "left", NULL); /* just made: somebody is about to use it */
    let_nodes_age();
    must_be(HELD, "listens", NULL);
    must_be(HELD, "bound", NULL);
    must_be(LEFT, "left", NULL);
    close_all(fds, ARRAY_LENGTH(fds));
    must_be(LEFT, "listens", NULL);
    must_be(LEFT, "bound", NULL);
}

static void test_elsewhere(void **unused)
{
    (void)unused;
    pid_t pid = start_elsewhere(SOCK_STREAM, "a");
    let_nodes_age();
    must_be(HELD, "a", NULL);
    kill_and_wait(pid);
    must_be(LEFT, "a", NULL);
}

/* An accepted connection has the node's name, and nobody reaches it by that. */
static void test_connections(void **unused)
{
    (void)unused;
    int listener = node_socket(SOCK_STREAM, "a");
    int fds[] = {connect_to_node(SOCK_STREAM, "a"), accept_one(listener)};
    close(listener);
    let_nodes_age();
    must_be(LEFT, "a", NULL);
    close_all(fds, ARRAY_LENGTH(fds));
}

/* What was made after the look is new, however long the walk takes. */
static void test_by_one_look(void **unused)
{
    (void)unused;
    void *kept = NULL;
    close(node_socket(SOCK_STREAM, "left"));
    int listener = node_socket(SOCK_STREAM, "listens");
    let_nodes_age();
    must_be(LEFT, "left", &kept);
    assert_non_null(kept);
    int later = node_socket(SOCK_STREAM, "later");
    close(listener);
    let_nodes_age();
    must_be(HELD, "listens", &kept);
    must_be(HELD, "later", &kept);
    must_be(LEFT, "left", &kept);
    close(later);
    free(kept);
}

static void test_nothing_mounted(void **unused)
{
    (void)unused;
    close(node_socket(SOCK_STREAM, "a"));
    let_nodes_age();
    place_set_device(0);
    must_be(UNSAID, "a", NULL);
}

/* Runs in a process of its own. */
static int look_without_netlink(void)
{
    struct ipcfs_traces traces;
    const struct ipcfs_ref ref = {.name = "a"};
    if (give_up_netlink())
        return 1;
    if (kind->traces(&ref, NULL, &traces))
        return 2;
    return traces.out_of_reach || traces.holds_counted ? 3 : 0;
}

static void test_without_netlink(void **unused)
{
    (void)unused;
    close(node_socket(SOCK_STREAM, "a"));
    let_nodes_age();
    assert_int_equal(run_as(0, 0, look_without_netlink), 0);
}

/* More nodes than there was room for, and no memory. */
static void test_many(void **unused)
{
    (void)unused;
    enum { MANY = 600 };
    static int fds[MANY];
    char name[16];
    void *kept = NULL;
    close(node_socket(SOCK_DGRAM, "left"));
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(name, sizeof name, "n%d", i);
        fds[i] = node_socket(SOCK_DGRAM, name);
    }
    let_nodes_age();
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(name, sizeof name, "n%d", i);
        must_be(HELD, name, &kept);
    }
    must_be(LEFT, "left", &kept);
    free(kept);
    const struct ipcfs_ref ref = {.name = "left"};
    bool failed = true;
    for (unsigned number = 1; failed; number++) {
        struct ipcfs_traces traces;
        failing_arm(number);
        int error = kind->traces(&ref, NULL, &traces);
        failed = failing_disarm();
        assert_true(error == 0 || (failed && error == -ENOMEM));
        assert_true(error || traces.out_of_reach || failed);
    }
    close_all(fds, MANY);
}

static const struct CMUnitTest tests[] = {
    NET_TEST(test_one_by_one),  NET_TEST(test_elsewhere),       NET_TEST(test_connections),
    NET_TEST(test_by_one_look), NET_TEST(test_nothing_mounted), NET_TEST(test_without_netlink),
    NET_TEST(test_many),
};

const struct suite sock_traces_suite = {
    .name = "what is left", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "sock"};
