/* SPDX-License-Identifier: MIT */
/* What ctl/sock/ shows of objects that the test has made, and of limits. */
#include "sock_shown.h"

#include "failing.h"
#include "mq_users.h"
#include "sock.h"

#include "ipcfs/place.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- state ---- */

static void test_listener(void **unused)
{
    (void)unused;
    static const struct {
        int type;
        const char *kind;
    } cases[] = {{SOCK_STREAM, "stream"}, {SOCK_SEQPACKET, "seqpacket"}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        int listener = node_socket(cases[i].type, "a");
        int fds[] = {listener, connect_to_node(cases[i].type, "a"), connect_to_node(cases[i].type, "a"),
                     connect_to_node(cases[i].type, "a"), accept_one(listener)};
        struct state state = state_of("a");
        must_say(&state, "name", "a");
        must_say(&state, "type", "socket");
        must_say(&state, "kind", cases[i].kind);
        must_say(&state, "state", "listen");
        must_count(&state, "backlog", 7);
        must_count(&state, "queued", 2);
        must_count(&state, "connections", 1);
        must_count(&state, "inode", inode_of(listener));
        must_count(&state, "ino", node_inode("a"));
        must_count(&state, "uid", 0);
        must_count(&state, "size", 0);
        assert_false(value_of(&state, "peer")->known);
        release(&state);
        close_all(fds, ARRAY_LENGTH(fds));
        remove_object("a");
    }
}

static void test_bound(void **unused)
{
    (void)unused;
    int datagrams = node_socket(SOCK_DGRAM, "dgram");
    const char *path = node_path("stream");
    int fds[] = {datagrams, bound_socket(SOCK_STREAM, path, strlen(path) + 1)};
    struct state state = state_of("dgram");
    must_say(&state, "state", "bound");
    must_say(&state, "kind", "dgram");
    must_count(&state, "inode", inode_of(fds[0]));
    assert_false(value_of(&state, "backlog")->known);
    assert_false(value_of(&state, "queued")->known);
    release(&state);
    must_be_in_state("stream", "bound");
    int connected = connect_to_node(SOCK_DGRAM, "dgram");
    assert_true(connected >= 0);
    must_be_in_state("dgram", "bound");
    close_all(fds, 2);
    close(connected);
}

/* A socket that is connected is none to connect to, even if it was accepted from the one that was there. */
static void test_new_and_stale(void **unused)
{
    (void)unused;
    int listener = node_socket(SOCK_STREAM, "a");
    int client = connect_to_node(SOCK_STREAM, "a");
    int server = accept_one(listener);
    close(listener);
    struct state state = state_of("a");
    must_say(&state, "state", "new");
    must_count(&state, "connections", 1);
    assert_false(value_of(&state, "kind")->known);
    assert_false(value_of(&state, "inode")->known);
    release(&state);
    let_nodes_age();
    must_be_in_state("a", "stale");
    close_all((int[]){client, server}, 2);
    state = state_of("a");
    must_say(&state, "state", "stale");
    must_count(&state, "connections", 0);
    assert_int_equal(value_of(&state, "holder")->table->rows, 0);
    release(&state);
    place_set_device(0); /* nothing is mounted, so nothing can be said */
    must_be_in_state("a", NULL);
}

static void test_elsewhere(void **unused)
{
    (void)unused;
    pid_t pid = start_elsewhere(SOCK_STREAM, "a");
    let_nodes_age();
    struct state state = state_of("a");
    must_say(&state, "state", "listen");
    must_count(&state, "backlog", 3);
    const struct ipcfs_table *holders = value_of(&state, "holder")->table;
    assert_int_equal(holders->rows, 1);
    assert_int_equal(holders->cells[0].number, pid);
    release(&state);
    act_as(USER);
    struct ipcfs_found found = find_object("a");
    struct ipcfs_ref ref = ref_by_name(&found, "a");
    int error = sock_show_state(&ref, &found.stat, state.values);
    act_as_root();
    assert_int_equal(error, 0);
    must_say(&state, "state", "listen");
    assert_int_equal(value_of(&state, "holder")->table->rows, 0); /* not his to see */
    release(&state);
    kill_and_wait(pid);
    must_be_in_state("a", "stale");
}

