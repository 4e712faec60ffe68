/* SPDX-License-Identifier: MIT */
/* Locks of kinds that have them: lock_owner, try_lock, get_lock; and those who lock natively beside them. */
#include "subject.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct flock range_of(short type, off_t start, off_t length)
{
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
}

/* try_lock() that will not wait: 0 or −errno. */
static int whole(struct ipcfs_file *file, short type)
{
    struct ipcfs_wait wait = {0};
    struct ipcfs_lock lock = {.whole = true, .range = {.l_type = type}};
    int error = kind->try_lock(file, &lock, &wait);
    if (error == -EAGAIN)
        assert_int_equal(wait.source, IPCFS_WAIT_KEEPER);
    return error;
}

static int part(struct ipcfs_file *file, short type, off_t start, off_t length)
{
    struct ipcfs_wait wait = {0};
    struct ipcfs_lock lock = {.range = range_of(type, start, length)};
    lock.range.l_pid = getpid(); /* as the FUSE side fills it */
    int error = kind->try_lock(file, &lock, &wait);
    if (error == -EAGAIN)
        assert_int_equal(wait.source, IPCFS_WAIT_KEEPER);
    return error;
}

static struct ipcfs_file *new_owner(const struct ipcfs_created *object)
{
    struct ipcfs_ref ref = ref_by_hold(object, "a");
    struct ipcfs_file *file = NULL;
    assert_int_equal(kind->lock_owner(&ref, &file), 0);
    return file;
}

static void test_whole(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    struct ipcfs_file *other = open_object(&ref, O_RDONLY);
    assert_int_equal(whole(object.file, F_WRLCK), 0);
    assert_int_equal(whole(other, F_RDLCK), -EAGAIN);
    assert_int_equal(whole(object.file, F_RDLCK), 0);
    assert_int_equal(whole(other, F_RDLCK), 0);
    assert_int_equal(whole(object.file, F_WRLCK), -EAGAIN); /* and the old one is lost, as natively */
    assert_int_equal(whole(other, F_WRLCK), 0);
    assert_int_equal(whole(other, F_UNLCK), 0);
    assert_int_equal(whole(object.file, F_WRLCK), 0);
    kind->close(object.file);
    assert_int_equal(whole(other, F_WRLCK), 0);
    kind->close(other);
    kind->release(object.hold);
}

static void test_ranges(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    struct ipcfs_file *one = new_owner(&object);
    struct ipcfs_file *two = new_owner(&object);
    assert_int_equal(part(one, F_WRLCK, 10, 10), 0);
    assert_int_equal(part(two, F_RDLCK, 0, 10), 0);
    assert_int_equal(part(two, F_RDLCK, 19, 1), -EAGAIN);
    assert_int_equal(part(two, F_WRLCK, 20, 0), 0);
    assert_int_equal(part(one, F_RDLCK, 0, 20), 0);
    assert_int_equal(part(two, F_RDLCK, 19, 1), 0);
    assert_int_equal(part(one, F_WRLCK, 19, 1), -EAGAIN);
    assert_int_equal(part(one, F_WRLCK, -1, 1), -EINVAL);
    kind->close(two);
    assert_int_equal(part(one, F_WRLCK, 0, 0), 0);
    assert_int_equal(whole(object.file, F_WRLCK), 0); /* the two sorts of locks do not see each other */
    kind->close(one);
    let_go(&object);
}

static void test_query(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    struct ipcfs_file *one = new_owner(&object);
    struct flock found = range_of(F_WRLCK, 0, 0);
    found.l_pid = getpid();
    assert_int_equal(kind->get_lock(object.file, &found), 0);
    assert_int_equal(found.l_type, F_UNLCK);
    assert_int_equal(part(one, F_RDLCK, 10, 10), 0);
    found = range_of(F_WRLCK, 0, 0);
    assert_int_equal(kind->get_lock(object.file, &found), 0);
    assert_int_equal(found.l_type, F_RDLCK);
    assert_int_equal(found.l_start, 10);
    assert_int_equal(found.l_len, 10);
    assert_int_equal(found.l_pid, -1);
    found = range_of(F_WRLCK, 0, 0);
    assert_int_equal(kind->get_lock(one, &found), 0);
    assert_int_equal(found.l_type, F_UNLCK); /* his own is not in his way */
    kind->close(one);
    let_go(&object);
}

