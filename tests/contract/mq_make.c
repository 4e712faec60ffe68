/* SPDX-License-Identifier: MIT */
/*
 * Making POSIX message queues: attributes, what the kernel charges to whom, and the child process that does
 * it.
 */
#include "mq_users.h"

#include "private_shm.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the kernel charges a queue, by experiment (test_charge_is_the_kernels). */
enum { COST_10_8192 = 82880, COST_3_128 = 672 };

/* ---- options ---- */

static struct ipcfs_value number_of(uint64_t number)
{
    return (struct ipcfs_value){.known = true, .number = number};
}

static const struct ipcfs_value not_given;

/* create() of "a" as `uid` with these options; the reason in `reason`. */
static int create_with(uid_t uid, struct ipcfs_value maxmsg, struct ipcfs_value msgsize, char reason[256])
{
    AUTO_TEXT text = {0};
    const struct ipcfs_value options[] = {maxmsg, msgsize};
    const struct ipcfs_wish wish = {.name = "a",
                                    .flags = O_RDWR | O_CREAT | O_EXCL,
                                    .mode = 0600,
                                    .caller = &self,
                                    .options = options,
                                    .reason = &text};
    assert_string_equal(kind->options[0].name, "maxmsg");
    assert_string_equal(kind->options[1].name, "msgsize");
    int error = create_as(uid, &wish);
    assert_true(text.length < 256);
    if (text.length)
        memcpy(reason, text.data, text.length);
    reason[text.length] = '\0';
    return error;
}

static void must_make(struct ipcfs_value maxmsg, struct ipcfs_value msgsize, long real_maxmsg,
                      long real_msgsize)
{
    char reason[256];
    struct mq_attr attributes;
    assert_int_equal(create_with(USER, maxmsg, msgsize, reason), 0);
    assert_string_equal(reason, "");
    mqd_t queue = native_open("/a", O_RDONLY);
    assert_int_equal(mq_getattr(queue, &attributes), 0);
    assert_int_equal(attributes.mq_maxmsg, real_maxmsg);
    assert_int_equal(attributes.mq_msgsize, real_msgsize);
    assert_int_equal(mq_close(queue), 0);
    remove_object("a");
}

static void test_options(void **state)
{
    (void)state;
    must_make(number_of(7), number_of(33), 7, 33);
    must_make(number_of(7), not_given, 7, 128);
    must_make(not_given, number_of(33), 3, 33);
    must_make(not_given, not_given, 3, 128);
    must_make(number_of(1), number_of(1), 1, 1);
    must_make(number_of(10), number_of(8192), 10, 8192);
    private_set("fs/mqueue/msg_default", "20"); /* more than there may be */
    must_make(not_given, number_of(33), 10, 33);
    must_make(not_given, not_given, 10, 128);
    private_set("fs/mqueue/msg_default", "3");
}

static void must_refuse(uid_t uid, struct ipcfs_value maxmsg, struct ipcfs_value msgsize, int error,
                        const char *expected)
{
    char reason[256];
    assert_int_equal(create_with(uid, maxmsg, msgsize, reason), error);
    assert_string_equal(reason, expected);
    assert_false(exists("a"));
}

static void test_refused_options(void **state)
{
    (void)state;
    must_refuse(USER, number_of(99999), not_given, -EINVAL, "maxmsg=99999: over fs.mqueue.msg_max (10)");
    must_refuse(USER, number_of(11), number_of(9000), -EINVAL, "maxmsg=11: over fs.mqueue.msg_max (10)");
    must_refuse(USER, number_of(3), number_of(8193), -EINVAL,
                "msgsize=8193: over fs.mqueue.msgsize_max (8192)");
    must_refuse(USER, number_of(0), not_given, -EINVAL, "maxmsg=0: must be at least 1");
    must_refuse(USER, not_given, number_of(0), -EINVAL, "msgsize=0: must be at least 1");
    must_refuse(USER, number_of(UINT64_MAX), not_given, -EINVAL,
                "maxmsg=9223372036854775807: over fs.mqueue.msg_max (10)");
}

/* ---- the quota ---- */

