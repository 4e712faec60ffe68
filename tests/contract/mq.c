/* SPDX-License-Identifier: MIT */
/* What the contract cannot say: the objects are those of mq_open(3), with all rights of their users. */
#include "mq_users.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the same object ---- */

static void test_native_object(void **state)
{
    (void)state;
    struct mq_attr attributes = {.mq_maxmsg = 5, .mq_msgsize = 64};
    struct stat native;
    char buffer[64] = {0};
    struct ipcfs_wait wait = {0};
    mqd_t queue = mq_open("/native", O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK, 0640, &attributes);
    assert_int_equal(fstat(queue, &native), 0);
    struct ipcfs_created object = create_object("native", O_RDWR, 0600);
    assert_false(object.made);
    assert_int_equal(object.found.stat.stx_ino, native.st_ino);
    assert_int_equal(object.found.stat.stx_mode, S_IFREG | 0640);
    assert_int_equal(kind->message_room(object.file), 64);
    assert_int_equal(mq_send(queue, "down", 4, 3), 0);
    assert_int_equal(kind->try_read(object.file, buffer, sizeof buffer, 0, 0, &wait), 4);
    assert_memory_equal(buffer, "down", 4);
    unsigned priority = 9;
    assert_int_equal(kind->try_write(object.file, "up", 2, 0, 0, &wait), 2);
    assert_int_equal(mq_receive(queue, buffer, sizeof buffer, &priority), 2);
    assert_memory_equal(buffer, "up", 2);
    assert_int_equal(priority, 0);
    assert_int_equal(mq_unlink("/native"), 0);
    assert_false(exists("native"));
    let_go(&object);
    assert_int_equal(mq_close(queue), 0);
}

static void test_made_object_is_native(void **state)
{
    (void)state;
    struct stat native;
    struct ipcfs_found found = make_object("made");
    mqd_t queue = native_open("/made", O_RDWR);
    assert_int_equal(fstat(queue, &native), 0);
    assert_int_equal(native.st_ino, found.stat.stx_ino);
    remove_object("made");
    assert_int_equal(mq_open("/made", O_RDWR), -1);
    assert_int_equal(mq_close(queue), 0);
}

static void test_too_long_a_message(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    struct ipcfs_wait wait = {0};
    char data[129] = {0};
    assert_int_equal(kind->message_room(object.file), 128);
    assert_int_equal(kind->try_write(object.file, data, 129, 0, 0, &wait), -EMSGSIZE);
    assert_int_equal(kind->try_write(object.file, data, 128, 0, 0, &wait), 128);
    assert_int_equal(kind->try_read(object.file, data, 127, 0, 0, &wait), -E2BIG);
    assert_int_equal(kind->try_read(object.file, data, 128, 0, 0, &wait), 128);
    let_go(&object);
}

/* ---- prio ---- */

static const struct ipcfs_verb *prio(void)
{
    for (const struct ipcfs_verb *verb = kind->verbs; verb->name; verb++)
        if (strcmp(verb->name, "prio") == 0)
            return verb;
    fail_msg("no verb prio");
    return NULL;
}

static void send_at(const struct ipcfs_ref *ref, int64_t number, const char *message)
{
    struct ipcfs_file *file = NULL;
    struct ipcfs_wait wait = {0};
    assert_int_equal(prio()->open(ref, number, O_WRONLY, &file), 0);
    assert_int_equal(kind->try_write(file, message, strlen(message), 0, 0, &wait), strlen(message));
    kind->close(file);
}

static void must_get(mqd_t queue, const char *expected, unsigned expected_priority)
{
    char buffer[8192] = {0};
    unsigned priority = 0;
    assert_int_equal(mq_receive(queue, buffer, sizeof buffer, &priority), strlen(expected));
    assert_string_equal(buffer, expected);
    assert_int_equal(priority, expected_priority);
}

static void test_priorities(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    mqd_t queue = native_open("/a", O_RDWR);
    send_at(&ref, 0, "low");
    send_at(&ref, 32767, "high");
    send_at(&ref, 7, "middle");
    must_get(queue, "high", 32767);
    must_get(queue, "middle", 7);
    must_get(queue, "low", 0);
    assert_int_equal(mq_close(queue), 0);
    let_go(&object);
}

