/* SPDX-License-Identifier: MIT */
/* The semaphores are those of sem_open(3), and the files in them do what its kin do. */
#include "posix_sem_subject.h"

#include "failing.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the same object ---- */

static void test_native_semaphore(void **state)
{
    (void)state;
    sem_t *native = make_native("/native", 0640, 3);
    struct ipcfs_created object = make_sem("native", 9); /* it exists: the value is not set */
    struct ipcfs_ref ref = ref_by_hold(&object, "native");
    assert_false(object.made);
    assert_int_equal(object.found.stat.stx_mode, S_IFDIR | 0750);
    assert_int_equal(read_value(&ref), 3);
    assert_int_equal(sem_post(native), 0);
    assert_int_equal(read_value(&ref), 4);
    assert_int_equal(write_verb_line(&ref, "post", ""), 0);
    assert_int_equal(native_sem_value(native), 5);
    assert_int_equal(sem_unlink("/native"), 0);
    assert_false(exists("native"));
    assert_int_equal(write_verb_line(&ref, "post", "2"), 0); /* it is there for those who have it */
    assert_int_equal(native_sem_value(native), 7);
    struct ipcfs_ref by_name = ref_by_name(&object.found, "native");
    assert_int_equal(write_verb_line(&by_name, "post", "2"), -ESTALE);
    assert_int_equal(read_value(&by_name), -ESTALE);
    assert_int_equal(sem_close(native), 0);
    let_go(&object);
}

static void read_content(const char *path, char content[256])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    memset(content, 0, 256);
    assert_int_equal(read(fd, content, 256), sizeof(sem_t));
    close(fd);
}

/* To the last byte. */
static void test_made_semaphore_is_native(void **state)
{
    (void)state;
    char ours[256];
    char natives[256];
    struct ipcfs_created object = make_sem("made", 5);
    sem_t *native = make_native("/native", 0600, 5);
    read_content("/dev/shm/sem.made", ours);
    read_content("/dev/shm/sem.native", natives);
    assert_memory_equal(ours, natives, sizeof(sem_t));
    assert_int_equal(sem_close(native), 0);
    native = open_native("/made");
    assert_int_equal(native_sem_value(native), 5);
    assert_int_equal(sem_close(native), 0);
    let_go(&object);
}

/* Another process posts and takes. */
static void test_native_peer(void **state)
{
    (void)state;
    struct ipcfs_created object = make_sem("a", 1);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        sem_t *native = sem_open("/a", 0);
        bool good = native != SEM_FAILED && sem_trywait(native) == 0 && sem_trywait(native) < 0 &&
                    errno == EAGAIN && sem_post(native) == 0 && sem_post(native) == 0 &&
                    sem_post(native) == 0;
        _exit(good ? 0 : 1);
    }
    assert_int_equal(status_of(pid), 0);
    assert_int_equal(read_value(&ref), 3);
    let_go(&object);
}

/* A name that glibc takes, but that no directory can show. */
static void test_names_of_dots(void **state)
{
    (void)state;
    sem_t *dot = make_native("/.", 0600, 0);
    sem_t *dots = make_native("/..", 0600, 0);
    assert_int_equal(count_objects(), 0);
    assert_int_equal(find_error("."), -ENOENT);
    assert_int_equal(find_error(".."), -ENOENT);
    assert_int_equal(kind->remove(0, ".."), -ENOENT);
    assert_true(sem_close(dot) == 0 && sem_close(dots) == 0);
    assert_true(sem_unlink("/.") == 0 && sem_unlink("/..") == 0);
}

static void test_slashes(void **state)
{
    (void)state;
    struct ipcfs_created object = {0};
    make_object("a");
    assert_int_equal(mkdir("/dev/shm/sem.d", 0700), 0);
    assert_int_equal(find_error("d/../sem.a"), -ENOENT);
    assert_int_equal(kind->remove(0, "d/../sem.a"), -ENOENT);
    assert_int_equal(try_create("d/x", O_RDWR, 0600, &object), -EACCES);
    assert_true(exists("a"));
    assert_int_equal(rmdir("/dev/shm/sem.d"), 0);
}

/* ---- value ---- */

