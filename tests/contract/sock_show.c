/* SPDX-License-Identifier: MIT */
/* What ctl/sock/ shows of sockets that the test has made, and `reclaim`. */
#include "sock_sockets.h"

#include "failing.h"
#include "mq_users.h"
#include "sock.h"
#include "sock_show.h"

#include "ipcfs/place.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- state ---- */

struct state {
    struct ipcfs_value values[IPCFS_FIELDS_MAX];
};

static int read_state(const char *name, struct state *out)
{
    struct ipcfs_found found = find_object(name);
    struct ipcfs_ref ref = ref_by_name(&found, name);
    memset(out, 1, sizeof *out); /* known, if nobody says otherwise */
    return sock_show_state(&ref, &found.stat, out->values);
}

static struct state state_of(const char *name)
{
    struct state state;
    assert_int_equal(read_state(name, &state), 0);
    return state;
}

static const struct ipcfs_value *value_of(const struct state *state, const char *field)
{
    return find_value(sock_fields, state->values, field);
}

static void must_say(const struct state *state, const char *field, const char *expected)
{
    const struct ipcfs_value *value = value_of(state, field);
    assert_int_equal(value->known, expected != NULL);
    if (expected)
        assert_string_equal(value->string, expected);
}

static void must_count(const struct state *state, const char *field, uint64_t expected)
{
    must_be_shown(sock_fields, state->values, field, expected);
}

static void release(struct state *state)
{
    ipcfs_values_release(sock_fields, state->values);
}

static void must_be_in_state(const char *name, const char *expected)
{
    struct state state = state_of(name);
    must_say(&state, "state", expected);
    release(&state);
}

