/* SPDX-License-Identifier: MIT */
/* POSIX message queues of several users: who may do what, what each is shown, and who is notified. */
#include "mq_users.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- rights ---- */

static int open_as(uid_t uid, const struct ipcfs_ref *ref, int flags)
{
    struct ipcfs_file *file = NULL;
    act_as(uid);
    int error = kind->open(ref, flags, &file);
    act_as_root();
    if (!error)
        kind->close(file);
    return error;
}

static int change_as(uid_t uid, const struct ipcfs_ref *ref, struct ipcfs_file *file,
                     const struct ipcfs_change *change)
{
    act_as(uid);
    int error = kind->change(ref, file, change);
    act_as_root();
    return error;
}

/* The daemon's own rights, which the hold was made with, are nobody else's. */
static void test_rights(void **state)
{
    (void)state;
    static const struct {
        mode_t mode;
        int read, write, both;
    } cases[] = {{0600, -EACCES, -EACCES, -EACCES},
                 {0604, 0, -EACCES, -EACCES},
                 {0602, -EACCES, 0, -EACCES},
                 {0606, 0, 0, 0}};
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct ipcfs_change change = {.mask = IPCFS_CHANGE_MODE, .mode = cases[i].mode};
        assert_int_equal(kind->change(&ref, NULL, &change), 0);
        assert_int_equal(open_as(USER, &ref, O_RDONLY), cases[i].read);
        assert_int_equal(open_as(USER, &ref, O_WRONLY), cases[i].write);
        assert_int_equal(open_as(USER, &ref, O_RDWR), cases[i].both);
        assert_int_equal(open_as(USER, &ref, O_ACCMODE), -EINVAL);
    }
    act_as(USER);
    int error = kind->remove(0, "a");
    act_as_root();
    assert_int_equal(error, -EPERM); /* sticky */
    let_go(&object);
}

/* To purge takes the right to write, as any truncate(2), and to read, for it is receiving. */
static void test_right_to_purge(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR, 0602);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    const struct ipcfs_change purge = {.mask = IPCFS_CHANGE_SIZE};
    struct ipcfs_wait wait = {0};
    assert_int_equal(kind->try_write(object.file, "x", 1, 0, 0, &wait), 1);
    act_as(USER);
    struct ipcfs_file *writer = open_object(&ref, O_WRONLY);
    act_as_root();
    assert_int_equal(change_as(USER, &ref, writer, &purge), -EACCES);
    assert_int_equal(change_as(USER, &ref, NULL, &purge), -EACCES);
    assert_int_equal(stat_object(&ref).stx_size, 1);
    struct ipcfs_change change = {.mask = IPCFS_CHANGE_MODE, .mode = 0604};
    assert_int_equal(kind->change(&ref, NULL, &change), 0);
    assert_int_equal(change_as(USER, &ref, NULL, &purge), -EACCES);
    assert_int_equal(stat_object(&ref).stx_size, 1);
    assert_int_equal(change_as(USER, &ref, writer, &purge), 0); /* he has opened it for writing */
    assert_int_equal(stat_object(&ref).stx_size, 0);
    kind->close(writer);
    let_go(&object);
}

/* The owner may change what he may not read. */
static void test_owner_without_rights(void **state)
{
    (void)state;
    const struct ipcfs_wish wish = {
        .name = "a", .flags = O_RDWR | O_CREAT | O_EXCL, .mode = 0, .caller = &self};
    struct ipcfs_created object = {0};
    struct ipcfs_wait wait = {0};
    act_as(USER);
    int error = kind->create(&wish, &object);
    act_as_root();
    assert_int_equal(error, 0);
    assert_int_equal(kind->try_write(object.file, "x", 1, 0, 0, &wait), 1); /* its maker may use it */
    struct ipcfs_ref by_hold = ref_by_hold(&object, "a");
    struct ipcfs_ref by_name = ref_by_name(&object.found, "a");
    const struct ipcfs_change group = {.mask = IPCFS_CHANGE_GID, .gid = USER};
    const struct ipcfs_change mode = {.mask = IPCFS_CHANGE_MODE, .mode = 0200};
    assert_int_equal(open_as(USER, &by_hold, O_RDONLY), -EACCES);
    assert_int_equal(change_as(USER, &by_name, NULL, &group), 0);
    assert_int_equal(change_as(USER, &by_hold, NULL, &mode), 0);
    assert_int_equal(open_as(USER, &by_hold, O_WRONLY), 0);
    assert_int_equal(change_as(OTHER_USER, &by_name, NULL, &mode), -EPERM);
    let_go(&object);
}

/* A hold made with fewer rights than a later opener has: his file has a descriptor of its own. */
static void test_hold_with_few_rights(void **state)
{
    (void)state;
    static const mode_t modes[] = {0600, 0604, 0602};
    for (size_t i = 0; i < ARRAY_LENGTH(modes); i++) {
        struct ipcfs_created object = create_object("a", O_RDWR, modes[i]);
        struct ipcfs_ref ref = ref_by_name(&object.found, "a");
        struct ipcfs_wait wait = {0};
        char buffer[128];
        act_as(USER);
        int error = kind->hold(&ref, &ref.hold);
        act_as_root();
        assert_int_equal(error, 0);
        assert_int_equal(open_as(USER, &ref, O_RDWR), -EACCES);
        struct ipcfs_file *file = open_object(&ref, O_RDWR);
        assert_int_equal(kind->message_room(file), 128);
        assert_int_equal(kind->try_write(file, "four", 4, 0, 0, &wait), 4);
        assert_int_equal(stat_object(&ref).stx_size, 4);
        kind->release(ref.hold); /* the file does without it */
        assert_int_equal(kind->try_read(file, buffer, sizeof buffer, 0, 0, &wait), 4);
        kind->close(file);
        let_go(&object);
        remove_object("a");
    }
}