static void test_value(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        long value;
    } lines[] = {
        {"10", 10}, {"3", 3}, {"3", 3}, {"0", 0}, {" 12\t", 12}, {"0007", 7}, {"2147483647", 2147483647},
        {"1", 1}};
    struct ipcfs_created object = make_sem("a", 0);
    struct ipcfs_ref by_hold = ref_by_hold(&object, "a");
    struct ipcfs_ref by_name = ref_by_name(&object.found, "a");
    sem_t *native = open_native("/a");
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
        assert_int_equal(write_verb_line(i % 2 ? &by_hold : &by_name, "value", lines[i].line), 0);
        assert_int_equal(native_sem_value(native), lines[i].value);
        assert_int_equal(read_value(i % 2 ? &by_name : &by_hold), lines[i].value);
    }
    static const char *const wrong[] = {"", " ", "x", "-1", "+1", "1x", "1 2", "0x10", "1.5", "\xFF"};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        must_be_refused(&by_hold, "value", wrong[i], "not a number");
    must_be_refused(&by_hold, "value", "2147483648", "over SEM_VALUE_MAX (2147483647)");
    must_be_refused(&by_hold, "value", "99999999999999999999999", "over SEM_VALUE_MAX");
    must_be_refused(&by_hold, "value", "99999999999\033[31m", "99999999999\\033[31m: over SEM_VALUE_MAX");
    assert_int_equal(native_sem_value(native), 1);
    assert_int_equal(sem_close(native), 0);
    let_go(&object);
}

/* ---- post ---- */

static void test_post(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int more;
    } lines[] = {{"", 1},  {"x", 1},   {"go on", 1},         {"3", 3},
                 {"0", 0}, {" 4 ", 4}, {"1000000", 1000000}, {"\xFF", 1}};
    struct ipcfs_created object = make_sem("a", 0);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    long value = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
        assert_int_equal(write_verb_line(&ref, "post", lines[i].line), 0);
        value += lines[i].more;
        assert_int_equal(read_value(&ref), value);
    }
    static const char *const wrong[] = {"3x", "-1", "+1", "1 2", "-", "0x1"};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        must_be_refused(&ref, "post", wrong[i], "not a number");
    must_be_refused(&ref, "post", "1000001", "over the posts of one write (1000000)");
    assert_int_equal(read_value(&ref), value);
    let_go(&object);
}

/* All or nothing. */
static void test_overflow(void **state)
{
    (void)state;
    struct ipcfs_created object = make_sem("a", SEM_VALUE_MAX - 3);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    assert_int_equal(write_verb_line(&ref, "post", "4"), -EOVERFLOW);
    assert_int_equal(read_value(&ref), SEM_VALUE_MAX - 3);
    assert_int_equal(write_verb_line(&ref, "post", "3"), 0);
    assert_int_equal(read_value(&ref), SEM_VALUE_MAX);
    assert_int_equal(write_verb_line(&ref, "post", ""), -EOVERFLOW);
    assert_int_equal(write_verb_line(&ref, "post", "0"), 0);
    struct ipcfs_file *file = open_part(&ref, "wait");
    assert_int_equal(take_one(file, false), SEM_VALUE_MAX - 1);
    kind->close(file);
    let_go(&object);
}

/* ---- wait ---- */

static void test_wait(void **state)
{
    (void)state;
    struct ipcfs_created object = make_sem("a", 2);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    struct ipcfs_file *file = open_part(&ref, "wait");
    struct ipcfs_wait wait = {0};
    char small[16];
    assert_int_equal(kind->poll(file, &wait), POLLIN | POLLRDNORM);
    assert_int_equal(wait.source, IPCFS_WAIT_KEEPER);
    size_t room = kind->message_room(file);
    assert_true(room <= sizeof small);
    assert_int_equal(kind->try_read(file, small, room - 1, 0, 0, &wait), -E2BIG);
    assert_int_equal(read_value(&ref), 2);
    assert_int_equal(take_one(file, false), 1);
    assert_int_equal(take_one(file, true), 0);
    assert_int_equal(take_one(file, false), -EAGAIN);
    assert_int_equal(kind->poll(file, &wait), 0);
    assert_int_equal(kind->try_write(file, "1", 1, 0, 0, &wait), -EBADF);
    assert_int_equal(hold_one(file, false), -EOPNOTSUPP);
    kind->close(file);
    assert_int_equal(read_value(&ref), 0); /* what wait takes is not given back */
    let_go(&object);
}

static void test_wait_is_read_only(void **state)
{
    (void)state;
    struct ipcfs_created object = make_sem("a", 2);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    struct ipcfs_file *file = NULL;
    assert_int_equal(sem_file("wait")->open(&ref, 0, O_RDWR, &file), -EACCES);
    assert_int_equal(sem_file("wait")->open(&ref, 0, O_WRONLY, &file), -EACCES);
    assert_int_equal(kind->open(&ref, O_RDONLY, &file), -EISDIR);
    let_go(&object);
}

/* ---- hold ---- */

