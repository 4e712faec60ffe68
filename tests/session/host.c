/* SPDX-License-Identifier: MIT */
/* What the FUSE side tells those who look at all processes: whose its files are, who waits here, who has locks. */
#include "later.h"

#include "inspect_host.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct inspection_host host;

static void begin_host(void)
{
    later_reset();
    host = inspect_host(&wire.fs);
    wire.asker.pid = 4711;
}

/* ---- whose a file is ---- */

static bool node_of(const char *path, struct inspection_node *out)
{
    struct fuse_attr attr;
    assert_int_equal(do_getattr(walk(path), &attr), 0);
    return host.node(host.data, attr.ino, out);
}

static void make_queue(const char *name)
{
    struct fuse_entry_out entry;
    struct fuse_open_out open;
    uint64_t parent = walk("mq");
    assert_int_equal(do_create(parent, name, O_RDWR | O_EXCL, 0600, &entry, &open), 0);
    assert_int_equal(do_release(entry.nodeid, open.fh), 0);
}

static void test_node(void **state)
{
    (void)state;
    static const char *const none[] = {"",
                                       "shm",
                                       "ctl",
                                       "ctl/shm/a",
                                       "ctl/shm/a/state",
                                       "ctl/shm/a/native",
                                       "ctl/shm/a/holders",
                                       "ctl/mq/q/prio",
                                       "ctl/shm/list"};
    struct inspection_node node;
    struct stat native;
    begin_host();
    make_object("a");
    make_queue("q");
    assert_true(node_of("shm/a", &node) && !node.part && node.member == -1);
    assert_int_equal(stat("/dev/shm/a", &native), 0);
    assert_true(node.number == native.st_ino && strcmp(node.kind->kind, "shm") == 0);
    for (size_t i = 0; i < ARRAY_LENGTH(none); i++)
        if (node_of(none[i], &node))
            fail_msg("%s is of %s %lu", none[i], node.kind->kind, node.number);
    assert_true(node_of("mq/q", &node) && !node.part && strcmp(node.kind->kind, "mq") == 0);
    uint64_t number = node.number;
    assert_true(node_of("ctl/mq/q/lines", &node) && node.number == number);
    assert_string_equal(node.part, "lines");
    assert_true(node_of("ctl/mq/q/prio/7", &node) && node.number == number);
    assert_string_equal(node.part, "prio");
    assert_int_equal(do_unlink(walk("mq"), "q"), 0);
}

/* ---- who waits ---- */

enum { SEEN_MAX = 16 };
static struct {
    struct inspection_parked parked[SEEN_MAX];
    struct inspection_mount_lock locks[SEEN_MAX];
    size_t count;
} seen;

static int see_parked(void *context, const struct inspection_parked *parked)
{
    assert_ptr_equal(context, &seen);
    assert_true(seen.count < SEEN_MAX);
    seen.parked[seen.count++] = *parked;
    return 0;
}

static void look_at_parked(size_t count)
{
    seen.count = 0;
    assert_int_equal(host.each_parked(host.data, see_parked, &seen), 0);
    assert_int_equal(seen.count, count);
}

static int refuse(void *context, const struct inspection_parked *parked)
{
    (void)context;
    (void)parked;
    return -ENOSPC;
}