/* Thousands of open queues must fit into the descriptors a process may have. */
static void test_one_descriptor_for_hold_and_files(void **state)
{
    (void)state;
    struct ipcfs_file *files[20];
    int before = count_descriptors();
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    for (size_t i = 0; i < ARRAY_LENGTH(files); i++)
        files[i] = open_object(&ref, i % 2 ? O_RDONLY : O_WRONLY);
    assert_int_equal(count_descriptors(), before + 1);
    for (size_t i = 0; i < ARRAY_LENGTH(files); i++)
        kind->close(files[i]);
    let_go(&object);
}

/* ---- state ---- */

static struct ipcfs_value shown(const struct ipcfs_ref *ref, const char *name)
{
    struct ipcfs_value values[IPCFS_FIELDS_MAX];
    memset(values, 1, sizeof values); /* known, if nobody says otherwise */
    assert_int_equal(kind->render(ref, values), 0);
    return *find_value(kind->fields, values, name);
}

static void must_show(const struct ipcfs_ref *ref, const char *name, uint64_t expected)
{
    struct ipcfs_value value = shown(ref, name);
    assert_true(value.known);
    assert_int_equal(value.number, expected);
}

static void test_state(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR, 0602);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    struct ipcfs_wait wait = {0};
    assert_int_equal(kind->try_write(object.file, "four", 4, 0, 0, &wait), 4);
    assert_int_equal(kind->try_write(object.file, "seven", 5, 0, 0, &wait), 5);
    must_show(&ref, "maxmsg", 3);
    must_show(&ref, "msgsize", 128);
    must_show(&ref, "curmsgs", 2);
    must_show(&ref, "bytes", 9);
    assert_string_equal(shown(&ref, "notify").string, "off");
    assert_false(shown(&ref, "notify_pid").known);
    assert_false(shown(&ref, "notify_signo").known);
    act_as(USER); /* who may write may ask for the attributes */
    must_show(&ref, "maxmsg", 3);
    must_show(&ref, "curmsgs", 2);
    assert_false(shown(&ref, "bytes").known);
    act_as_root();
    struct ipcfs_change change = {.mask = IPCFS_CHANGE_MODE, .mode = 0600};
    assert_int_equal(kind->change(&ref, NULL, &change), 0);
    act_as(USER);
    assert_false(shown(&ref, "maxmsg").known);
    assert_false(shown(&ref, "curmsgs").known);
    must_show(&ref, "mode", 0600);
    must_show(&ref, "uid", 0);
    assert_int_equal(stat_object(&ref).stx_size, 9); /* as the daemon's hold sees it */
    act_as_root();
    let_go(&object);
}

/* Registers for "/a" by signal, tells so by stopping, and ends with 0 when it got that signal. */
static int wait_for_notification(void)
{
    sigset_t signals;
    const struct timespec time_max = {.tv_sec = 20};
    const struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGUSR2);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    mqd_t queue = mq_open("/a", O_RDONLY);
    if (queue < 0 || mq_notify(queue, &event) < 0)
        return 1;
    (void)raise(SIGSTOP);
    return sigtimedwait(&signals, NULL, &time_max) == SIGUSR2 ? 0 : 2;
}

static void look_at_everything(const struct ipcfs_ref *ref)
{
    struct ipcfs_found found;
    struct ipcfs_hold *hold = NULL;
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    kind->close(open_object(ref, O_RDWR));
    (void)find_object("a");
    (void)stat_object(ref);
    assert_int_equal(kind->find(0, "a", &found, &hold), 0);
    kind->release(hold);
    assert_int_equal(kind->render(ref, values), 0);
    assert_int_equal(kind->limits(&self, values), 0);
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    let_go(&object);
}

/* Nothing but a message ends a registration of mq_notify(3). */
static void test_notification(void **state)
{
    (void)state;
    const struct ipcfs_wish wish = {.name = "a", .flags = O_RDWR | O_CREAT, .mode = 0600, .caller = &self};
    struct ipcfs_created object = {0};
    act_as(USER);
    int error = kind->create(&wish, &object);
    act_as_root();
    assert_int_equal(error, 0);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    struct ipcfs_wait wait = {0};
    int status = 0;
    pid_t pid = start_process(USER, 0, wait_for_notification);
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    for (int again = 0; again < 2; again++) {
        assert_string_equal(shown(&ref, "notify").string, "signal");
        must_show(&ref, "notify_signo", SIGUSR2);
        must_show(&ref, "notify_pid", (uint64_t)pid);
        look_at_everything(&ref);
    }
    assert_int_equal(kill(pid, SIGCONT), 0);
    assert_int_equal(kind->try_write(object.file, "x", 1, 0, 0, &wait), 1);
    assert_int_equal(end_of(pid), 0);
    assert_string_equal(shown(&ref, "notify").string, "off");
    let_go(&object);
}

static const struct CMUnitTest tests[] = {
    TEST(test_rights),
    TEST(test_right_to_purge),
    TEST(test_owner_without_rights),
    TEST(test_hold_with_few_rights),
    TEST(test_one_descriptor_for_hold_and_files),
    TEST(test_state),
    TEST(test_notification),
};

const struct suite mq_rights_suite = {
    .name = "rights", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "mq"};