/* Locks what it can of the native object, tells so, and stays until it is killed. */
static pid_t native_locker(const char *path, int ready)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid)
        return pid;
    struct flock range = range_of(F_WRLCK, 5, 5);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    bool locked = fd >= 0 && fcntl(fd, F_SETLK, &range) == 0 && flock(fd, LOCK_SH | LOCK_NB) == 0;
    (void)!write(ready, locked ? "y" : "n", 1);
    (void)pause();
    _exit(0);
}

static void test_native_lockers(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    struct ipcfs_file *one = new_owner(&object);
    int ends[2];
    char locked = 0;
    assert_int_equal(pipe(ends), 0);
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/a", traits->path);
    pid_t pid = native_locker(path, ends[1]);
    assert_int_equal(read(ends[0], &locked, 1), 1);
    assert_int_equal(locked, 'y');
    assert_int_equal(part(one, F_RDLCK, 9, 1), -EAGAIN);
    assert_int_equal(part(one, F_WRLCK, 10, 0), 0);
    assert_int_equal(whole(object.file, F_WRLCK), -EAGAIN);
    assert_int_equal(whole(object.file, F_RDLCK), 0);
    struct flock found = range_of(F_WRLCK, 0, 6);
    assert_int_equal(kind->get_lock(one, &found), 0);
    assert_int_equal(found.l_pid, pid);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(part(one, F_WRLCK, 0, 0), 0);
    assert_int_equal(whole(object.file, F_WRLCK), 0);
    close(ends[0]);
    close(ends[1]);
    kind->close(one);
    let_go(&object);
}

/* ---- waiting ---- */

struct waiting {
    struct ipcfs_file *file;
    struct ipcfs_lock lock;
    int result;
};

static void *wait_for_lock(void *argument)
{
    struct waiting *waiting = argument;
    struct ipcfs_wait wait = {.block = true};
    waiting->result = kind->try_lock(waiting->file, &waiting->lock, &wait);
    return NULL;
}

static void on_signal(int number)
{
    (void)number;
}

static void pause_ms(long milliseconds)
{
    struct timespec time = {.tv_nsec = milliseconds * 1000000};
    (void)nanosleep(&time, NULL);
}

static void check_waiting(struct ipcfs_file *holder, struct ipcfs_file *waiter, bool is_whole)
{
    struct waiting waiting = {.file = waiter, .lock = {.whole = is_whole, .range = range_of(F_WRLCK, 0, 0)}};
    struct ipcfs_wait wait = {0};
    struct ipcfs_lock unlock = {.whole = is_whole, .range = range_of(F_UNLCK, 0, 0)};
    pthread_t thread;
    assert_int_equal(kind->try_lock(holder, &waiting.lock, &wait), 0);
    waiting.result = 1;
    assert_int_equal(pthread_create(&thread, NULL, wait_for_lock, &waiting), 0);
    do { /* a signal may come before it waits */
        pause_ms(20);
        assert_int_equal(pthread_kill(thread, SIGUSR2), 0);
        pause_ms(20);
    } while (pthread_tryjoin_np(thread, NULL));
    assert_int_equal(waiting.result, -EINTR);
    waiting.result = 1;
    assert_int_equal(pthread_create(&thread, NULL, wait_for_lock, &waiting), 0);
    pause_ms(20);
    assert_int_equal(kind->try_lock(holder, &unlock, &wait), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(waiting.result, 0);
    assert_int_equal(kind->try_lock(holder, &waiting.lock, &wait), -EAGAIN);
    assert_int_equal(kind->try_lock(waiter, &unlock, &wait), 0);
}

/* As a keeper calls it: a signal ends it and nothing is locked, or it gets the lock when it is free. */
static void test_waiting(void **state)
{
    (void)state;
    struct sigaction action = {.sa_handler = on_signal};
    assert_int_equal(sigaction(SIGUSR2, &action, NULL), 0);
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    struct ipcfs_file *other = open_object(&ref, O_RDWR);
    struct ipcfs_file *one = new_owner(&object);
    struct ipcfs_file *two = new_owner(&object);
    check_waiting(object.file, other, true);
    check_waiting(one, two, false);
    kind->close(one);
    kind->close(two);
    kind->close(other);
    let_go(&object);
}

static const struct CMUnitTest tests[] = {
    TEST(test_whole), TEST(test_ranges), TEST(test_query), TEST(test_native_lockers), TEST(test_waiting),
};

const struct suite locks_suite = {
    .name = "locks", .tests = tests, .count = ARRAY_LENGTH(tests), .only_bytes = true};