static struct ipcfs_value limit_as(uid_t uid, pid_t pid, const char *name)
{
    const struct caller caller = {.uid = uid, .gid = uid, .pid = pid};
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    act_as(uid);
    int error = kind->limits(&caller, values);
    act_as_root();
    assert_int_equal(error, 0);
    return *find_value(kind->limit_fields, values, name);
}

static uint64_t limit_number(uid_t uid, pid_t pid, const char *name)
{
    struct ipcfs_value value = limit_as(uid, pid, name);
    assert_true(value.known);
    return value.number;
}

/* Natively makes queues of 10 messages of 8192 bytes until the quota is full; how many. */
static int fill_quota(void)
{
    struct mq_attr attributes = {.mq_maxmsg = 10, .mq_msgsize = 8192};
    for (int count = 0; count < 90; count++) {
        char name[16];
        (void)snprintf(name, sizeof name, "/fill%d", count);
        if (mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &attributes) < 0)
            return errno == EMFILE ? count : 98;
    }
    return 97;
}

static void test_native_queues_fill_the_quota(void **state)
{
    (void)state;
    char reason[256];
    int count = run_as(USER, 0, fill_quota);
    assert_int_equal(count, 819200 / COST_10_8192);
    assert_int_equal(create_with(USER, number_of(10), number_of(8192), reason), -EMFILE);
    assert_string_equal(reason, "RLIMIT_MSGQUEUE of user 1234: 82880 bytes wanted, 73280 of 819200 left");
    assert_int_equal(create_with(OTHER_USER, number_of(10), number_of(8192), reason), 0);
    remove_object("a");
    assert_int_equal(create_with(0, number_of(10), number_of(8192), reason), 0);
    remove_object("a");
    remove_object("fill0");
    assert_int_equal(create_with(USER, number_of(10), number_of(8192), reason), 0);
    assert_int_equal(find_object("a").stat.stx_uid, USER);
}

static int make_one_more(void)
{
    struct mq_attr attributes = {.mq_maxmsg = 10, .mq_msgsize = 8192};
    return mq_open("/more", O_CREAT | O_EXCL | O_RDWR, 0600, &attributes) < 0 ? errno : 0;
}

/* In the other direction: what is made here, the user is charged when he goes on natively. */
static void test_made_queues_fill_the_quota(void **state)
{
    (void)state;
    char reason[256];
    assert_int_equal(create_with(USER, number_of(10), number_of(8192), reason), 0);
    assert_int_equal(run_as(USER, 2 * COST_10_8192 - 1, make_one_more), EMFILE);
    assert_int_equal(run_as(OTHER_USER, 2 * COST_10_8192 - 1, make_one_more), 0);
    remove_object("more");
    assert_int_equal(run_as(USER, 2 * COST_10_8192, make_one_more), 0);
}

static void test_charge_is_the_kernels(void **state)
{
    (void)state;
    static const struct {
        uint64_t maxmsg, msgsize;
    } shapes[] = {{1, 1}, {10, 8192}, {3, 128}, {7, 1000}};
    for (size_t i = 0; i < ARRAY_LENGTH(shapes); i++) {
        uint64_t cost = shapes[i].maxmsg * (shapes[i].msgsize + 96);
        char reason[256];
        pid_t enough = start_idle_process(USER, cost);
        pid_t less = start_idle_process(USER, cost - 1);
        const struct ipcfs_value options[] = {number_of(shapes[i].maxmsg), number_of(shapes[i].msgsize)};
        struct caller caller = {.uid = USER, .gid = USER, .pid = less};
        const struct ipcfs_wish wish = {
            .name = "a", .flags = O_RDWR | O_CREAT, .mode = 0600, .caller = &caller, .options = options};
        assert_int_equal(create_as(USER, &wish), -EMFILE);
        caller.pid = enough;
        assert_int_equal(create_as(USER, &wish), 0);
        assert_int_equal(limit_number(USER, enough, "msgqueue_used"), cost);
        assert_int_equal(limit_number(USER, enough, "msgqueue_left"), 0);
        assert_int_equal(create_with(USER, options[0], options[1], reason), -EEXIST);
        remove_object("a");
        kill_and_wait(enough);
        kill_and_wait(less);
    }
}

