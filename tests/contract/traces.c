/* SPDX-License-Identifier: MIT */
/* What objects tell of their past. */
#include "sysv_msg_subject.h"
#include "sysv_sem_subject.h"
#include "sysv_shm_subject.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct ipcfs_traces traces_of(const struct ipcfs_ref *ref)
{
    struct ipcfs_traces traces;
    memset(&traces, 0x7F, sizeof traces); /* all of it is set */
    assert_int_equal(kind->traces(ref, NULL, &traces), 0);
    return traces;
}

static void must_be_recent(const struct timespec *time)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    assert_in_range(time->tv_sec, now.tv_sec - 2, now.tv_sec);
}

/* ---- of all kinds whose objects have names ---- */

/* Of sock/, only what is bound. */
static bool is_traced(void)
{
    return strcmp(kind->kind, "sock") != 0 || traits->type == S_IFSOCK;
}

static void test_of_a_new_object(void **state)
{
    (void)state;
    struct ipcfs_found found = make_object("a");
    struct ipcfs_ref ref = ref_by_name(&found, "a");
    if (!is_traced()) {
        struct ipcfs_traces traces;
        assert_int_equal(kind->traces(&ref, NULL, &traces), -EOPNOTSUPP);
        return;
    }
    struct ipcfs_traces traces = traces_of(&ref);
    must_be_recent(&traces.created);
    must_be_recent(&traces.used);
    assert_false(traces.creator_recorded || traces.users_told || traces.out_of_reach);
    assert_int_equal(traces.holds, traits->type == S_IFSOCK); /* it was just made */
    assert_int_equal(traces.holds_counted, traits->type == S_IFSOCK);
    assert_true(traces.creator == 0 && traces.user_count == 0);
    assert_int_equal(traces.persistent, traits->type == S_IFIFO);
    assert_int_equal(traces.memory, traits->bytes);
    assert_int_equal(traces.content_known, !traits->bytes);
    assert_int_equal(traces.content, 0);
    remove_object("a");
    assert_int_equal(kind->traces(&ref, NULL, &traces), -ESTALE);
}

static void test_of_another(void **state)
{
    (void)state;
    struct ipcfs_traces traces;
    struct ipcfs_found found = make_object("a");
    struct ipcfs_ref ref = ref_by_name(&found, "a");
    remove_object("a");
    found = make_object("b");
    ref.name = "b";
    assert_int_equal(kind->traces(&ref, NULL, &traces), -ESTALE);
}

static void test_of_bytes(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    struct ipcfs_ref ref = ref_by_name(&object.found, "a");
    struct ipcfs_wait wait = {0};
    if (!is_traced()) {
        let_go(&object);
        return;
    }
    assert_int_equal(kind->try_write(object.file, "bytes", 5, 1000, 0, &wait), 5);
    struct ipcfs_traces traces = traces_of(&ref);
    assert_true(traces.bytes_known && traces.bytes == 1005);
    let_go(&object);
}

static void test_of_messages(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    struct ipcfs_ref ref = ref_by_name(&object.found, "a");
    struct ipcfs_wait wait = {0};
    assert_int_equal(kind->try_write(object.file, "one", 3, 0, 0, &wait), 3);
    assert_int_equal(kind->try_write(object.file, "two", 3, 0, 0, &wait), 3);
    assert_int_equal(traces_of(&ref).content, 2);
    act_as_user(4567); /* who may neither read nor write is not told */
    struct ipcfs_traces traces = traces_of(&ref);
    act_as_user(0);
    assert_false(traces.content_known);
    must_be_recent(&traces.created);
    let_go(&object);
}

static const struct CMUnitTest all_tests[] = {
    TEST(test_of_a_new_object),
    TEST(test_of_another),
};
static const struct CMUnitTest bytes_tests[] = {
    TEST(test_of_bytes),
};
static const struct CMUnitTest message_tests[] = {
    TEST(test_of_messages),
};
const struct suite traces_suite = {.name = "traces", .tests = all_tests, .count = ARRAY_LENGTH(all_tests)};
const struct suite traces_bytes_suite = {
    .name = "traces of bytes", .tests = bytes_tests, .count = ARRAY_LENGTH(bytes_tests), .only_bytes = true};
const struct suite traces_messages_suite = {.name = "traces of messages",
                                            .tests = message_tests,
                                            .count = ARRAY_LENGTH(message_tests),
                                            .only_messages = true};

/* ---- of System V objects, by their ids ---- */

static struct ipcfs_ref by_id(int id, char name[16])
{
    (void)snprintf(name, 16, "%d", id);
    return (struct ipcfs_ref){.directory = BY_ID, .name = name};
}

/* Runs it in a child process that ends; its pid. */
static pid_t in_a_child(void (*function)(int), int id)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        function(id);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    return pid;
}

static void attach_and_detach(int id)
{
    native_detach(native_attach(id));
}