static void test_wrong_priorities(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR, 0622);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    struct ipcfs_file *file = NULL;
    static const int64_t numbers[] = {-1, 32768, INT64_MAX, INT64_MIN, INT64_C(1) << 32};
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++)
        assert_int_equal(prio()->open(&ref, numbers[i], O_WRONLY, &file), -ENOENT);
    assert_int_equal(prio()->open(&ref, 1, O_RDONLY, &file), -EACCES);
    assert_int_equal(prio()->open(&ref, 1, O_RDWR, &file), -EACCES);
    struct ipcfs_change closed = {.mask = IPCFS_CHANGE_MODE, .mode = 0600};
    assert_int_equal(kind->change(&ref, NULL, &closed), 0);
    act_as(USER);
    int error = prio()->open(&ref, 1, O_WRONLY, &file);
    act_as_root();
    assert_int_equal(error, -EACCES);
    let_go(&object);
}

/* ---- names that change hands ---- */

static void test_replaced_between_hold_and_open(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    struct ipcfs_ref by_name = ref_by_name(&object.found, "a");
    struct ipcfs_ref by_hold = by_name;
    struct ipcfs_hold *hold = NULL;
    struct ipcfs_wait wait = {0};
    struct statx stat;
    char buffer[128];
    assert_int_equal(kind->hold(&by_name, &by_hold.hold), 0);
    assert_int_equal(mq_unlink("/a"), 0);
    mqd_t other = native_open("/a", O_RDWR | O_CREAT | O_EXCL);
    struct ipcfs_file *file = open_object(&by_hold, O_RDWR);
    assert_int_equal(kind->try_write(file, "old", 3, 0, 0, &wait), 3);
    assert_int_equal(kind->try_read(object.file, buffer, sizeof buffer, 0, 0, &wait), 3);
    assert_int_equal(mq_send(other, "new", 3, 0), 0);
    assert_int_equal(kind->try_read(file, buffer, sizeof buffer, 0, 0, &wait), -EAGAIN);
    assert_int_equal(kind->hold(&by_name, &hold), -ESTALE);
    assert_int_equal(kind->stat(&by_name, &stat), -ESTALE);
    const struct ipcfs_change purge = {.mask = IPCFS_CHANGE_SIZE};
    assert_int_equal(kind->change(&by_name, NULL, &purge), -ESTALE);
    assert_int_equal(kind->change(&by_hold, NULL, &purge), 0);
    struct ipcfs_found found = find_object("a");
    struct ipcfs_ref now = ref_by_name(&found, "a");
    assert_int_equal(stat_object(&now).stx_size, 3);
    kind->uncreate(0, "a", &object);
    assert_true(exists("a"));
    kind->close(file);
    kind->release(by_hold.hold);
    let_go(&object);
    assert_int_equal(mq_close(other), 0);
}

/* A name that natively comes and goes all the time: whatever create() answers is true. */
static int blink(void)
{
    const struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = 128};
    for (;;) {
        mqd_t queue = mq_open("/blink", O_CREAT | O_RDWR, 0666, &attributes);
        if (queue >= 0)
            (void)mq_close(queue);
        (void)mq_unlink("/blink");
    }
    return 0;
}

static void test_blinking_name(void **state)
{
    (void)state;
    pid_t pid = start_process(0, 0, blink);
    unsigned made = 0;
    for (int i = 0; i < 300; i++) {
        struct ipcfs_created object = {0};
        int error = try_create("blink", i % 2 ? O_RDWR : O_RDWR | O_EXCL, 0600, &object);
        assert_true(error == 0 || error == -ESTALE || (i % 2 == 0 && error == -EEXIST));
        if (error)
            continue;
        made += object.made;
        assert_int_equal(kind->message_room(object.file), 128);
        let_go(&object);
    }
    kill_and_wait(pid);
    assert_true(made > 0);
}

static void test_rewound_walk(void **state)
{
    (void)state;
    struct ipcfs_lister *lister = NULL;
    struct ipcfs_entry entry;
    assert_int_equal(kind->list_open(0, &lister), 0);
    assert_int_equal(kind->list_next(lister, &entry), 0);
    make_object("new");
    assert_int_equal(kind->list_seek(lister, 0), 0);
    assert_int_equal(kind->list_next(lister, &entry), 1);
    assert_string_equal(entry.name, "new");
    remove_object("new");
    assert_int_equal(kind->list_seek(lister, 0), 0);
    assert_int_equal(kind->list_next(lister, &entry), 0);
    kind->list_close(lister);
}

