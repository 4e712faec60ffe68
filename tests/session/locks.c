/* SPDX-License-Identifier: MIT */
/* Locks as the kernel asks for them: owners, waiting, interrupts, FLUSH and RELEASE; beside native lockers. */
#include "wire.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { FOREVER_MS = 20000, A_WHILE_MS = 50 };

static uint64_t node;

/* Opens shm/a, made where there is none. */
static uint64_t open_a(int flags)
{
    struct fuse_open_out open;
    if (access("/dev/shm/a", F_OK) < 0)
        make_object("a");
    node = walk("shm/a");
    assert_int_equal(do_open(node, flags, &open), 0);
    return open.fh;
}

/* F_SETLK or F_GETLK by an owner, whose process has the same number. `last` −1: up to the end. */
static void begin_lock(uint32_t opcode, uint64_t handle, uint64_t owner, uint32_t type, uint64_t start,
                       uint64_t last)
{
    const struct fuse_lk_in in = {
        .fh = handle,
        .owner = owner,
        .lk = {.start = start,
               .end = last > INT64_MAX ? INT64_MAX : last,
               .type = type,
               .pid = (uint32_t)owner},
    };
    begin(opcode, node);
    add(&in, sizeof in);
}

static int lock_part(uint64_t handle, uint64_t owner, uint32_t type, uint64_t start, uint64_t last)
{
    begin_lock(FUSE_SETLK, handle, owner, type, start, last);
    return ask().error;
}

static void begin_flock(uint32_t opcode, uint64_t handle, uint32_t type)
{
    const struct fuse_lk_in in = {.fh = handle, .lk = {.type = type}, .lk_flags = FUSE_LK_FLOCK};
    begin(opcode, node);
    add(&in, sizeof in);
}

static int lock_whole(uint64_t handle, uint32_t type)
{
    begin_flock(FUSE_SETLK, handle, type);
    return ask().error;
}

static int flush(uint64_t handle, uint64_t owner)
{
    const struct fuse_flush_in in = {.fh = handle, .lock_owner = owner};
    begin(FUSE_FLUSH, node);
    add(&in, sizeof in);
    return ask().error;
}

static struct fuse_file_lock query(uint64_t handle, uint64_t owner)
{
    struct fuse_lk_out out = {0};
    begin_lock(FUSE_GETLK, handle, owner, F_WRLCK, 0, UINT64_MAX);
    struct answer answer = ask();
    assert_int_equal(answer.error, 0);
    assert_int_equal(answer.size, sizeof out);
    memcpy(&out, answer.data, sizeof out);
    return out.lk;
}

/* Has the request handled, whatever replies come meanwhile; gives its number. */
static uint64_t begin_to_handle(void)
{
    struct fuse_buf buffer = {0};
    (void)send_request();
    assert_true(fuse_session_receive_buf(wire.session, &buffer) > 0);
    fuse_session_process_buf(wire.session, &buffer);
    free(buffer.mem);
    return wire.unique;
}

/* A request that has to wait; gives its number. */
static uint64_t must_wait(void)
{
    tell();
    return wire.unique;
}

/* The error of the late reply to that request. */
static int late_answer(uint64_t unique)
{
    struct pollfd ready = {.fd = wire.peer, .events = POLLIN};
    struct fuse_out_header header;
    struct answer answer;
    assert_int_equal(poll(&ready, 1, FOREVER_MS), 1);
    assert_true(receive_reply(&header, &answer));
    assert_int_equal(header.unique, unique);
    return answer.error;
}

static void must_still_wait(void)
{
    struct pollfd ready = {.fd = wire.peer, .events = POLLIN};
    assert_int_equal(poll(&ready, 1, A_WHILE_MS), 0);
}

static void interrupt(uint64_t unique)
{
    const struct fuse_interrupt_in in = {.unique = unique};
    begin(FUSE_INTERRUPT, 0);
    add(&in, sizeof in);
    (void)begin_to_handle();
}

