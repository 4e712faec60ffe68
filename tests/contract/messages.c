/* SPDX-License-Identifier: MIT */
/* Kinds whose objects are queues of messages: one try_write sends one, one try_read takes one whole. */
#include "subject.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

static ssize_t send_to(struct ipcfs_file *file, const char *message, struct ipcfs_wait *wait)
{
    *wait = (struct ipcfs_wait){.source = IPCFS_WAIT_KEEPER, .fd = -1};
    return kind->try_write(file, message, strlen(message), 0, 0, wait);
}

static void must_send(struct ipcfs_file *file, const char *message)
{
    struct ipcfs_wait wait = {0};
    assert_int_equal(send_to(file, message, &wait), strlen(message));
    assert_int_equal(wait.source, IPCFS_WAIT_NONE);
}

static ssize_t receive_from(struct ipcfs_file *file, char *buffer, size_t size, struct ipcfs_wait *wait)
{
    *wait = (struct ipcfs_wait){.source = IPCFS_WAIT_KEEPER, .fd = -1};
    return kind->try_read(file, buffer, size, 0, 0, wait);
}

static void must_receive(struct ipcfs_file *file, const char *expected)
{
    char buffer[65536] = {0};
    struct ipcfs_wait wait = {0};
    assert_in_range(kind->message_room(file), 1, sizeof buffer);
    assert_int_equal(receive_from(file, buffer, kind->message_room(file), &wait), strlen(expected));
    assert_int_equal(wait.source, IPCFS_WAIT_NONE);
    assert_string_equal(buffer, expected);
}

/* −EAGAIN that says how to wait for more. */
static void must_wait(ssize_t result, const struct ipcfs_wait *wait, short event)
{
    assert_int_equal(result, -EAGAIN);
    if (wait->source == IPCFS_WAIT_KEEPER)
        return;
    assert_int_equal(wait->source, IPCFS_WAIT_POLL);
    assert_true(wait->events & event);
    struct pollfd state = {.fd = wait->fd, .events = event};
    assert_int_equal(poll(&state, 1, 0), 0);
}

static void must_be_empty(struct ipcfs_file *file)
{
    char buffer[65536];
    struct ipcfs_wait wait = {0};
    ssize_t result = receive_from(file, buffer, sizeof buffer, &wait);
    must_wait(result, &wait, POLLIN);
}

/* Sends until there is no more room; how many it took. */
static unsigned fill(struct ipcfs_file *file)
{
    struct ipcfs_wait wait = {0};
    unsigned count = 0;
    ssize_t result = 0;
    while ((result = send_to(file, "filling", &wait)) == (ssize_t)strlen("filling"))
        count++;
    must_wait(result, &wait, POLLOUT);
    return count;
}

static void test_one_write_one_message(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    must_be_empty(object.file);
    must_send(object.file, "one");
    must_send(object.file, "");
    must_send(object.file, "three\n\n");
    must_receive(object.file, "one");
    must_receive(object.file, "");
    must_receive(object.file, "three\n\n");
    must_be_empty(object.file);
    let_go(&object);
}

static void test_full(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    unsigned count = fill(object.file);
    assert_true(count > 0);
    must_receive(object.file, "filling");
    must_send(object.file, "last");
    for (unsigned i = 1; i < count; i++)
        must_receive(object.file, "filling");
    must_receive(object.file, "last");
    must_be_empty(object.file);
    let_go(&object);
}

/* A message that does not fit is not taken. */
static void test_too_little_room(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    char buffer[65536];
    struct ipcfs_wait wait = {0};
    must_send(object.file, "much too long");
    assert_int_equal(receive_from(object.file, buffer, 3, &wait), -E2BIG);
    assert_int_equal(wait.source, IPCFS_WAIT_NONE);
    must_receive(object.file, "much too long");
    let_go(&object);
}

