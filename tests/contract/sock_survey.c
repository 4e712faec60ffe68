/* SPDX-License-Identifier: MIT */
/* The list of all sockets in ctl/sock/. */
#include "sock_shown.h"

#include "failing.h"
#include "mq_users.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_survey(void **unused)
{
    (void)unused;
    int listener = node_socket(SOCK_STREAM, "a b\n");
    int client = connect_to_node(SOCK_STREAM, "a b\n");
    int other = bound_socket(SOCK_DGRAM, "\0a\0b", 4);
    close(make_file("file"));
    struct rows rows = survey();
    assert_int_equal(rows.count, 3);
    const struct row *row = row_of(&rows, listener);
    cell_must_say(row, "kind", "unix-stream");
    cell_must_say(row, "state", "listen");
    cell_must_say(row, "local", node_path("a b\n"));
    cell_must_say(row, "remote", NULL);
    cell_must_say(row, "name", "a b\n");
    must_be_shown(sock_survey_fields, row->values, "receive", 1);
    must_be_shown(sock_survey_fields, row->values, "send", 7);
    must_be_shown(sock_survey_fields, row->values, "uid", 0);
    assert_false(cell(row, "peer")->known);
    row = row_of(&rows, other);
    cell_must_say(row, "local", "@a@b");
    cell_must_say(row, "name", NULL);
    cell_must_say(row_of(&rows, client), "local", NULL);
    free(rows.rows);
    close_all((int[]){listener, client, other}, 3);
}

/* Who has a socket open is shown as far as the caller may look into processes. */
static void test_survey_holders(void **unused)
{
    (void)unused;
    char expected[64];
    int fd = node_socket(SOCK_STREAM, "a");
    int again = dup(fd); /* a process is shown once */
    pid_t first = start_idle_process(USER, 0);
    pid_t second = start_idle_process(USER, 0);
    struct rows rows = survey();
    (void)snprintf(expected, sizeof expected, "%d,%d", first, second);
    cell_must_say(row_of(&rows, fd), "holders", expected); /* not this process, which is the daemon */
    free(rows.rows);
    act_as(OTHER_USER);
    rows = survey();
    act_as_root();
    cell_must_say(row_of(&rows, fd), "holders", NULL);
    cell_must_say(row_of(&rows, fd), "state", "listen");
    free(rows.rows);
    kill_and_wait(first);
    kill_and_wait(second);
    close_all((int[]){fd, again}, 2);
}

static void test_survey_many_holders(void **unused)
{
    (void)unused;
    enum { HOLDERS = 18 };
    pid_t pids[HOLDERS];
    int fd = node_socket(SOCK_STREAM, "a");
    size_t commas = 0;
    for (size_t i = 0; i < HOLDERS; i++)
        pids[i] = start_idle_process(0, 0);
    struct rows rows = survey();
    const char *holders = cell(row_of(&rows, fd), "holders")->string;
    for (const char *byte = holders; *byte; byte++)
        commas += *byte == ',';
    assert_int_equal(commas, 16);
    assert_string_equal(holders + strlen(holders) - 4, ",...");
    free(rows.rows);
    for (size_t i = 0; i < HOLDERS; i++)
        kill_and_wait(pids[i]);
    close(fd);
}

static void test_survey_stale(void **unused)
{
    (void)unused;
    pid_t pid = start_elsewhere(SOCK_SEQPACKET, "elsewhere");
    close(node_socket(SOCK_DGRAM, "stale"));
    int alive = node_socket(SOCK_DGRAM, "alive");
    let_nodes_age();
    close(node_socket(SOCK_DGRAM, "new"));
    close(make_file("file"));
    struct rows rows = survey();
    assert_int_equal(rows.count, 4);
    cell_must_say(row_named(&rows, "stale"), "state", "stale");
    cell_must_say(row_named(&rows, "stale"), "kind", NULL);
    cell_must_say(row_named(&rows, "new"), "state", "new");
    cell_must_say(row_named(&rows, "alive"), "state", "unconnected");
    cell_must_say(row_named(&rows, "elsewhere"), "state", "listen");
    cell_must_say(row_named(&rows, "elsewhere"), "kind", "unix-seqpacket");
    free(rows.rows);
    kill_and_wait(pid);
    close(alive);
}