static void test_negotiated(void **state)
{
    (void)state;
    assert_int_equal(wire.init.flags & FUSE_POSIX_LOCKS, FUSE_POSIX_LOCKS);
    assert_int_equal(wire.init.flags & FUSE_FLOCK_LOCKS, FUSE_FLOCK_LOCKS);
    struct fuse_open_out open;
    make_object("a");
    assert_int_equal(do_open(walk("shm/a"), O_RDWR, &open), 0);
    assert_int_equal(open.open_flags & FOPEN_NOFLUSH, 0);
    assert_int_equal(do_open(walk("ctl/version"), O_RDONLY, &open), 0);
    assert_int_equal(open.open_flags & FOPEN_NOFLUSH, FOPEN_NOFLUSH);
}

static void test_owners(void **state)
{
    (void)state;
    uint64_t one = open_a(O_RDWR);
    uint64_t two = open_a(O_RDWR);
    assert_int_equal(lock_part(one, 7, F_WRLCK, 10, 19), 0);
    assert_int_equal(lock_part(two, 7, F_WRLCK, 15, 25), 0); /* the same owner, by another handle */
    assert_int_equal(lock_part(one, 8, F_RDLCK, 25, 25), -EAGAIN);
    assert_int_equal(lock_part(one, 8, F_RDLCK, 26, UINT64_MAX), 0);
    struct fuse_file_lock found = query(one, 8);
    assert_int_equal(found.type, F_WRLCK);
    assert_int_equal(found.pid, 7);
    assert_int_equal(found.start, 10);
    assert_int_equal(found.end, 25);
    assert_int_equal(query(one, 7).pid, 8);
    assert_int_equal(lock_part(two, 9, F_UNLCK, 0, UINT64_MAX), 0); /* has nothing */
    assert_int_equal(lock_part(one, 7, F_UNLCK, 0, 24), 0);
    assert_int_equal(query(two, 8).start, 25);
    assert_int_equal(flush(two, 9), 0);
    assert_int_equal(query(two, 8).type, F_WRLCK);
    assert_int_equal(flush(two, 7), 0);
    assert_int_equal(query(two, 8).type, F_UNLCK);
    assert_int_equal(lock_owner_count(&wire.fs.locks), 1);
    assert_int_equal(do_release(node, one), 0); /* the last handle that 8 came by */
    assert_int_equal(lock_owner_count(&wire.fs.locks), 0);
}

static void test_native_lockers(void **state)
{
    (void)state;
    uint64_t handle = open_a(O_RDWR);
    int fd = open("/dev/shm/a", O_RDWR | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(lock_whole(handle, F_RDLCK), -EAGAIN);
    assert_int_equal(flock(fd, LOCK_UN), 0);
    assert_int_equal(lock_whole(handle, F_RDLCK), 0);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
    assert_int_equal(lock_whole(handle, F_UNLCK), 0);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    close(fd);
    assert_int_equal(lock_whole(handle, F_WRLCK), 0); /* RELEASE gives it back, with the descriptor */
}

/* Waits, is served when the holder lets go, and then is who holds it. */
static void test_waiting(void **state)
{
    (void)state;
    uint64_t one = open_a(O_RDWR);
    uint64_t two = open_a(O_RDWR);
    assert_int_equal(lock_whole(one, F_WRLCK), 0);
    begin_flock(FUSE_SETLKW, two, F_RDLCK);
    uint64_t waiting = must_wait();
    must_still_wait();
    begin_flock(FUSE_SETLK, one, F_UNLCK);
    (void)begin_to_handle();
    /* Two replies, in whatever order. */
    struct pollfd ready = {.fd = wire.peer, .events = POLLIN};
    for (int i = 0; i < 2; i++) {
        struct fuse_out_header header;
        struct answer answer;
        assert_int_equal(poll(&ready, 1, FOREVER_MS), 1);
        assert_true(receive_reply(&header, &answer));
        assert_true(header.unique == waiting || header.unique == wire.unique);
        assert_int_equal(answer.error, 0);
    }
    assert_int_equal(lock_whole(one, F_WRLCK), -EAGAIN);
}

/* An interrupt ends the wait of its request, and of no other; what was waited for is not locked. */
static void test_interrupt(void **state)
{
    (void)state;
    uint64_t one = open_a(O_RDWR);
    uint64_t two = open_a(O_RDWR);
    int fd = open("/dev/shm/a", O_RDWR | O_CLOEXEC);
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &range), 0);
    begin_lock(FUSE_SETLKW, one, 7, F_WRLCK, 0, UINT64_MAX);
    uint64_t first = must_wait();
    begin_lock(FUSE_SETLKW, two, 8, F_WRLCK, 0, UINT64_MAX);
    uint64_t second = must_wait();
    must_still_wait();
    interrupt(second); /* stands in the line */
    assert_int_equal(late_answer(second), -EINTR);
    interrupt(first); /* the keeper waits for it natively */
    assert_int_equal(late_answer(first), -EINTR);
    assert_int_equal(lock_owner_count(&wire.fs.locks), 0);
    close(fd);
    assert_int_equal(lock_part(two, 9, F_WRLCK, 0, UINT64_MAX), 0);
}