static void test_access_modes(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    struct ipcfs_file *reader = open_object(&ref, O_RDONLY);
    struct ipcfs_file *writer = open_object(&ref, O_WRONLY);
    struct ipcfs_wait wait = {0};
    char buffer[8];
    must_send(writer, "seen");
    assert_int_equal(send_to(reader, "x", &wait), -EBADF);
    assert_int_equal(wait.source, IPCFS_WAIT_NONE);
    assert_int_equal(receive_from(writer, buffer, sizeof buffer, &wait), -EBADF);
    assert_int_equal(wait.source, IPCFS_WAIT_NONE);
    must_receive(reader, "seen");
    must_be_empty(object.file);
    kind->close(reader);
    kind->close(writer);
    let_go(&object);
}

/* What it was created with counts, though its maker may do everything to a new queue. */
static void test_access_mode_of_creation(void **state)
{
    (void)state;
    struct ipcfs_wait wait = {0};
    char buffer[8];
    for (int there = 0; there < 2; there++) {
        struct ipcfs_created writer = create_object("a", O_WRONLY, 0600);
        struct ipcfs_created reader = create_object("a", O_RDONLY, 0600);
        assert_int_equal(writer.made, !there);
        must_send(writer.file, "x");
        assert_int_equal(receive_from(writer.file, buffer, sizeof buffer, &wait), -EBADF);
        assert_int_equal(send_to(reader.file, "x", &wait), -EBADF);
        must_receive(reader.file, "x");
        let_go(&writer);
        let_go(&reader);
    }
}

static void test_removed(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    must_send(object.file, "before");
    remove_object("a");
    struct ipcfs_created other = create_object("a", O_RDWR, 0600);
    must_be_empty(other.file);
    must_send(object.file, "after");
    must_receive(object.file, "before");
    must_receive(object.file, "after");
    let_go(&object);
    let_go(&other);
}

static void test_size_is_bytes_queued(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    struct ipcfs_ref by_hold = ref_by_hold(&object, "a");
    struct ipcfs_ref by_name = ref_by_name(&object.found, "a");
    must_send(object.file, "12345");
    must_send(object.file, "678");
    assert_int_equal(stat_object(&by_hold).stx_size, 8);
    assert_int_equal(stat_object(&by_name).stx_size, 8);
    assert_int_equal(find_object("a").stat.stx_size, 0); /* it does not tell */
    struct ipcfs_created again = create_object("a", O_WRONLY, 0600);
    assert_int_equal(again.found.stat.stx_size, 8);
    must_receive(object.file, "12345");
    assert_int_equal(stat_object(&by_hold).stx_size, 3);
    let_go(&again);
    let_go(&object);
}

/* A shell's ">" must not purge. */
static void test_truncating_open_is_harmless(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    must_send(object.file, "still there");
    kind->close(open_object(&ref, O_WRONLY | O_TRUNC));
    struct ipcfs_created again = create_object("a", O_WRONLY | O_TRUNC, 0600);
    let_go(&again);
    must_receive(object.file, "still there");
    let_go(&object);
}

static void test_purge(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    struct ipcfs_ref by_hold = ref_by_hold(&object, "a");
    struct ipcfs_ref by_name = ref_by_name(&object.found, "a");
    struct ipcfs_file *writer = open_object(&by_hold, O_WRONLY);
    struct ipcfs_file *reader = open_object(&by_hold, O_RDONLY);
    const struct ipcfs_change purge = {.mask = IPCFS_CHANGE_SIZE, .size = 0};
    const struct {
        const struct ipcfs_ref *ref;
        struct ipcfs_file *file;
    } ways[] = {{&by_name, NULL}, {&by_hold, NULL}, {&by_hold, object.file}, {&by_hold, writer}};
    for (size_t i = 0; i < ARRAY_LENGTH(ways); i++) {
        (void)fill(object.file);
        assert_int_equal(kind->change(&by_hold, reader, &purge), -EINVAL); /* as ftruncate(2) */
        assert_int_equal(kind->change(ways[i].ref, ways[i].file, &purge), 0);
        must_be_empty(object.file);
        assert_int_equal(kind->change(ways[i].ref, ways[i].file, &purge), 0);
    }
    kind->close(writer);
    kind->close(reader);
    let_go(&object);
}

