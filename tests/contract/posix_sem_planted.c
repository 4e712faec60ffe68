/* SPDX-License-Identifier: MIT */
/* Things planted under the names of semaphores that are none: not shown, opened, followed or removed. */
#include "posix_sem_subject.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const planted[] = {"link", "dangling", "fifo", "directory", "empty", "short"};

static void plant(void)
{
    make_plain_file("/dev/shm/target", 32);
    assert_int_equal(symlink("/dev/shm/target", "/dev/shm/sem.link"), 0);
    assert_int_equal(symlink("/dev/shm/sem.nowhere", "/dev/shm/sem.dangling"), 0);
    assert_int_equal(mkfifo("/dev/shm/sem.fifo", 0666), 0);
    assert_int_equal(mkdir("/dev/shm/sem.directory", 0777), 0);
    make_plain_file("/dev/shm/sem.empty", 0);
    make_plain_file("/dev/shm/sem.short", sizeof(sem_t) - 1);
}

static void planted_path(char path[64], const char *name)
{
    (void)snprintf(path, 64, "/dev/shm/sem.%s", name);
}

/* It must all be there still. */
static void unplant(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(planted); i++) {
        char path[64];
        planted_path(path, planted[i]);
        assert_true(unlink(path) == 0 || rmdir(path) == 0);
    }
    assert_int_equal(access("/dev/shm/sem.nowhere", F_OK), -1);
    assert_int_equal(unlink("/dev/shm/target"), 0);
}

static void test_planted(void **state)
{
    (void)state;
    static const int errors[] = {-ELOOP, -ELOOP, -EEXIST, -EISDIR, -EEXIST, -EEXIST};
    plant();
    assert_int_equal(count_objects(), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(planted); i++) {
        struct ipcfs_created object = {0};
        must_not_be_reached(planted[i]);
        assert_int_equal(try_create(planted[i], O_RDWR, 0600, &object), errors[i]);
        assert_int_equal(try_create(planted[i], O_RDWR | O_EXCL, 0600, &object), -EEXIST);
    }
    unplant();
}

/* One of them takes the place of a semaphore that was found. */
static void test_replaced_by_planted(void **state)
{
    (void)state;
    plant();
    for (size_t i = 0; i < ARRAY_LENGTH(planted); i++) {
        char path[64];
        struct statx stat;
        planted_path(path, planted[i]);
        struct ipcfs_found found = make_object("a");
        struct ipcfs_ref ref = ref_by_name(&found, "a");
        assert_int_equal(unlink("/dev/shm/sem.a"), 0);
        assert_int_equal(rename(path, "/dev/shm/sem.a"), 0);
        assert_int_equal(kind->stat(&ref, &stat), -ESTALE);
        assert_int_equal(write_verb_line(&ref, "post", "1"), -ESTALE);
        assert_int_equal(kind->remove(0, "a"), -ENOENT);
        assert_int_equal(rename("/dev/shm/sem.a", path), 0);
    }
    unplant();
}

static const struct CMUnitTest tests[] = {
    SEM_TEST(test_planted),
    SEM_TEST(test_replaced_by_planted),
};

const struct suite posix_sem_planted_suite = {
    .name = "planted", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "sem"};
