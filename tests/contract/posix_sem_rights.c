/* SPDX-License-Identifier: MIT */
/* Semaphores of several users: the file's rights decide, natively and here. */
#include "mq_users.h"
#include "posix_sem_subject.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GROUP = 4321 };

static struct ipcfs_ref subject;

/* What each file answers him: 0, or −errno. */
struct answers {
    int read_value, write_value, post, wait, hold;
};

static int open_error(const char *name)
{
    struct ipcfs_file *file = NULL;
    int error = sem_file(name)->open(&subject, 0, O_RDONLY, &file);
    if (!error)
        kind->close(file);
    return error;
}

static struct answers ask(void)
{
    long value = read_value(&subject);
    return (struct answers){
        .read_value = value < 0 ? (int)value : 0,
        .write_value = write_verb_line(&subject, "value", "1"),
        .post = write_verb_line(&subject, "post", "0"),
        .wait = open_error("wait"),
        .hold = open_error("hold"),
    };
}

static struct answers answers_to(uid_t uid)
{
    act_as(uid);
    struct answers answers = ask();
    long value = shown_number(&subject, "value");
    long waiters = shown_number(&subject, "waiters");
    act_as_root();
    assert_int_equal(value < 0, answers.read_value < 0); /* state tells who may read */
    assert_int_equal(waiters < 0, answers.read_value < 0);
    return answers;
}

static void check_answers(struct answers answers, bool may_read, bool may_do_all)
{
    assert_int_equal(answers.read_value, may_read ? 0 : -EACCES);
    assert_int_equal(answers.write_value, may_do_all ? 0 : -EACCES);
    assert_int_equal(answers.post, may_do_all ? 0 : -EACCES);
    assert_int_equal(answers.wait, may_do_all ? 0 : -EACCES);
    assert_int_equal(answers.hold, may_do_all ? 0 : -EACCES);
}

static const struct {
    mode_t mode; /* of the class that is asked about: that of the others */
    bool read, all;
} cases[] = {{0, false, false}, {04, true, false}, {02, false, false}, {06, true, true}};

static void check_class(uid_t uid, unsigned shift)
{
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct ipcfs_change change = {.mask = IPCFS_CHANGE_MODE, .mode = cases[i].mode << shift};
        assert_int_equal(kind->change(&subject, NULL, &change), 0);
        struct answers answers = answers_to(uid);
        check_answers(answers, cases[i].read, cases[i].all);
    }
}

static void test_owner_group_and_others(void **state)
{
    (void)state;
    struct ipcfs_change to_user = {.mask = IPCFS_CHANGE_UID | IPCFS_CHANGE_GID, .uid = USER, .gid = GROUP};
    struct ipcfs_change to_group = {.mask = IPCFS_CHANGE_UID | IPCFS_CHANGE_GID, .uid = 0, .gid = USER};
    struct ipcfs_change to_root = {.mask = IPCFS_CHANGE_UID | IPCFS_CHANGE_GID, .uid = 0, .gid = 0};
    struct ipcfs_created object = make_sem("a", 1);
    for (int by_name = 0; by_name < 2; by_name++) {
        subject = ref_by_hold(&object, "a");
        assert_int_equal(kind->change(&subject, NULL, &to_user), 0);
        check_class(USER, 6);
        assert_int_equal(kind->change(&subject, NULL, &to_group), 0);
        check_class(USER, 3);
        assert_int_equal(kind->change(&subject, NULL, &to_root), 0);
        check_class(USER, 0);
    }
    let_go(&object);
}

/* By a reference without a hold, as TEXT files have it. */
static void test_by_name(void **state)
{
    (void)state;
    struct ipcfs_created object = make_sem("a", 1);
    struct ipcfs_ref ref = ref_by_name(&object.found, "a");
    act_as(USER);
    long value = read_value(&ref);
    int write_error = write_verb_line(&ref, "value", "1");
    int post_error = write_verb_line(&ref, "post", "1");
    act_as_root();
    assert_int_equal(value, -EACCES);
    assert_int_equal(write_error, -EACCES);
    assert_int_equal(post_error, -EACCES);
    assert_int_equal(read_value(&ref), 1);
    let_go(&object);
}