static void test_hold(void **state)
{
    (void)state;
    struct ipcfs_created object = make_sem("a", 2);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    struct ipcfs_file *first = open_part(&ref, "hold");
    struct ipcfs_file *second = open_part(&ref, "hold");
    struct ipcfs_file *third = open_part(&ref, "hold");
    assert_int_equal(read_value(&ref), 2); /* not the open of the backend takes it */
    assert_int_equal(hold_one(first, false), 0);
    assert_int_equal(hold_one(first, false), 0); /* it has one */
    assert_int_equal(read_value(&ref), 1);
    assert_int_equal(hold_one(second, true), 0);
    assert_int_equal(hold_one(third, false), -EAGAIN);
    kind->close(third); /* it has none to give back */
    assert_int_equal(read_value(&ref), 0);
    remove_object("a"); /* what has no name is given back as well */
    kind->close(first);
    assert_int_equal(read_value(&ref), 1);
    kind->close(second);
    assert_int_equal(read_value(&ref), 2);
    let_go(&object);
}

static void test_hold_given_back_once(void **state)
{
    (void)state;
    struct ipcfs_created object = make_sem("a", 1);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    struct ipcfs_file *file = open_part(&ref, "hold");
    struct ipcfs_lock lock = {.whole = true, .range = {.l_type = F_UNLCK}};
    struct ipcfs_wait wait = {0};
    char buffer[16];
    assert_int_equal(hold_one(file, false), 0);
    assert_int_equal(kind->try_lock(file, &lock, &wait), 0);
    assert_int_equal(kind->try_lock(file, &lock, &wait), 0);
    assert_int_equal(read_value(&ref), 1);
    lock.range.l_type = F_RDLCK;
    assert_int_equal(kind->try_lock(file, &lock, &wait), -EOPNOTSUPP);
    assert_int_equal(kind->try_read(file, buffer, sizeof buffer, 0, 0, &wait), -EINVAL);
    assert_int_equal(kind->try_write(file, "1", 1, 0, 0, &wait), -EBADF);
    kind->close(file);
    assert_int_equal(read_value(&ref), 1);
    let_go(&object);
}

/* Others have posted to the most there can be: nothing is given back, and nothing breaks. */
static void test_hold_of_a_full_one(void **state)
{
    (void)state;
    struct ipcfs_created object = make_sem("a", 1);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    struct ipcfs_file *file = open_part(&ref, "hold");
    assert_int_equal(hold_one(file, false), 0);
    assert_int_equal(write_verb_line(&ref, "value", "2147483647"), 0);
    kind->close(file);
    assert_int_equal(read_value(&ref), SEM_VALUE_MAX);
    let_go(&object);
}

static void test_one_lane(void **state)
{
    (void)state;
    struct ipcfs_created object = make_sem("a", 1);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    struct ipcfs_file *waiter = open_part(&ref, "wait");
    struct ipcfs_file *holder = open_part(&ref, "hold");
    assert_int_equal(kind->lane(waiter, false), kind->lane(holder, true));
    assert_int_equal(kind->lane(waiter, false), kind->lane(holder, false));
    kind->close(waiter);
    kind->close(holder);
    let_go(&object);
}

/* ---- creation, state, limits ---- */

static void test_options(void **state)
{
    (void)state;
    AUTO_TEXT reason = {0};
    struct ipcfs_created object = {0};
    struct ipcfs_value options[] = {ipcfs_number(UINT64_C(2147483648))};
    struct ipcfs_wish wish = {.name = "a",
                              .flags = O_CREAT | O_EXCL,
                              .mode = 0777,
                              .caller = &self,
                              .options = options,
                              .reason = &reason};
    assert_string_equal(kind->options[0].name, "value");
    assert_int_equal(kind->create(&wish, &object), -EINVAL);
    text_bytes(&reason, "", 1);
    assert_string_equal(reason.data, "value=2147483648: over SEM_VALUE_MAX (2147483647)");
    wish.reason = NULL;
    options[0].number = UINT64_C(1) << 32;
    assert_int_equal(kind->create(&wish, &object), -EINVAL);
    assert_false(exists("a"));
    options[0].number = SEM_VALUE_MAX;
    assert_int_equal(kind->create(&wish, &object), 0);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    assert_int_equal(read_value(&ref), SEM_VALUE_MAX);
    assert_int_equal(shown_number(&ref, "mode"), 0666);
    assert_int_equal(object.found.stat.stx_mode, S_IFDIR | 0777);
    let_go(&object);
}

static void test_waiters_are_shown(void **state)
{
    (void)state;
    struct ipcfs_created object = make_sem("a", 0);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    pid_t first = start_native_waiter("/a");
    pid_t second = start_native_waiter("/a");
    wait_for_waiters(&ref, 2);
    assert_int_equal(shown_number(&ref, "value"), 0);
    assert_int_equal(write_verb_line(&ref, "post", "3"), 0);
    assert_int_equal(status_of(first), 0);
    assert_int_equal(status_of(second), 0);
    assert_int_equal(shown_number(&ref, "waiters"), 0);
    assert_int_equal(shown_number(&ref, "value"), 1);
    let_go(&object);
}