static void test_file(void **unused)
{
    (void)unused;
    int fd = make_file("lock");
    assert_int_equal(write(fd, "1234\n", 5), 5);
    close(fd);
    struct state state = state_of("lock");
    must_say(&state, "type", "file");
    must_say(&state, "state", NULL);
    must_say(&state, "kind", NULL);
    must_count(&state, "size", 5);
    must_count(&state, "mode", 0640);
    assert_false(value_of(&state, "holder")->known);
    release(&state);
}

/* Native clients reach it by the link `socket`. */
static int connect_to_directory(const char *name)
{
    struct ipcfs_found found = find_object(name);
    struct ipcfs_ref ref = ref_by_name(&found, name);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct ipcfs_verb *verb = kind->files;
    while (strcmp(verb->name, "socket") != 0)
        verb++;
    assert_int_equal(verb->link(&ref, address.sun_path, sizeof address.sun_path), 0);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void test_directory(void **unused)
{
    (void)unused;
    struct ipcfs_created object = make_directory("a");
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    int client = connect_to_directory("a");
    struct state state = state_of("a");
    must_say(&state, "type", "directory");
    must_say(&state, "kind", "stream");
    must_say(&state, "state", "listen");
    must_count(&state, "queued", 1);
    must_count(&state, "connections", 0);
    assert_true(value_of(&state, "backlog")->number > 0);
    assert_int_equal(value_of(&state, "peer")->table->rows, 0);
    assert_false(value_of(&state, "holder")->known); /* the daemon, and nobody else */
    release(&state);
    remove_object("a");
    memset(&state, 0, sizeof state);
    assert_int_equal(sock_show_state(&ref, &object.found.stat, state.values), 0);
    must_say(&state, "state", "stale");
    release(&state);
    close(client);
    let_go(&object);
}

/* ---- limits ---- */

/* The first number in a file. */
static unsigned long long number_in(const char *path)
{
    char line[128];
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    (void)fclose(file);
    return strtoull(line + strcspn(line, "0123456789"), NULL, 10);
}

static void test_limits(void **unused)
{
    (void)unused;
    static const struct {
        const char *field;
        const char *path;
    } cases[] = {
        {"somaxconn", "/proc/sys/net/core/somaxconn"},
        {"max_dgram_qlen", "/proc/sys/net/unix/max_dgram_qlen"},
        {"rmem_default", "/proc/sys/net/core/rmem_default"},
        {"rmem_max", "/proc/sys/net/core/rmem_max"},
        {"wmem_default", "/proc/sys/net/core/wmem_default"},
        {"wmem_max", "/proc/sys/net/core/wmem_max"},
        {"sockets_used", "/proc/net/sockstat"},
    };
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    struct statvfs system;
    int fd = node_socket(SOCK_STREAM, "a");
    assert_int_equal(sock_show_limits(values), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        must_be_shown(sock_limit_fields, values, cases[i].field, number_in(cases[i].path));
    assert_true(find_value(sock_limit_fields, values, "sockets_used")->number > 0);
    assert_int_equal(fstatvfs(sock_nodes(), &system), 0);
    must_be_shown(sock_limit_fields, values, "inodes", system.f_files);
    must_be_shown(sock_limit_fields, values, "inodes_used", system.f_files - system.f_ffree);
    close(fd);
}

/* ---- memory ---- */

static int state_once(void)
{
    struct state state;
    int error = read_state("a", &state);
    release(&state);
    return error;
}

static void test_out_of_memory(void **unused)
{
    (void)unused;
    int fd = node_socket(SOCK_STREAM, "a");
    pid_t holder = start_idle_process(0, 0);
    unsigned number = 0;
    for (bool failed = true; failed; number++) {
        failing_arm(number + 1);
        int error = state_once();
        failed = failing_disarm();
        assert_int_equal(error, failed ? -ENOMEM : 0);
    }
    assert_true(number > 3);
    kill_and_wait(holder);
    close(fd);
}

static const struct CMUnitTest tests[] = {
    NET_TEST(test_listener),  NET_TEST(test_bound),         NET_TEST(test_new_and_stale),
    NET_TEST(test_elsewhere), NET_TEST(test_file),          NET_TEST(test_directory),
    NET_TEST(test_limits),    NET_TEST(test_out_of_memory),
};

const struct suite sock_show_suite = {
    .name = "what is shown", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "sock"};