/* What the calling user makes is his, natively as well; and his alone. */
static int use_own(void)
{
    sem_t *native = sem_open("/own", 0);
    return native == SEM_FAILED || sem_post(native) || sem_unlink("/own");
}

/* glibc makes EACCES of the EPERM of unlink(2). */
static int use_of_other(void)
{
    return !(sem_open("/own", 0) == SEM_FAILED && errno == EACCES && sem_unlink("/own") < 0 &&
             errno == EACCES);
}

static void test_made_as_user(void **state)
{
    (void)state;
    assert_int_equal(create_name_as(USER, "own"), 0);
    struct statx stat = find_object("own").stat;
    assert_true(stat.stx_uid == USER && stat.stx_gid == USER);
    assert_int_equal(stat.stx_mode, S_IFDIR | 0700);
    act_as(OTHER_USER);
    int error = kind->remove(0, "own");
    act_as_root();
    assert_int_equal(error, -EPERM); /* sticky */
    assert_int_equal(run_as(OTHER_USER, 0, use_of_other), 0);
    assert_int_equal(run_as(USER, 0, use_own), 0);
    assert_false(exists("own"));
}

static int make_own(void)
{
    return sem_open("/natively", O_CREAT | O_EXCL, 0600, 5) == SEM_FAILED;
}

/* Another's of mode 0600, made natively. */
static void test_native_of_other(void **state)
{
    (void)state;
    struct ipcfs_created object = {0};
    assert_int_equal(run_as(USER, 0, make_own), 0);
    assert_int_equal(kind->find(0, "natively", &object.found, &object.hold), 0);
    subject = ref_by_hold(&object, "natively");
    check_answers(answers_to(OTHER_USER), false, false);
    assert_int_equal(read_value(&subject), 5);
    check_answers(answers_to(USER), true, true);
    let_go(&object);
}

/* The right to search the tmpfs counts, also for what is held. */
static void test_search(void **state)
{
    (void)state;
    struct ipcfs_created object = make_sem("a", 1);
    struct ipcfs_change change = {.mask = IPCFS_CHANGE_MODE, .mode = 0666};
    subject = ref_by_hold(&object, "a");
    assert_int_equal(kind->change(&subject, NULL, &change), 0);
    assert_int_equal(chmod("/dev/shm", 01774), 0);
    act_as(USER);
    struct answers answers = ask();
    size_t listed = count_objects();
    int change_error = kind->change(&subject, NULL, &change);
    act_as_root();
    assert_int_equal(chmod("/dev/shm", 01777), 0);
    check_answers(answers, false, false);
    assert_int_equal(change_error, -EACCES);
    assert_int_equal(listed, 1);
    let_go(&object);
}

/* ---- leases ---- */

/* A process that has a lease on the file and does not give it up, whoever asks (fcntl(2), F_SETLEASE). */
static pid_t start_leaseholder(void)
{
    int ready[2];
    char byte = 0;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)signal(SIGIO, SIG_IGN);
        int fd = open("/dev/shm/sem.a", O_RDWR | O_CLOEXEC);
        if (fd < 0 || fcntl(fd, F_SETLEASE, F_WRLCK) < 0 || write(ready[1], "", 1) != 1)
            _exit(EXIT_FAILURE);
        for (;;)
            (void)pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

/* Nobody waits for the lease to be given up. */
static void test_leases_do_not_block(void **state)
{
    (void)state;
    struct ipcfs_created object = make_sem("a", 1);
    subject = ref_by_hold(&object, "a");
    pid_t pid = start_leaseholder();
    int64_t start = now_ms();
    struct answers answers = ask();
    long shown = shown_number(&subject, "value");
    int64_t taken = now_ms() - start;
    kill_and_wait(pid);
    assert_true(taken < 2000);
    assert_int_equal(answers.read_value, -EAGAIN);
    assert_int_equal(answers.post, -EAGAIN);
    assert_int_equal(answers.hold, -EAGAIN);
    assert_int_equal(shown, -1);
    let_go(&object);
}

static const struct CMUnitTest tests[] = {
    SEM_TEST(test_owner_group_and_others), SEM_TEST(test_by_name), SEM_TEST(test_made_as_user),
    SEM_TEST(test_native_of_other),        SEM_TEST(test_search),  SEM_TEST(test_leases_do_not_block),
};

const struct suite posix_sem_rights_suite = {
    .name = "rights", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "sem"};