static void test_parked(void **state)
{
    (void)state;
    struct inspection_node queue;
    begin_host();
    make_queue("q");
    assert_true(node_of("mq/q", &queue));
    look_at_parked(0);
    struct open_file plain = must_open("mq/q", O_RDONLY);
    struct open_file lines = must_open("ctl/mq/q/lines", O_RDONLY);
    struct timespec before;
    (void)clock_gettime(CLOCK_REALTIME, &before);
    begin_read(&plain, O_RDONLY);
    uint64_t first = ask_later();
    wire.asker.pid = 4712;
    begin_read(&lines, O_RDONLY);
    uint64_t second = ask_later();
    await_parked(2);
    look_at_parked(2);
    for (size_t i = 0; i < 2; i++) {
        const struct inspection_parked *parked = &seen.parked[i];
        bool is_lines = parked->part != NULL;
        assert_int_equal(parked->tid, is_lines ? 4712 : 4711);
        assert_true(parked->kind == queue.kind && parked->number == queue.number && parked->member == -1);
        assert_string_equal(parked->call, "read");
        assert_false(parked->writes);
        assert_true(parked->since.tv_sec - before.tv_sec <= 1 && parked->since.tv_sec >= before.tv_sec);
        if (is_lines)
            assert_string_equal(parked->part, "lines");
    }
    assert_true(!seen.parked[0].part != !seen.parked[1].part);
    assert_int_equal(host.each_parked(host.data, refuse, NULL), -ENOSPC);
    interrupt(first);
    assert_int_equal(late_answer(first, NULL, 0), -EINTR);
    look_at_parked(1);
    interrupt(second);
    assert_int_equal(late_answer(second, NULL, 0), -EINTR);
    look_at_parked(0);
    must_close(&plain);
    must_close(&lines);
    assert_int_equal(do_unlink(walk("mq"), "q"), 0);
}

/* ---- who has locks ---- */

static int see_lock(void *context, const struct inspection_mount_lock *lock)
{
    assert_ptr_equal(context, &seen);
    assert_true(seen.count < SEEN_MAX);
    seen.locks[seen.count++] = *lock;
    return 0;
}

static void look_at_locks(size_t count)
{
    seen.count = 0;
    assert_int_equal(host.each_lock(host.data, see_lock, &seen), 0);
    assert_int_equal(seen.count, count);
}

static uint64_t lock_later(const struct open_file *file, uint32_t opcode, uint32_t type, uint32_t flags)
{
    const struct fuse_lk_in in = {.fh = file->handle,
                                  .owner = wire.asker.pid,
                                  .lk = {.end = INT64_MAX, .type = type, .pid = wire.asker.pid},
                                  .lk_flags = flags};
    begin(opcode, file->node);
    add(&in, sizeof in);
    return ask_later();
}

static void lock_now(const struct open_file *file, uint32_t type, uint32_t flags)
{
    assert_int_equal(late_answer(lock_later(file, FUSE_SETLK, type, flags), NULL, 0), 0);
}

static void test_locks(void **state)
{
    (void)state;
    static const uint32_t flags[] = {FUSE_LK_FLOCK, 0};
    static const char *const calls[] = {"flock", "lock"};
    begin_host();
    make_object("a");
    struct inspection_node node;
    assert_true(node_of("shm/a", &node));
    struct open_file file = must_open("shm/a", O_RDWR);
    struct open_file other = must_open("shm/a", O_RDWR);
    look_at_locks(0);
    for (size_t i = 0; i < ARRAY_LENGTH(flags); i++) {
        wire.asker.pid = 4711;
        lock_now(&file, F_WRLCK, flags[i]);
        look_at_locks(1);
        assert_true(seen.locks[0].holder == 4711 && seen.locks[0].kind == node.kind &&
                    seen.locks[0].number == node.number);
        wire.asker.pid = 4712;
        uint64_t waiting = lock_later(&other, FUSE_SETLKW, F_WRLCK, flags[i]);
        await_parked(1);
        look_at_parked(1);
        assert_string_equal(seen.parked[0].call, calls[i]);
        assert_true(seen.parked[0].tid == 4712 && seen.parked[0].writes && !seen.parked[0].part);
        wire.asker.pid = 4711;
        lock_now(&file, F_UNLCK, flags[i]);
        assert_int_equal(late_answer(waiting, NULL, 0), 0);
        look_at_locks(1);
        assert_int_equal(seen.locks[0].holder, 4712);
        wire.asker.pid = 4712;
        lock_now(&other, F_UNLCK, flags[i]);
        look_at_locks(0);
    }
    must_close(&file);
    must_close(&other);
}

static const struct CMUnitTest tests[] = {TEST(test_node), TEST(test_parked), TEST(test_locks)};

const struct suite host_suite = {"host", tests, ARRAY_LENGTH(tests)};
