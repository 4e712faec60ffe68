/* SPDX-License-Identifier: MIT */
/* The content of kinds whose objects are bytes: open, try_read, try_write, allocate, seek, backing. */
#include "subject.h"

#include <errno.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static ssize_t write_at(struct ipcfs_file *file, const char *data, off_t offset, int flags)
{
    struct ipcfs_wait wait = {.source = IPCFS_WAIT_KEEPER};
    ssize_t count = kind->try_write(file, data, strlen(data), offset, flags, &wait);
    assert_int_equal(wait.source, IPCFS_WAIT_NONE); /* bytes never wait */
    return count;
}

static ssize_t read_at(struct ipcfs_file *file, char *buffer, size_t size, off_t offset)
{
    struct ipcfs_wait wait = {.source = IPCFS_WAIT_KEEPER};
    ssize_t count = kind->try_read(file, buffer, size, offset, 0, &wait);
    assert_int_equal(wait.source, IPCFS_WAIT_NONE);
    return count;
}

static void must_read(struct ipcfs_file *file, const char *expected, off_t offset)
{
    char buffer[64] = {0};
    assert_int_equal(read_at(file, buffer, sizeof buffer, offset), strlen(expected));
    assert_string_equal(buffer, expected);
}

static void test_read_and_write(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    char buffer[8];
    assert_int_equal(read_at(object.file, buffer, sizeof buffer, 0), 0);
    assert_int_equal(write_at(object.file, "hello world", 0, 0), 11);
    must_read(object.file, "hello world", 0);
    must_read(object.file, "world", 6);
    assert_int_equal(read_at(object.file, buffer, 4, 8), 3);
    assert_int_equal(read_at(object.file, buffer, 4, 11), 0);
    assert_int_equal(read_at(object.file, buffer, 4, 1 << 20), 0);
    assert_int_equal(read_at(object.file, buffer, 0, 0), 0);
    assert_int_equal(write_at(object.file, "J", 0, 0), 1);
    must_read(object.file, "Jello world", 0);
    assert_int_equal(write_at(object.file, "", 500, 0), 0);
    assert_int_equal(find_object("a").stat.stx_size, 11);
    assert_int_equal(write_at(object.file, "!", 13, 0), 1);
    assert_int_equal(read_at(object.file, buffer, 8, 10), 4);
    assert_memory_equal(buffer, "d\0\0!", 4);
    let_go(&object);
}

static void test_wrong_offsets(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    char buffer[8];
    assert_int_equal(read_at(object.file, buffer, sizeof buffer, -1), -EINVAL);
    assert_int_equal(read_at(object.file, buffer, sizeof buffer, INT64_MIN), -EINVAL);
    assert_true(write_at(object.file, "x", INT64_MIN, 0) < 0);
    assert_true(write_at(object.file, "xy", INT64_MAX, 0) < 0);
    assert_int_equal(find_object("a").stat.stx_size, 0);
    let_go(&object);
}

/* O_APPEND counts at each write, as fcntl(2) may have changed it since the open. */
static void test_append(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR | O_APPEND, 0600);
    assert_int_equal(write_at(object.file, "one", 0, O_APPEND), 3);
    assert_int_equal(write_at(object.file, "two", 0, O_APPEND), 3);
    must_read(object.file, "onetwo", 0);
    assert_int_equal(write_at(object.file, "ONE", 0, 0), 3);
    must_read(object.file, "ONEtwo", 0);
    let_go(&object);
    object = create_object("a", O_RDWR, 0600);
    assert_int_equal(write_at(object.file, "three", 1, O_APPEND), 5);
    must_read(object.file, "ONEtwothree", 0);
    let_go(&object);
}

static void test_access_modes(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    struct ipcfs_file *reader = open_object(&ref, O_RDONLY);
    struct ipcfs_file *writer = open_object(&ref, O_WRONLY | O_APPEND);
    char buffer[8];
    assert_int_equal(write_at(object.file, "seen", 0, 0), 4);
    must_read(reader, "seen", 0);
    assert_int_equal(write_at(reader, "x", 0, 0), -EBADF);
    assert_int_equal(read_at(writer, buffer, sizeof buffer, 0), -EBADF);
    assert_int_equal(write_at(writer, "S", 0, 0), 1);
    must_read(reader, "Seen", 0);
    assert_int_equal(kind->allocate(reader, 0, 0, 10), -EBADF);
    kind->close(reader);
    kind->close(writer);
    let_go(&object);
}

static void test_open_truncates(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    assert_int_equal(write_at(object.file, "content", 0, 0), 7);
    kind->close(open_object(&ref, O_RDWR));
    assert_int_equal(stat_object(&ref).stx_size, 7);
    kind->close(open_object(&ref, O_RDWR | O_TRUNC));
    assert_int_equal(stat_object(&ref).stx_size, 0);
    let_go(&object);
}