static void test_no_other_size(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    static const off_t sizes[] = {1, 4, 8192, -1, INT64_MAX, INT64_MIN};
    must_send(object.file, "kept");
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        const struct ipcfs_change change = {.mask = IPCFS_CHANGE_SIZE, .size = sizes[i]};
        assert_int_equal(kind->change(&ref, object.file, &change), -EINVAL);
        assert_int_equal(kind->change(&ref, NULL, &change), -EINVAL);
    }
    must_receive(object.file, "kept");
    let_go(&object);
}

static int polled(struct ipcfs_file *file)
{
    struct ipcfs_wait wait = {.source = IPCFS_WAIT_NONE, .fd = -1};
    int events = kind->poll(file, &wait);
    assert_int_not_equal(wait.source, IPCFS_WAIT_NONE);
    return events;
}

static void test_poll(void **state)
{
    (void)state;
    enum { IN = POLLIN | POLLRDNORM, OUT = POLLOUT | POLLWRNORM };
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    struct ipcfs_file *reader = open_object(&ref, O_RDONLY);
    struct ipcfs_file *writer = open_object(&ref, O_WRONLY);
    assert_int_equal(polled(object.file), OUT);
    assert_int_equal(polled(reader), 0);
    assert_int_equal(polled(writer), OUT);
    must_send(object.file, "x");
    assert_int_equal(polled(object.file), IN | OUT);
    assert_int_equal(polled(reader), IN);
    assert_int_equal(polled(writer), OUT);
    (void)fill(object.file);
    assert_int_equal(polled(object.file), IN);
    assert_int_equal(polled(reader), IN);
    assert_int_equal(polled(writer), 0);
    kind->close(reader);
    kind->close(writer);
    let_go(&object);
}

static void test_lanes(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    struct ipcfs_file *other = open_object(&ref, O_RDWR);
    assert_true(kind->lane(object.file, true) != kind->lane(object.file, false));
    assert_true(kind->lane(object.file, false) == kind->lane(other, false));
    assert_true(kind->lane(object.file, true) == kind->lane(other, true));
    kind->close(other);
    let_go(&object);
}

/* What a regular file can do and a queue can not. */
static void test_refused(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR, 0777);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    must_send(object.file, "kept");
    assert_int_equal(kind->allocate(object.file, 0, 0, 10), -EOPNOTSUPP);
    assert_int_equal(kind->seek(object.file, 0, SEEK_DATA), -ESPIPE);
    assert_int_equal(kind->seek(object.file, 0, SEEK_HOLE), -ESPIPE);
    assert_int_equal(kind->backing(&ref), -EOPNOTSUPP);
    assert_int_equal(kind->may_execute(&ref), -EACCES);
    struct ipcfs_file *owner = NULL;
    struct ipcfs_wait wait = {0};
    struct ipcfs_lock lock = {.whole = true, .range = {.l_type = F_WRLCK}};
    assert_int_equal(kind->lock_owner(&ref, &owner), -EOPNOTSUPP);
    assert_int_equal(kind->try_lock(object.file, &lock, &wait), -EOPNOTSUPP);
    assert_int_equal(kind->get_lock(object.file, &lock.range), -EOPNOTSUPP);
    must_receive(object.file, "kept");
    let_go(&object);
}

static const struct CMUnitTest tests[] = {
    TEST(test_one_write_one_message),
    TEST(test_full),
    TEST(test_too_little_room),
    TEST(test_access_modes),
    TEST(test_access_mode_of_creation),
    TEST(test_removed),
    TEST(test_size_is_bytes_queued),
    TEST(test_truncating_open_is_harmless),
    TEST(test_purge),
    TEST(test_no_other_size),
    TEST(test_poll),
    TEST(test_lanes),
    TEST(test_refused),
};

const struct suite messages_suite = {
    .name = "messages", .tests = tests, .count = ARRAY_LENGTH(tests), .only_messages = true};