/* A look by its owner leaves no trace, not even in the access time. */
static void test_looks_leave_no_trace(void **state)
{
    (void)state;
    struct ipcfs_created object = make_sem("a", 1);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    struct statx before = stat_object(&ref);
    pause_ms(20);
    assert_int_equal(read_value(&ref), 1);
    assert_int_equal(shown_number(&ref, "value"), 1);
    struct statx after = stat_object(&ref);
    assert_memory_equal(&after.stx_atime, &before.stx_atime, sizeof before.stx_atime);
    assert_memory_equal(&after.stx_mtime, &before.stx_mtime, sizeof before.stx_mtime);
    assert_memory_equal(&after.stx_ctime, &before.stx_ctime, sizeof before.stx_ctime);
    let_go(&object);
}

static uint64_t limit(const char *name)
{
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    assert_int_equal(kind->limits(&self, values), 0);
    for (size_t i = 0; kind->limit_fields[i].name; i++)
        if (strcmp(kind->limit_fields[i].name, name) == 0)
            return values[i].number;
    fail_msg("no limit %s", name);
    return 0;
}

static void test_limits(void **state)
{
    (void)state;
    struct statvfs system;
    assert_int_equal(statvfs("/dev/shm", &system), 0);
    assert_int_equal(limit("value_max"), SEM_VALUE_MAX);
    assert_int_equal(limit("name_max"), NAME_MAX - 4);
    assert_int_equal(limit("semaphores"), 0);
    assert_int_equal(limit("size"), system.f_blocks * system.f_frsize);
    assert_int_equal(limit("inodes"), system.f_files);
    make_object("a");
    make_object("b");
    assert_int_equal(limit("semaphores"), 2);
    assert_int_equal(limit("inodes_used"), system.f_files - system.f_ffree + 2);
}

/* Neither the memory for it, nor the mapping, stays where the other is not to be had. */
static void test_open_without_memory(void **state)
{
    (void)state;
    struct ipcfs_created object = make_sem("a", 1);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    static const char *const files[] = {"wait", "hold"};
    for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
        struct ipcfs_file *file = NULL;
        failing_arm(1);
        int error = sem_file(files[i])->open(&ref, 0, O_RDONLY, &file);
        assert_true(failing_disarm());
        assert_int_equal(error, -ENOMEM);
    }
    let_go(&object);
}

static void test_change_of_size(void **state)
{
    (void)state;
    struct ipcfs_found found = make_object("a");
    struct ipcfs_ref ref = ref_by_name(&found, "a");
    struct ipcfs_change change = {.mask = IPCFS_CHANGE_SIZE | IPCFS_CHANGE_MODE, .mode = 0777};
    assert_int_equal(kind->change(&ref, NULL, &change), -EISDIR);
    assert_int_equal(stat_object(&ref).stx_mode & 0777, 0700);
}

/* The file never becomes a program: it has the rights to read and to write, and no others. */
static void test_change_of_mode(void **state)
{
    (void)state;
    struct stat native;
    struct ipcfs_found found = make_object("a");
    struct ipcfs_ref ref = ref_by_name(&found, "a");
    struct ipcfs_change change = {.mask = IPCFS_CHANGE_MODE, .mode = S_IFDIR | 07751};
    assert_int_equal(kind->change(&ref, NULL, &change), 0);
    assert_int_equal(stat("/dev/shm/sem.a", &native), 0);
    assert_int_equal(native.st_mode, S_IFREG | 0640);
    assert_int_equal(shown_number(&ref, "mode"), 0640);
    assert_int_equal(stat_object(&ref).stx_mode, S_IFDIR | 0750);
}

static const struct CMUnitTest tests[] = {
    SEM_TEST(test_native_semaphore),
    SEM_TEST(test_made_semaphore_is_native),
    SEM_TEST(test_native_peer),
    SEM_TEST(test_names_of_dots),
    SEM_TEST(test_slashes),
    SEM_TEST(test_value),
    SEM_TEST(test_post),
    SEM_TEST(test_overflow),
    SEM_TEST(test_wait),
    SEM_TEST(test_wait_is_read_only),
    SEM_TEST(test_hold),
    SEM_TEST(test_hold_given_back_once),
    SEM_TEST(test_hold_of_a_full_one),
    SEM_TEST(test_one_lane),
    SEM_TEST(test_options),
    SEM_TEST(test_waiters_are_shown),
    SEM_TEST(test_looks_leave_no_trace),
    SEM_TEST(test_limits),
    SEM_TEST(test_open_without_memory),
    SEM_TEST(test_change_of_size),
    SEM_TEST(test_change_of_mode),
};

const struct suite posix_sem_suite = {
    .name = "native", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "sem"};