/* A pid authorises nothing, nor does it bind: it may have been used again by somebody else. */
static void test_limit_of_a_stranger_does_not_count(void **state)
{
    (void)state;
    pid_t stranger = start_idle_process(OTHER_USER, 1);
    const struct caller caller = {.uid = USER, .gid = USER, .pid = stranger};
    const struct ipcfs_wish wish = {.name = "a", .flags = O_RDWR | O_CREAT, .mode = 0600, .caller = &caller};
    assert_int_equal(limit_number(USER, stranger, "msgqueue_limit"), 819200);
    assert_int_equal(create_as(USER, &wish), 0);
    kill_and_wait(stranger);
}

static void must_have_left(uint64_t queues, const char *next_failure)
{
    assert_int_equal(limit_number(USER, 0, "queues_left"), queues);
    assert_string_equal(limit_as(USER, 0, "next_failure").string, next_failure);
}

/* As many as limits says, and then the failure that it says. */
static void test_limits_come_true(void **state)
{
    (void)state;
    private_set("fs/mqueue/msg_default", "10");
    private_set("fs/mqueue/msgsize_default", "8192");
    assert_int_equal(limit_number(USER, 0, "queue_bytes_default"), COST_10_8192);
    must_have_left(9, "RLIMIT_MSGQUEUE");
    assert_int_equal(create_name_as(USER, "1"), 0);
    assert_int_equal(limit_number(USER, 0, "msgqueue_used"), COST_10_8192);
    assert_int_equal(limit_number(USER, 0, "msgqueue_left"), 819200 - COST_10_8192);
    assert_int_equal(limit_number(USER, 0, "queues"), 1);
    must_have_left(8, "RLIMIT_MSGQUEUE");
    private_set("fs/mqueue/queues_max", "3");
    must_have_left(2, "fs.mqueue.queues_max");
    assert_int_equal(create_name_as(OTHER_USER, "2"), 0);
    assert_int_equal(create_name_as(USER, "3"), 0);
    must_have_left(0, "fs.mqueue.queues_max");
    must_refuse(USER, not_given, not_given, -ENOSPC, "fs.mqueue.queues_max (3) queues exist");
    private_set("fs/mqueue/queues_max", "10"); /* 7 left by the count, and by the bytes */
    assert_int_equal(limit_number(USER, 0, "msgqueue_left") / COST_10_8192, 7);
    must_have_left(7, "fs.mqueue.queues_max");
    private_set("fs/mqueue/queues_max", "5000");
    for (int i = 4; i < 11; i++)
        assert_int_equal(create_name_as(USER, (char[]){(char)('0' + i), 0}), 0);
    must_have_left(0, "RLIMIT_MSGQUEUE");
    assert_int_equal(create_name_as(USER, "one too many"), -EMFILE);
    private_set("fs/mqueue/msg_default", "3");
    private_set("fs/mqueue/msgsize_default", "128");
}

/* A queue its owner may not even open hides what it is charged. */
static void test_unreadable_usage(void **state)
{
    (void)state;
    assert_int_equal(create_name_as(USER, "a"), 0);
    struct ipcfs_found found = find_object("a");
    struct ipcfs_ref ref = ref_by_name(&found, "a");
    struct ipcfs_change change = {.mask = IPCFS_CHANGE_MODE, .mode = 0200};
    assert_int_equal(kind->change(&ref, NULL, &change), 0);
    assert_int_equal(limit_number(USER, 0, "msgqueue_used"), COST_3_128);
    change.mode = 0;
    assert_int_equal(kind->change(&ref, NULL, &change), 0);
    assert_false(limit_as(USER, 0, "msgqueue_used").known);
    assert_false(limit_as(USER, 0, "msgqueue_left").known);
    assert_true(limit_as(USER, 0, "queues").known);
    assert_int_equal(limit_number(OTHER_USER, 0, "msgqueue_used"), 0);
}

/* ---- the child that makes a queue ---- */

static int signals_pipe[2];

static void on_signal(int signal)
{
    (void)signal;
    (void)!write(signals_pipe[1], "!", 1);
}

/* Whoever makes a queue as this user is signalled as soon as it is him. */
static int signal_all(int signal)
{
    for (;;)
        (void)kill(-1, signal);
    return 0;
}

static int stop_all(void)
{
    return signal_all(SIGSTOP);
}