/* A process closes a descriptor while another of its threads waits: the lock comes later, and goes with the handle. */
static void test_flush_while_waiting(void **state)
{
    (void)state;
    uint64_t handle = open_a(O_RDWR);
    int fd = open("/dev/shm/a", O_RDWR | O_CLOEXEC);
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 50};
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &range), 0);
    assert_int_equal(lock_part(handle, 7, F_WRLCK, 0, 9), 0);
    begin_lock(FUSE_SETLKW, handle, 7, F_WRLCK, 50, 59);
    uint64_t waiting = must_wait();
    assert_int_equal(flush(handle, 7), 0);
    assert_int_equal(lock_part(handle, 8, F_WRLCK, 0, 9), 0); /* what it had is free */
    close(fd);
    assert_int_equal(late_answer(waiting), 0);
    assert_int_equal(lock_part(handle, 8, F_WRLCK, 50, 59), -EAGAIN);
    assert_int_equal(do_release(node, handle), 0);
    assert_int_equal(lock_owner_count(&wire.fs.locks), 0);
}

/* The end of the mount answers who waits, and gives back what is held. */
static void test_end_while_locked(void **state)
{
    (void)state;
    uint64_t one = open_a(O_RDWR);
    uint64_t two = open_a(O_RDWR);
    assert_int_equal(lock_whole(one, F_WRLCK), 0);
    assert_int_equal(lock_part(one, 7, F_WRLCK, 0, 9), 0);
    assert_int_equal(lock_part(two, 8, F_RDLCK, 20, 29), 0);
}

static void test_what_can_not_be_locked(void **state)
{
    (void)state;
    struct fuse_open_out open;
    node = walk("ctl/version");
    assert_int_equal(do_open(node, O_RDONLY, &open), 0);
    assert_int_equal(lock_whole(open.fh, F_RDLCK), -EOPNOTSUPP);
    assert_int_equal(lock_part(open.fh, 7, F_RDLCK, 0, 9), -EOPNOTSUPP);
    assert_int_equal(flush(open.fh, 7), 0);
    assert_int_equal(lock_whole(12345, F_RDLCK), -EBADF);
    assert_int_equal(lock_part(12345, 7, F_RDLCK, 0, 9), -EBADF);
    assert_int_equal(flush(12345, 7), -EBADF);
    uint64_t handle = open_a(O_RDONLY);
    begin_lock(FUSE_SETLK, handle, 7, F_RDLCK, INT64_MAX, 5); /* nonsense that no kernel sends */
    assert_int_equal(ask().error, -EINVAL);
    begin_lock(FUSE_SETLK, handle, 7, F_RDLCK, UINT64_MAX - 5, 5);
    assert_int_equal(ask().error, -EINVAL);
    assert_int_equal(lock_part(handle, 7, 99, 0, 9), -EINVAL);
}

static const struct CMUnitTest tests[] = {
    TEST(test_negotiated),       TEST(test_owners),
    TEST(test_native_lockers),   TEST(test_waiting),
    TEST(test_interrupt),        TEST(test_flush_while_waiting),
    TEST(test_end_while_locked), TEST(test_what_can_not_be_locked),
};

const struct suite locks_suite = {.name = "locks", .tests = tests, .count = ARRAY_LENGTH(tests)};
