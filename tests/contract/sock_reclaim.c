/* SPDX-License-Identifier: MIT */
/* ctl/sock/NAME/reclaim: removes what is stale, and nothing else. */
#include "sock_shown.h"

#include "mq_users.h"

#include "ipcfs/place.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static int reclaim_ref(const struct ipcfs_ref *ref, const char *line, const char *expected_reason)
{
    const struct ipcfs_verb *verb = kind->verbs;
    while (strcmp(verb->name, "reclaim") != 0)
        verb++;
    AUTO_TEXT reason = {0};
    const struct ipcfs_written written = {
        .data = line, .size = strlen(line), .caller = &self, .reason = &reason};
    int error = verb->write(ref, 0, &written);
    text_bytes(&reason, "", 1);
    assert_string_equal(reason.data, expected_reason);
    return error;
}

static int reclaim(const char *name, const char *expected_reason)
{
    struct ipcfs_found found = find_object(name);
    struct ipcfs_ref ref = ref_by_name(&found, name);
    return reclaim_ref(&ref, "1", expected_reason);
}

static void test_reclaim_alive(void **unused)
{
    (void)unused;
    char listens[64];
    char bound[64];
    int listener = node_socket(SOCK_STREAM, "a");
    int datagrams = node_socket(SOCK_DGRAM, "b");
    assert_int_equal(reclaim("a", "somebody listens"), -EBUSY); /* this process is the daemon */
    pid_t pid = start_idle_process(USER, 0);
    (void)snprintf(listens, sizeof listens, "somebody listens: pid %d", pid);
    (void)snprintf(bound, sizeof bound, "a socket is bound to it: pid %d", pid);
    assert_int_equal(reclaim("a", listens), -EBUSY);
    assert_int_equal(reclaim("b", bound), -EBUSY);
    act_as(OTHER_USER);
    int error = reclaim("a", "somebody listens");
    act_as_root();
    assert_int_equal(error, -EBUSY);
    close_all((int[]){listener, datagrams}, 2);
    assert_int_equal(reclaim("a", listens), -EBUSY);
    kill_and_wait(pid);
    assert_int_equal(reclaim("a", "just made"), -EBUSY);
    assert_true(exists("a") && exists("b"));
}

static void test_reclaim_stale(void **unused)
{
    (void)unused;
    close(node_socket(SOCK_STREAM, "a"));
    close(node_socket(SOCK_DGRAM, "b"));
    close(node_socket(SOCK_DGRAM, "c"));
    struct ipcfs_found found = find_object("b");
    struct ipcfs_ref replaced = ref_by_name(&found, "b");
    struct ipcfs_ref any = {.name = "c"};
    assert_int_equal(reclaim("a", "just made"), -EBUSY);
    let_nodes_age();
    assert_int_equal(reclaim_ref(&replaced, "2", "write 1"), -EINVAL);
    assert_int_equal(reclaim_ref(&replaced, "", "write 1"), -EINVAL);
    remove_object("b");
    assert_int_equal(reclaim_ref(&replaced, "1", ""), -ESTALE);
    close(node_socket(SOCK_DGRAM, "b"));
    assert_int_equal(reclaim_ref(&replaced, "1", ""), -ESTALE);
    assert_int_equal(reclaim("a", ""), 0);
    assert_false(exists("a"));
    assert_true(exists("b"));
    assert_int_equal(reclaim_ref(&any, "1", ""), 0);
    assert_false(exists("c"));
}

/* As rm(1) would: in a sticky directory, only what is one's own. */
static void test_reclaim_as_others(void **unused)
{
    (void)unused;
    close(node_socket(SOCK_STREAM, "his"));
    assert_int_equal(chown(node_path("his"), USER, USER), 0);
    close(node_socket(SOCK_STREAM, "roots"));
    let_nodes_age();
    act_as(OTHER_USER);
    int by_other = reclaim("his", "");
    act_as_root();
    act_as(USER);
    int of_root = reclaim("roots", "");
    int of_his = reclaim("his", "");
    act_as_root();
    assert_int_equal(by_other, -EPERM);
    assert_int_equal(of_root, -EPERM);
    assert_int_equal(of_his, 0);
    assert_true(exists("roots") && !exists("his"));
}

static void test_reclaim_elsewhere(void **unused)
{
    (void)unused;
    char expected[64];
    pid_t pid = start_elsewhere(SOCK_STREAM, "a");
    let_nodes_age();
    (void)snprintf(expected, sizeof expected, "somebody listens: pid %d", pid);
    assert_int_equal(reclaim("a", expected), -EBUSY);
    kill_and_wait(pid);
    assert_int_equal(reclaim("a", ""), 0);
}

static void test_reclaim_others(void **unused)
{
    (void)unused;
    close(make_file("file"));
    close(node_socket(SOCK_STREAM, "a"));
    assert_int_equal(reclaim("file", "not a socket made by bind"), -EINVAL);
    place_set_device(0);
    let_nodes_age();
    assert_int_equal(reclaim("a", "whether somebody listens cannot be seen"), -EBUSY);
    assert_true(exists("file") && exists("a"));
}

/* Without the kernel's word nothing is called stale. Runs in a process of its own. */
static int look_without_netlink(void)
{
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    struct ipcfs_found found;
    const struct ipcfs_ref ref = {.name = "a"};
    AUTO_TEXT reason = {0};
    const struct ipcfs_written written = {.data = "1", .size = 1, .caller = &self, .reason = &reason};
    if (give_up_netlink())
        return 1;
    if (kind->find(0, "a", &found, NULL) || sock_show_state(&ref, &found.stat, values))
        return 2;
    if (find_value(sock_fields, values, "state")->known || sock_survey(keep_row, NULL) != -EOPNOTSUPP)
        return 3;
    return kind->verbs[0].write(&ref, 0, &written) == -EBUSY ? 0 : 4;
}

static void test_without_netlink(void **unused)
{
    (void)unused;
    close(node_socket(SOCK_STREAM, "a"));
    let_nodes_age();
    assert_int_equal(run_as(0, 0, look_without_netlink), 0);
    assert_true(exists("a"));
}

/* Sockets beside it in the kernel's table come and go, and it is never taken for stale twice. */
static void test_reclaim_under_churn(void **unused)
{
    (void)unused;
    enum { CROWD = 2000, TRIES = 100 };
    static int crowd[CROWD];
    int fd = node_socket(SOCK_STREAM, "a");
    for (size_t i = 0; i < CROWD; i++)
        crowd[i] = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    let_nodes_age();
    pid_t pid = start_process(0, 0, come_and_go);
    struct ipcfs_found found = find_object("a");
    struct ipcfs_ref ref = ref_by_name(&found, "a");
    for (int i = 0; i < TRIES; i++) {
        AUTO_TEXT reason = {0};
        const struct ipcfs_written written = {.data = "1", .size = 1, .caller = &self, .reason = &reason};
        assert_int_equal(kind->verbs[0].write(&ref, 0, &written), -EBUSY);
    }
    kill_and_wait(pid);
    close_all(crowd, CROWD);
    close(fd);
}

static const struct CMUnitTest tests[] = {
    NET_TEST(test_reclaim_alive),       NET_TEST(test_reclaim_stale),  NET_TEST(test_reclaim_as_others),
    NET_TEST(test_reclaim_elsewhere),   NET_TEST(test_reclaim_others), NET_TEST(test_without_netlink),
    NET_TEST(test_reclaim_under_churn),
};

const struct suite sock_reclaim_suite = {
    .name = "reclaim", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "sock"};