static void test_directory(void **state)
{
    (void)state;
    struct ipcfs_directory directory;
    struct statvfs system;
    assert_int_equal(kind->stat_directory(0, &directory), 0);
    assert_true(directory.uid == 0 && directory.gid == 0 && directory.sticky && directory.open_to_all);
    assert_int_equal(kind->stat_system(&system), 0);
    assert_int_equal(system.f_namemax, NAME_MAX);
}

/* ---- threads ---- */

static void *use_the_queue(void *data)
{
    const struct ipcfs_ref *ref = data;
    struct ipcfs_wait wait = {0};
    char buffer[128];
    for (int i = 0; i < 200; i++) {
        struct ipcfs_file *file = NULL;
        struct ipcfs_created object = {0};
        struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
        const struct ipcfs_wish wish = {
            .name = "b", .flags = O_RDWR | O_CREAT, .mode = 0600, .caller = &self};
        if (kind->open(ref, O_RDWR, &file) || kind->render(ref, values))
            return NULL;
        (void)kind->try_write(file, "x", 1, 0, 0, &wait);
        (void)kind->try_read(file, buffer, sizeof buffer, 0, 0, &wait);
        kind->close(file);
        if (i % 10 == 0 && kind->create(&wish, &object) == 0)
            let_go(&object);
        if (i % 10 == 5)
            (void)kind->remove(0, "b");
    }
    return data;
}

static void test_threads(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    pthread_t threads[4];
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_the_queue, &ref), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++) {
        void *result = NULL;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_ptr_equal(result, &ref);
    }
    let_go(&object);
}

/* ---- without the right to mount ---- */

/* 0: start() by /dev/mqueue reaches "a", and what it makes is there. Otherwise the line that went wrong. */
static int use_mount_point(bool mounted)
{
    struct ipcfs_found found;
    struct ipcfs_created object = {0};
    const struct ipcfs_wish wish = {
        .name = "b", .flags = O_RDWR | O_CREAT | O_EXCL, .mode = 0600, .caller = &self};
    if (unshare(CLONE_NEWNS) || mount("none", "/dev", "tmpfs", 0, "mode=755") || mkdir("/dev/mqueue", 0755))
        return __LINE__;
    if (mounted && mount("none", "/dev/mqueue", "mqueue", 0, NULL))
        return __LINE__;
    if (setresgid(USER, USER, USER) || setresuid(USER, USER, USER))
        return __LINE__;
    int error = kind->start();
    if (!mounted)
        return error == -EPERM ? 0 : __LINE__;
    if (error)
        return __LINE__;
    if (kind->find(0, "a", &found, NULL) || found.stat.stx_size != 0 || found.stat.stx_uid != 0)
        return __LINE__;
    if (kind->create(&wish, &object) || object.found.stat.stx_uid != USER || !object.made)
        return __LINE__;
    return 0;
}

static void test_without_the_right_to_mount(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    struct ipcfs_wait wait = {0};
    assert_int_equal(kind->try_write(object.file, "unseen", 6, 0, 0, &wait), 6);
    for (int mounted = 0; mounted < 2; mounted++) {
        int status = 0;
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            int line = use_mount_point(mounted);
            if (line)
                (void)fprintf(stderr, "line %d\n", line);
            _exit(line ? EXIT_FAILURE : EXIT_SUCCESS);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
    }
    assert_int_equal(find_object("b").stat.stx_uid, USER);
    let_go(&object);
}

static const struct CMUnitTest tests[] = {
    TEST(test_native_object),
    TEST(test_made_object_is_native),
    TEST(test_too_long_a_message),
    TEST(test_priorities),
    TEST(test_wrong_priorities),
    TEST(test_replaced_between_hold_and_open),
    TEST(test_blinking_name),
    TEST(test_rewound_walk),
    TEST(test_directory),
    TEST(test_threads),
    TEST(test_without_the_right_to_mount),
};

const struct suite mq_suite = {
    .name = "native", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "mq"};