/* One object, however it is reached: what is written through one file is read through all, also after the remove. */
static void test_one_content(void **state)
{
    (void)state;
    struct ipcfs_created first = create_object("a", O_RDWR, 0600);
    struct ipcfs_created second = create_object("a", O_RDWR, 0600);
    assert_int_equal(write_at(first.file, "one", 0, 0), 3);
    must_read(second.file, "one", 0);
    remove_object("a");
    assert_int_equal(write_at(second.file, "two", 0, 0), 3);
    must_read(first.file, "two", 0);
    struct ipcfs_created third = create_object("a", O_RDWR, 0600);
    must_read(third.file, "", 0);
    let_go(&first);
    let_go(&second);
    let_go(&third);
}

static void test_allocate(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    char buffer[4];
    assert_int_equal(kind->allocate(object.file, 0, 0, 8192), 0);
    struct statx stat = stat_object(&ref);
    assert_true(stat.stx_size == 8192 && stat.stx_blocks * 512 >= 8192);
    assert_int_equal(kind->allocate(object.file, FALLOC_FL_KEEP_SIZE, 8192, 8192), 0);
    stat = stat_object(&ref);
    assert_true(stat.stx_size == 8192 && stat.stx_blocks * 512 >= 16384);
    assert_int_equal(write_at(object.file, "data", 0, 0), 4);
    int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    assert_int_equal(kind->allocate(object.file, punch, 0, 4096), 0);
    assert_int_equal(read_at(object.file, buffer, 4, 0), 4);
    assert_memory_equal(buffer, "\0\0\0\0", 4);
    assert_int_equal(kind->allocate(object.file, 0, -1, 10), -EINVAL);
    assert_int_equal(kind->allocate(object.file, 0, 0, 0), -EINVAL);
    assert_int_equal(kind->allocate(object.file, 0x4000, 0, 10), -EOPNOTSUPP);
    assert_int_equal(kind->allocate(object.file, 0, INT64_MAX, INT64_MAX), -EFBIG);
    let_go(&object);
}

static void test_seek(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    assert_int_equal(kind->seek(object.file, 0, SEEK_DATA), -ENXIO);
    assert_int_equal(write_at(object.file, "x", 1 << 20, 0), 1);
    off_t data = kind->seek(object.file, 0, SEEK_DATA);
    assert_true(data > 0 && data <= 1 << 20);
    assert_int_equal(kind->seek(object.file, 0, SEEK_HOLE), 0);
    assert_int_equal(kind->seek(object.file, 1 << 20, SEEK_HOLE), (1 << 20) + 1);
    assert_int_equal(kind->seek(object.file, 1 << 21, SEEK_DATA), -ENXIO);
    assert_int_equal(kind->seek(object.file, -1, SEEK_DATA), -ENXIO);
    assert_int_equal(kind->seek(object.file, 0, 99), -EINVAL);
    let_go(&object);
}

/* The backing descriptor is of the object itself, and of no more than it must be: it is not to count as a writer. */
static void test_backing(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR, 0);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    int fd = kind->backing(&ref);
    if (fd == -EOPNOTSUPP) {
        let_go(&object);
        return;
    }
    char buffer[8];
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(write_at(object.file, "same", 0, 0), 4);
    assert_int_equal(pread(fd, buffer, sizeof buffer, 0), 4);
    assert_memory_equal(buffer, "same", 4);
    assert_int_equal(close(fd), 0);
    let_go(&object);
}

/* Every descriptor that is handed out inside is closed on exec. */
static void test_descriptors_are_closed_on_exec(void **state)
{
    (void)state;
    struct ipcfs_lister *lister = NULL;
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    struct ipcfs_file *file = open_object(&ref, O_RDONLY);
    assert_int_equal(kind->list_open(0, &lister), 0);
    for (int fd = 3; fd < 256; fd++) {
        int flags = fcntl(fd, F_GETFD);
        char path[64];
        char target[64] = {0};
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        if (flags >= 0 && readlink(path, target, sizeof target - 1) > 0 &&
            strncmp(target, traits->path, strlen(traits->path)) == 0)
            assert_int_equal(flags & FD_CLOEXEC, FD_CLOEXEC);
    }
    kind->list_close(lister);
    kind->close(file);
    let_go(&object);
}

static const struct CMUnitTest tests[] = {
    TEST(test_read_and_write), TEST(test_wrong_offsets),
    TEST(test_append),         TEST(test_access_modes),
    TEST(test_open_truncates), TEST(test_one_content),
    TEST(test_allocate),       TEST(test_seek),
    TEST(test_backing),        TEST(test_descriptors_are_closed_on_exec),
};

const struct suite data_suite = {
    .name = "bytes", .tests = tests, .count = ARRAY_LENGTH(tests), .only_bytes = true};