/* Of one node there are the listener and what it has accepted; and when that alone is left, the node is stale all the same. */
static void test_survey_accepted(void **unused)
{
    (void)unused;
    int listener = node_socket(SOCK_STREAM, "a");
    int client = connect_to_node(SOCK_STREAM, "a");
    int server = accept_one(listener);
    struct rows rows = survey();
    cell_must_say(row_of(&rows, listener), "name", "a");
    cell_must_say(row_of(&rows, server), "name", "a");
    cell_must_say(row_of(&rows, client), "name", NULL);
    free(rows.rows);
    close(listener);
    let_nodes_age();
    rows = survey();
    assert_int_equal(rows.count, 3);
    cell_must_say(row_of(&rows, server), "name", "a");
    free(rows.rows);
    close_all((int[]){client, server}, 2);
}

/* A directory is told by its socket, which is bound elsewhere. */
static void test_survey_directory(void **unused)
{
    (void)unused;
    struct ipcfs_created object = make_directory("a");
    struct state state = state_of("a");
    uint64_t inode = value_of(&state, "inode")->number;
    struct rows rows = survey();
    assert_int_equal(rows.count, 1);
    must_be_shown(sock_survey_fields, rows.rows[0].values, "inode", inode);
    cell_must_say(&rows.rows[0], "state", "listen");
    cell_must_say(&rows.rows[0], "name", "a");
    free(rows.rows);
    release(&state);
    let_go(&object);
}

/* One that nobody listens for, as it is where it could not be bound again. */
static void test_survey_directory_alone(void **unused)
{
    (void)unused;
    assert_int_equal(mkdir(node_path("a"), 0700), 0);
    let_nodes_age();
    struct rows rows = survey();
    assert_int_equal(rows.count, 1);
    cell_must_say(&rows.rows[0], "state", "stale");
    cell_must_say(&rows.rows[0], "name", "a");
    free(rows.rows);
    must_be_in_state("a", "stale");
}

static int end_it(void *data, const struct ipcfs_value *values)
{
    (void)values;
    return *(const int *)data;
}

static void test_survey_ends(void **unused)
{
    (void)unused;
    int answer = -ENOMEM;
    assert_int_equal(sock_survey(end_it, &answer), 0); /* nothing there */
    int fd = node_socket(SOCK_STREAM, "a");
    assert_int_equal(sock_survey(end_it, &answer), -ENOMEM);
    close(fd);
    answer = -E2BIG;
    assert_int_equal(sock_survey(end_it, &answer), -E2BIG); /* of the node */
}

/* ---- memory ---- */

static int ignore_row(void *data, const struct ipcfs_value *values)
{
    (void)data;
    (void)values;
    return 0;
}

static void test_survey_out_of_memory(void **unused)
{
    (void)unused;
    pid_t pid = start_elsewhere(SOCK_STREAM, "elsewhere");
    int fd = node_socket(SOCK_STREAM, "a");
    struct ipcfs_created directory = make_directory("directory");
    let_go(&directory);
    unsigned number = 0;
    for (bool failed = true; failed; number++) {
        failing_arm(number + 1);
        int error = sock_survey(ignore_row, NULL);
        failed = failing_disarm();
        assert_int_equal(error, failed ? -ENOMEM : 0);
    }
    assert_true(number > 6);
    kill_and_wait(pid);
    close(fd);
}

static const struct CMUnitTest tests[] = {
    NET_TEST(test_survey),
    NET_TEST(test_survey_holders),
    NET_TEST(test_survey_many_holders),
    NET_TEST(test_survey_stale),
    NET_TEST(test_survey_accepted),
    NET_TEST(test_survey_directory),
    NET_TEST(test_survey_directory_alone),
    NET_TEST(test_survey_ends),
    NET_TEST(test_survey_out_of_memory),
};

const struct suite sock_survey_suite = {
    .name = "the list", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "sock"};