static void test_segment(void **state)
{
    (void)state;
    char name[16];
    int id = native_segment(0x2a, SIZE, 0600);
    struct ipcfs_ref ref = by_id(id, name);
    struct ipcfs_traces traces = traces_of(&ref);
    assert_true(traces.creator_recorded && traces.creator == getpid());
    assert_true(traces.users_told && traces.user_count == 0 && traces.used.tv_sec == 0);
    assert_true(traces.holds_counted && traces.holds == 0 && traces.memory);
    assert_true(traces.bytes_known && traces.bytes == SIZE && !traces.content_known);
    must_be_recent(&traces.created);
    pid_t pid = in_a_child(attach_and_detach, id);
    traces = traces_of(&ref);
    assert_true(traces.users_told && traces.user_count == 1 && traces.users[0] == pid);
    must_be_recent(&traces.used);
    char *address = native_attach(id);
    assert_int_equal(traces_of(&ref).holds, 1);
    native_detach(address);
    remove_segment(id);
    assert_int_equal(kind->traces(&ref, NULL, &traces), -ESTALE);
}

static void send_one(int id)
{
    native_send(id, 1, "one");
}

static void receive_one(int id)
{
    (void)native_receive(id, 1);
}

static void test_queue(void **state)
{
    (void)state;
    char name[16];
    int id = native_queue(0x2a, 0600);
    struct ipcfs_ref ref = by_id(id, name);
    struct ipcfs_traces traces = traces_of(&ref);
    assert_false(traces.creator_recorded || traces.holds_counted || traces.memory);
    assert_true(traces.users_told && traces.user_count == 0);
    assert_true(traces.content_known && traces.content == 0);
    pid_t sender = in_a_child(send_one, id);
    traces = traces_of(&ref);
    assert_true(traces.content == 1 && traces.bytes == 3);
    assert_true(traces.users_told && traces.user_count == 1 && traces.users[0] == sender);
    pid_t receiver = in_a_child(receive_one, id);
    traces = traces_of(&ref);
    assert_true(traces.content == 0 && traces.user_count == 2);
    assert_true(traces.users[0] == sender && traces.users[1] == receiver);
    native_send(id, 1, "both");
    (void)native_receive(id, 1);
    traces = traces_of(&ref);
    assert_true(traces.user_count == 1 && traces.users[0] == getpid());
    native_remove(id);
}

static void put_one(int id)
{
    native_put(id, 0, 1);
}

static void test_set(void **state)
{
    (void)state;
    char name[16];
    int id = native_set(0x2a, 2, 0600);
    struct ipcfs_ref ref = by_id(id, name);
    struct ipcfs_traces traces = traces_of(&ref);
    assert_false(traces.creator_recorded || traces.memory || traces.users_told);
    assert_true(traces.holds_counted && traces.holds == 0 && traces.content_known);
    pid_t pid = in_a_child(put_one, id);
    traces = traces_of(&ref);
    assert_true(!traces.users_told && traces.user_count == 1 && traces.users[0] == pid); /* not of all */
    native_put(id, 1, 0);
    traces = traces_of(&ref);
    assert_true(traces.users_told && traces.user_count == 2 && traces.users[1] == getpid());
    must_be_recent(&traces.used);
    act_as_user(4567);
    traces = traces_of(&ref);
    act_as_user(0);
    assert_false(traces.users_told || traces.holds_counted);
    native_set_remove(id);
}

static void test_waiters_of_a_set(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(2, 0600);
    struct ipcfs_ref ref = key_ref(&object, true);
    struct sem_waiter waiters[2];
    struct ipcfs_file *wait = open_member(&object, "wait", 0);
    native_put(id_of(&object), 1, 1);
    struct ipcfs_file *zero = open_member(&object, "zero", 1);
    start_waiter(&waiters[0], wait, WAITER_READS);
    start_waiter(&waiters[1], zero, WAITER_READS);
    await_count(id_of(&object), 0, GETNCNT, 1);
    await_count(id_of(&object), 1, GETZCNT, 1);
    assert_int_equal(traces_of(&ref).holds, 2);
    native_set_remove(id_of(&object));
    join_waiter(&waiters[0], -EIDRM);
    join_waiter(&waiters[1], -EIDRM);
    kind->close(wait);
    kind->close(zero);
    let_go(&object);
}

/* More semaphores than are asked one by one. */
static void test_large_set(void **state)
{
    (void)state;
    char name[16];
    int large = native_set(0x2a, 300, 0600);
    struct ipcfs_ref ref = by_id(large, name);
    assert_false(traces_of(&ref).holds_counted);
    assert_false(traces_of(&ref).users_told);
    native_set_remove(large);
}

static const struct CMUnitTest segment_tests[] = {
    TEST(test_segment),
};
static const struct CMUnitTest queue_tests[] = {
    TEST(test_queue),
};
static const struct CMUnitTest set_tests[] = {
    TEST(test_set),
    TEST(test_waiters_of_a_set),
    TEST(test_large_set),
};
const struct suite traces_segment_suite = {
    .name = "traces", .tests = segment_tests, .count = ARRAY_LENGTH(segment_tests), .only_kind = "sysv/shm"};
const struct suite traces_queue_suite = {
    .name = "traces", .tests = queue_tests, .count = ARRAY_LENGTH(queue_tests), .only_kind = "sysv/msg"};
const struct suite traces_set_suite = {
    .name = "traces", .tests = set_tests, .count = ARRAY_LENGTH(set_tests), .only_kind = "sysv/sem"};
