/* SPDX-License-Identifier: MIT */
/* Locks of flock(2) and fcntl(2) that somebody waits for. */
#include "inspect_join_subject.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *path; /* of the file that is locked */

static void must(bool done)
{
    if (!done)
        _exit(97);
}

static void hold_flock(void)
{
    must(flock(open(path, O_RDWR | O_CREAT, 0600), LOCK_EX) == 0);
    ready();
}

static void wait_for_flock(void)
{
    int fd = open(path, O_RDWR);
    ready();
    (void)flock(fd, LOCK_EX);
}

static void lock_range(int command, bool is_ready)
{
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 20};
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    if (is_ready)
        ready();
    int result = fcntl(fd, command, &range);
    must(is_ready || result == 0);
    if (!is_ready)
        ready();
}

static void hold_range(void)
{
    lock_range(F_SETLK, false);
}

static void wait_for_range(void)
{
    lock_range(F_SETLKW, true);
}

static void hold_description(void)
{
    lock_range(F_OFD_SETLK, false);
}

static void wait_as_description(void)
{
    lock_range(F_OFD_SETLKW, true);
}

/* `told`: /proc says who has it. */
static void check(void (*hold)(void), void (*wait)(void), long call, bool told)
{
    const bool is_shm = strncmp(path, "/dev/shm/", 9) == 0;
    pid_t holder = start_child(hold);
    pid_t waiter = start_child(wait);
    pid_t second = start_child(wait);
    await_call(waiter, call);
    await_call(second, call);
    (void)usleep(20 * 1000);
    (void)look(INSPECT_WAITERS);
    const struct inspected_object *object =
        is_shm ? object_named("shm", path + 9) : object_named("file", path);
    const struct inspected_use *use = use_of(object, waiter, USE_WAITING);
    assert_ptr_equal(use, wait_of(waiter));
    assert_true(use->exclusive && !use->reads && !use->writes && use->fd >= 0);
    assert_true(has_lock(object, told ? holder : 0, waiter));
    assert_true(has_lock(object, told ? holder : 0, second));
    assert_false(has_lock(object, waiter, second) || has_lock(object, holder, holder));
    (void)use_of(object, holder, USE_DESCRIPTOR);
    assert_int_equal(kill(holder, SIGSTOP), 0);
    assert_int_equal(kill(second, SIGKILL), 0);
    assert_int_equal(kill(waiter, SIGKILL), 0);
    assert_int_equal(kill(holder, SIGKILL), 0);
    assert_int_equal(unlink(path), 0);
}

static void test_locks(void **state)
{
    (void)state;
    path = "/dev/shm/data";
    check(hold_flock, wait_for_flock, SYS_flock, true);
    check(hold_range, wait_for_range, SYS_fcntl, true);
    path = "/mnt/data";
    check(hold_flock, wait_for_flock, SYS_flock, true);
    check(hold_description, wait_as_description, SYS_fcntl, false);
}

/* Two descriptions of one file: it waits for itself. */
static void lock_out_itself(void)
{
    must(flock(open(path, O_RDWR | O_CREAT, 0600), LOCK_EX) == 0);
    wait_for_flock();
}

static void test_waits_for_itself(void **state)
{
    (void)state;
    path = "/mnt/data";
    pid_t pid = start_child(lock_out_itself);
    await_call(pid, SYS_flock);
    const struct inspection *seen = look(INSPECT_WAITERS);
    assert_true(has_lock(object_named("file", path), pid, pid));
    assert_int_equal(seen->lock_count, 1);
    assert_int_equal(unlink(path), 0);
}

static void test_nobody_waits(void **state)
{
    (void)state;
    path = "/mnt/data";
    (void)start_child(hold_flock);
    const struct inspection *seen = look(INSPECT_WAITERS);
    assert_int_equal(seen->lock_count, 0);
    assert_null(find_object("file", path));
    assert_int_equal(unlink(path), 0);
}