static int make_file(const char *name)
{
    int fd = open(node_path(name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    assert_true(fd >= 0);
    return fd;
}

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

static struct ipcfs_created make_directory(const char *name)
{
    const struct ipcfs_wish wish = {.name = name, .type = S_IFDIR, .mode = 0600, .caller = &self};
    struct ipcfs_created object = {0};
    assert_int_equal(kind->create(&wish, &object), 0);
    return object;
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

/* ---- survey ---- */

struct row {
    struct ipcfs_value values[IPCFS_FIELDS_MAX];
    char strings[8][128];
};
struct rows {
    struct row *rows;
    size_t count;
};

static int keep_row(void *data, const struct ipcfs_value *values)
{
    struct rows *rows = data;
    rows->rows = realloc(rows->rows, (rows->count + 1) * sizeof *rows->rows);
    assert_non_null(rows->rows);
    struct row *row = &rows->rows[rows->count++];
    size_t strings = 0;
    for (size_t i = 0; sock_survey_fields[i].name; i++) {
        row->values[i] = values[i];
        if (sock_survey_fields[i].type == IPCFS_UNSIGNED || !values[i].known)
            continue;
        assert_in_range(strings, 0, ARRAY_LENGTH(row->strings) - 1);
        (void)snprintf(row->strings[strings++], sizeof row->strings[0], "%s", values[i].string);
    }
    return 0;
}

/* Of an array that does not grow any more. */
static void point_to_strings(struct rows *rows)
{
    for (size_t r = 0; r < rows->count; r++) {
        size_t strings = 0;
        for (size_t i = 0; sock_survey_fields[i].name; i++)
            if (sock_survey_fields[i].type != IPCFS_UNSIGNED && rows->rows[r].values[i].known)
                rows->rows[r].values[i].string = rows->rows[r].strings[strings++];
    }
}

static struct rows survey(void)
{
    struct rows rows = {0};
    assert_int_equal(sock_survey(keep_row, &rows), 0);
    point_to_strings(&rows);
    return rows;
}

static const struct ipcfs_value *cell(const struct row *row, const char *field)
{
    return find_value(sock_survey_fields, row->values, field);
}

static void cell_must_say(const struct row *row, const char *field, const char *expected)
{
    assert_int_equal(cell(row, field)->known, expected != NULL);
    if (expected)
        assert_string_equal(cell(row, field)->string, expected);
}

/* The row with that number in a field. */
static const struct row *row_with(const struct rows *rows, const char *field, uint64_t number)
{
    const struct row *found = NULL;
    for (size_t i = 0; i < rows->count; i++) {
        const struct ipcfs_value *value = cell(&rows->rows[i], field);
        if (!value->known || value->number != number)
            continue;
        assert_null(found);
        found = &rows->rows[i];
    }
    assert_non_null(found);
    return found;
}

static const struct row *row_of(const struct rows *rows, int fd)
{
    return row_with(rows, "inode", inode_of(fd));
}

static const struct row *row_named(const struct rows *rows, const char *name)
{
    const struct row *found = NULL;
    for (size_t i = 0; i < rows->count; i++) {
        const struct ipcfs_value *value = cell(&rows->rows[i], "name");
        if (!value->known || strcmp(value->string, name) != 0)
            continue;
        assert_null(found);
        found = &rows->rows[i];
    }
    return found;
}

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

/* ---- reclaim ---- */

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
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPROTONOSUPPORT),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = ARRAY_LENGTH(code), .filter = code};
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    struct ipcfs_found found;
    const struct ipcfs_ref ref = {.name = "a"};
    AUTO_TEXT reason = {0};
    const struct ipcfs_written written = {.data = "1", .size = 1, .caller = &self, .reason = &reason};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
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
static int come_and_go(void)
{
    int fds[256] = {0};
    for (unsigned i = 0;; i = (i * 5 + 3) % 256) {
        if (fds[i])
            close(fds[i]);
        fds[i] = socket(AF_UNIX, SOCK_STREAM, 0);
    }
    return 0;
}

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

static int ignore_row(void *data, const struct ipcfs_value *values)
{
    (void)data;
    (void)values;
    return 0;
}

static int survey_once(void)
{
    return sock_survey(ignore_row, NULL);
}

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
    static int (*const operations[])(void) = {survey_once, state_once};
    pid_t pid = start_elsewhere(SOCK_STREAM, "elsewhere");
    int fd = node_socket(SOCK_STREAM, "a");
    pid_t holder = start_idle_process(0, 0);
    struct ipcfs_created directory = make_directory("directory");
    let_go(&directory);
    for (size_t i = 0; i < ARRAY_LENGTH(operations); i++) {
        unsigned number = 0;
        for (bool failed = true; failed; number++) {
            failing_arm(number + 1);
            int error = operations[i]();
            failed = failing_disarm();
            assert_int_equal(error, failed ? -ENOMEM : 0);
        }
        assert_true(number > 3);
    }
    kill_and_wait(holder);
    kill_and_wait(pid);
    close(fd);
}

static const struct CMUnitTest tests[] = {
    NET_TEST(test_listener),
    NET_TEST(test_bound),
    NET_TEST(test_new_and_stale),
    NET_TEST(test_elsewhere),
    NET_TEST(test_file),
    NET_TEST(test_directory),
    NET_TEST(test_survey),
    NET_TEST(test_survey_holders),
    NET_TEST(test_survey_many_holders),
    NET_TEST(test_survey_stale),
    NET_TEST(test_survey_accepted),
    NET_TEST(test_survey_directory),
    NET_TEST(test_survey_directory_alone),
    NET_TEST(test_survey_ends),
    NET_TEST(test_reclaim_alive),
    NET_TEST(test_reclaim_stale),
    NET_TEST(test_reclaim_as_others),
    NET_TEST(test_reclaim_elsewhere),
    NET_TEST(test_reclaim_others),
    NET_TEST(test_without_netlink),
    NET_TEST(test_reclaim_under_churn),
    NET_TEST(test_limits),
    NET_TEST(test_out_of_memory),
};

const struct suite sock_show_suite = {
    .name = "what is shown", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "sock"};