static int kill_all(void)
{
    return signal_all(SIGKILL);
}

static int terminate_all(void)
{
    return signal_all(SIGTERM);
}

/*
 * How many creations fail while somebody does that to their children; −1 for any other end than that. There are
 * at least 100 of them, and where `until_one`, so many that he has hit one.
 */
static int failures_under(int (*attack)(void), bool until_one)
{
    int failures = 0;
    pid_t pid = start_process(LONELY_USER, 0, attack);
    for (int i = 0; i < 100 || (until_one && failures == 0 && i < 10000); i++) {
        const struct ipcfs_wish wish = {
            .name = "a", .flags = O_RDWR | O_CREAT | O_EXCL, .mode = 0600, .caller = &self};
        int error = create_as(LONELY_USER, &wish);
        if (error && error != -EAGAIN)
            return -1;
        failures += error == -EAGAIN;
        (void)kind->remove(0, "a"); /* one that was killed late has made it */
    }
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    return waitpid(-1, NULL, WNOHANG) == 0 ? -1 : failures;
}

/* 0, or the line that went wrong. */
static int attack_children(void)
{
    const struct sigaction action = {.sa_handler = on_signal};
    int queued = 0;
    if (pipe2(signals_pipe, O_CLOEXEC | O_NONBLOCK) || sigaction(SIGTERM, &action, NULL))
        return __LINE__;
    if (failures_under(terminate_all, false) != 0 || read(signals_pipe[0], &queued, sizeof queued) != -1)
        return __LINE__; /* a handler has run in a child */
    if (failures_under(stop_all, true) <= 0)
        return __LINE__;
    if (failures_under(kill_all, true) <= 0)
        return __LINE__;
    return 0;
}

/* In a pid name space of its own, so that "all" are no more than that. */
static int attack_in_private(void)
{
    int status = 0;
    if (unshare(CLONE_NEWPID))
        return __LINE__;
    pid_t pid = fork();
    if (pid == 0) {
        int line = attack_children();
        if (line)
            (void)fprintf(stderr, "line %d\n", line);
        _exit(line ? EXIT_FAILURE : EXIT_SUCCESS);
    }
    return waitpid(pid, &status, 0) != pid || status ? __LINE__ : 0;
}

static void test_attacked_children(void **state)
{
    (void)state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(attack_in_private() ? EXIT_FAILURE : EXIT_SUCCESS);
    assert_int_equal(end_of(pid), 0);
    assert_int_equal(create_name_as(LONELY_USER, "a"), 0);
}

/* The calling thread and its process are as they were. */
static void test_nothing_is_left_of_the_identity(void **state)
{
    (void)state;
    struct rlimit before;
    struct rlimit after;
    uid_t real;
    uid_t effective;
    uid_t saved;
    sigset_t blocked;
    pid_t pid = start_idle_process(USER, 100000);
    const struct caller caller = {.uid = USER, .gid = USER, .pid = pid};
    const struct ipcfs_wish wish = {.name = "a", .flags = O_RDWR | O_CREAT, .mode = 0600, .caller = &caller};
    assert_int_equal(getrlimit(RLIMIT_MSGQUEUE, &before), 0);
    assert_int_equal(create_as(USER, &wish), 0);
    assert_int_equal(getrlimit(RLIMIT_MSGQUEUE, &after), 0);
    assert_true(before.rlim_cur == after.rlim_cur && before.rlim_max == after.rlim_max);
    assert_int_equal(getresuid(&real, &effective, &saved), 0);
    assert_true(real == 0 && effective == 0 && saved == 0);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &blocked), 0);
    assert_false(sigismember(&blocked, SIGTERM));
    kill_and_wait(pid);
}

static const struct CMUnitTest tests[] = {
    TEST(test_options),
    TEST(test_refused_options),
    TEST(test_native_queues_fill_the_quota),
    TEST(test_made_queues_fill_the_quota),
    TEST(test_charge_is_the_kernels),
    TEST(test_limit_of_a_stranger_does_not_count),
    TEST(test_limits_come_true),
    TEST(test_unreadable_usage),
    TEST(test_attacked_children),
    TEST(test_nothing_is_left_of_the_identity),
};

const struct suite mq_make_suite = {
    .name = "making", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "mq"};