static void *read_in_thread(void *ends)
{
    char byte = 0;
    (void)!read(*(int *)ends, &byte, 1);
    return ends;
}

static void run_thread(void)
{
    static int ends[2];
    pthread_t thread;
    must(pipe(ends) == 0 && pthread_create(&thread, NULL, read_in_thread, ends) == 0);
    ready();
}

/* The daemon has a lock for one who took it through the mount. */
static void test_held_through_mount(void **state)
{
    (void)state;
    path = "/dev/shm/data";
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    int elsewhere = shm_open("/other", O_RDWR | O_CREAT, 0600);
    pid_t there = start_child(run_thread);
    await_call(there, SYS_read);
    pid_t other = start_child(ready);
    pid_t waiter = start_child(wait_for_flock);
    await_call(waiter, SYS_flock);
    made_up.locks[0] = (struct inspection_mount_lock){
        .kind = kind_of("shm"), .number = ino_of(path), .holder = thread_in(there, SYS_read)};
    made_up.locks[1] =
        (struct inspection_mount_lock){.kind = kind_of("shm"), .number = ino_of(path) + 1, .holder = waiter};
    made_up.locks[2] = (struct inspection_mount_lock){
        .kind = kind_of("shm"), .number = ino_of("/dev/shm/other"), .holder = other};
    made_up.locks[3] = made_up.locks[0];
    made_up.lock_count = 4;
    const struct inspection *seen = look(INSPECT_WAITERS);
    assert_true(has_lock(object_named("shm", "data"), there, waiter));
    assert_int_equal(seen->lock_count, 1);
    assert_int_equal(shm_unlink("/other"), 0);
    close(elsewhere);
    close(fd);
    assert_int_equal(unlink(path), 0);
}

static void wait_in_daemon(void)
{
    path = path_in("pipe", "p");
    wait_for_flock();
}

/* One who waits through the mount, for one there and for a native one. */
static void test_waited_for_through_mount(void **state)
{
    (void)state;
    assert_int_equal(mknod(path_in("pipe", "p"), S_IFREG | 0600, 0), 0);
    int lock = open(path_in("pipe", "p"), O_RDWR);
    assert_int_equal(flock(lock, LOCK_EX), 0); /* so that the call waits */
    path = "/dev/shm/data";
    pid_t holder = start_child(hold_flock);
    pid_t there = start_child(ready);
    pid_t waiter = start_child(wait_in_daemon);
    await_call(waiter, SYS_flock);
    made_up.parked[0] = (struct inspection_parked){
        .tid = waiter, .kind = kind_of("shm"), .number = ino_of(path), .member = -1, .call = "lock"};
    made_up.locks[0] =
        (struct inspection_mount_lock){.kind = kind_of("shm"), .number = ino_of(path), .holder = there};
    made_up.locks[1] = made_up.locks[0];
    made_up.locks[1].holder = waiter; /* it has a shared one, and wants more */
    made_up.parked_count = 1;
    made_up.lock_count = 2;
    const struct inspection *seen = look(INSPECT_WAITERS);
    const struct inspected_object *object = object_named("shm", "data");
    assert_true(wait_of(waiter)->parked && wait_of(waiter)->exclusive);
    assert_false(wait_of(waiter)->reads || wait_of(waiter)->writes);
    assert_true(has_lock(object, there, waiter));
    assert_int_equal(seen->lock_count, 1);
    (void)holder;
    close(lock);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(path_in("pipe", "p")), 0);
}

const struct CMUnitTest join_lock_tests[] = {
    JOIN_TEST(test_locks), JOIN_TEST(test_nobody_waits), JOIN_TEST(test_waits_for_itself),
    JOIN_TEST(test_held_through_mount), JOIN_TEST(test_waited_for_through_mount)};
const size_t join_lock_count = sizeof join_lock_tests / sizeof *join_lock_tests;
