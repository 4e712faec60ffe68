/* SPDX-License-Identifier: MIT */
/* Waiting for semaphores of a set: `wait`, `zero` and commands that wait, as native callers see it. */
#include "sysv_sem_subject.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { IN = POLLIN | POLLRDNORM };

/* ---- without waiting ---- */

static void test_wait(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(2, 0600);
    struct ipcfs_file *file = open_member(&object, "wait", 1);
    char text[32];
    assert_int_equal(read_once(file, text), -EAGAIN);
    native_op(id_of(&object), 1, 3);
    must_give(file, "2\n");
    must_give(file, "1\n");
    assert_int_equal(native_value(id_of(&object), 1), 1);
    must_give(file, "0\n");
    assert_int_equal(read_once(file, text), -EAGAIN);
    native_put(id_of(&object), 1, 32767);
    must_give(file, "32766\n");
    assert_int_equal(native_value(id_of(&object), 0), 0);
    kind->close(file);
    let_go(&object);
}

static void test_zero(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(2, 0600);
    struct ipcfs_file *file = open_member(&object, "zero", 1);
    char text[32];
    must_give(file, "0\n");
    native_op(id_of(&object), 1, 1);
    assert_int_equal(read_once(file, text), -EAGAIN);
    assert_int_equal(native_value(id_of(&object), 1), 1);
    native_op(id_of(&object), 1, -1);
    must_give(file, "0\n");
    kind->close(file);
    let_go(&object);
}

static void test_wrong_calls(void **state)
{
    (void)state;
    static const char *const names[] = {"wait", "zero", "hold"};
    struct ipcfs_created object = new_set(1, 0600);
    struct ipcfs_ref ref = key_ref(&object, true);
    struct ipcfs_wait wait = {0};
    char text[32];
    native_op(id_of(&object), 0, 1);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        struct ipcfs_file *file = open_member(&object, names[i], 0);
        assert_int_equal(write_once(file, "x", &wait), -EBADF);
        if (i < 2)
            assert_int_equal(kind->try_read(file, text, 1, 0, 0, &wait), -E2BIG);
        else
            assert_int_equal(kind->try_read(file, text, sizeof text, 0, 0, &wait), -EBADF);
        kind->close(file);
        assert_int_equal(member_file(names[i])->open(&ref, 0, O_WRONLY, &file), 0); /* root may */
        assert_int_equal(kind->try_read(file, text, sizeof text, 0, 0, &wait), -EBADF);
        kind->close(file);
    }
    struct ipcfs_file *file = must_prepare(&object, "0:+1");
    assert_int_equal(kind->try_read(file, text, sizeof text, 0, 0, &wait), -EBADF);
    kind->close(file);
    assert_int_equal(native_value(id_of(&object), 0), 1);
    let_go(&object);
}

static void test_gone(void **state)
{
    (void)state;
    static const char *const names[] = {"wait", "zero"};
    struct ipcfs_created object = new_set(1, 0600);
    struct ipcfs_file *files[] = {open_member(&object, "wait", 0), open_member(&object, "zero", 0)};
    struct ipcfs_file *hold = open_member(&object, "hold", 0);
    struct ipcfs_file *op = must_prepare(&object, "0:+1");
    native_set_remove(id_of(&object));
    for (int block = 0; block < 2; block++) {
        struct ipcfs_wait wait = {.block = block};
        const struct ipcfs_lock lock = {.whole = true, .range = {.l_type = F_WRLCK}};
        char text[32];
        for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
            assert_int_equal(kind->try_read(files[i], text, sizeof text, 0, 0, &wait), -EIDRM);
            assert_int_equal(kind->poll(files[i], &wait), IN | POLLERR | POLLHUP);
        }
        assert_int_equal(kind->try_lock(hold, &lock, &wait), -EIDRM);
        assert_int_equal(write_once(op, "0:+1", &wait), -EIDRM);
        assert_true(kind->poll(hold, &wait) & POLLHUP);
    }
    kind->close(files[0]);
    kind->close(files[1]);
    kind->close(hold);
    kind->close(op);
    let_go(&object);
}

/* ---- lanes ---- */

static uint64_t lane_of(const struct ipcfs_created *object, const char *name, int number)
{
    struct ipcfs_file *file = open_member(object, name, number);
    uint64_t lane = kind->lane(file, false);
    assert_int_equal(kind->lane(file, true), lane);
    kind->close(file);
    return lane;
}

static uint64_t lane_of_command(const struct ipcfs_created *object, const char *line)
{
    struct ipcfs_file *file = must_prepare(object, line);
    uint64_t lane = kind->lane(file, true);
    kind->close(file);
    return lane;
}

static void test_lanes(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(2, 0600);
    uint64_t lanes[] = {
        lane_of(&object, "wait", 0),          lane_of(&object, "zero", 0),
        lane_of(&object, "wait", 1),          lane_of(&object, "zero", 1),
        lane_of_command(&object, "0:-1"),     lane_of_command(&object, "0:-2"),
        lane_of_command(&object, "1:-1"),     lane_of_command(&object, "0:-1 1:-1"),
        lane_of_command(&object, "0:0"),      lane_of_command(&object, "1:-1 0:-1"),
        lane_of_command(&object, "0:-1 0:0"),
    };
    for (size_t i = 0; i < ARRAY_LENGTH(lanes); i++)
        for (size_t j = 0; j < i; j++)
            assert_true(lanes[i] != lanes[j]);
    assert_int_equal(lane_of(&object, "hold", 0), lanes[0]);
    assert_int_equal(lane_of(&object, "hold", 1), lanes[2]);
    assert_int_equal(lane_of_command(&object, " 00:-01\n"), lanes[4]);
    for (size_t i = 0; i < ARRAY_LENGTH(lanes); i++)
        assert_int_equal(lanes[i] >> 63, i >= 4);
    let_go(&object);
}

/* ---- poll ---- */

static int polled(struct ipcfs_file *file)
{
    struct ipcfs_wait wait = {0};
    int events = kind->poll(file, &wait);
    assert_int_equal(wait.source, IPCFS_WAIT_KEEPER);
    return events;
}

static void test_poll(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(2, 0600);
    struct ipcfs_file *wait = open_member(&object, "wait", 0);
    struct ipcfs_file *zero = open_member(&object, "zero", 0);
    for (int i = 0; i < 2; i++) {
        assert_true(polled(wait) == 0 && polled(zero) == IN);
        native_op(id_of(&object), 0, 2);
        assert_true(polled(wait) == IN && polled(zero) == 0);
        native_op(id_of(&object), 0, -2);
    }
    native_op(id_of(&object), 1, 1); /* another one's */
    assert_true(polled(wait) == 0 && polled(zero) == IN);
    assert_int_equal(native_set_state(id_of(&object)).sem_nsems, 2);
    kind->close(wait);
    kind->close(zero);
    let_go(&object);
}

/* ---- waiting ---- */

/* One who waits, and how a native user sees that. */
struct scene {
    struct ipcfs_created object;
    struct ipcfs_file *file;
    enum waiter_call call;
    int count; /* GETNCNT or GETZCNT of semaphore 0 */
    struct sem_waiter waiter;
};

enum scene_kind { SCENE_WAIT, SCENE_ZERO, SCENE_HOLD, SCENE_TAKE, SCENE_ZEROES, SCENES };

static void begin_scene(struct scene *scene, enum scene_kind which)
{
    static const char *const names[] = {"wait", "zero", "hold"};
    static const char *const lines[] = {"1:+1 0:-1", "1:+1 0:0"};
    bool zero = which == SCENE_ZERO || which == SCENE_ZEROES;
    *scene = (struct scene){.object = new_set(2, 0600), .count = zero ? GETZCNT : GETNCNT};
    if (zero)
        native_op(id_of(&scene->object), 0, 1);
    scene->file = which < SCENE_TAKE ? open_member(&scene->object, names[which], 0)
                                     : must_prepare(&scene->object, lines[which - SCENE_TAKE]);
    scene->call = which >= SCENE_TAKE ? WAITER_WRITES : which == SCENE_HOLD ? WAITER_HOLDS : WAITER_READS;
    start_waiter(&scene->waiter, scene->file, scene->call);
    await_count(id_of(&scene->object), 0, scene->count, 1);
}

static void end_scene(struct scene *scene)
{
    kind->close(scene->file);
    let_go(&scene->object);
    remove_all_objects();
}

/* What the waiter is served by: the value of semaphore 0 that it waits for. */
static void serve(const struct scene *scene)
{
    native_op(id_of(&scene->object), 0, scene->count == GETZCNT ? -1 : 1);
}

static void test_served(void **state)
{
    (void)state;
    static const ssize_t results[] = {2, 2, 0, 6, 6};
    for (enum scene_kind which = 0; which < SCENES; which++) {
        struct scene scene;
        begin_scene(&scene, which);
        serve(&scene);
        join_waiter(&scene.waiter, results[which]);
        if (results[which] == 2)
            assert_memory_equal(scene.waiter.text, "0\n", 2);
        assert_int_equal(native_value(id_of(&scene.object), 0), 0);
        assert_int_equal(native_value(id_of(&scene.object), 1), which >= SCENE_TAKE);
        assert_int_equal(native_get(id_of(&scene.object), 0, scene.count), 0);
        end_scene(&scene);
    }
}

static void test_removed_while_waiting(void **state)
{
    (void)state;
    for (enum scene_kind which = 0; which < SCENES; which++) {
        struct scene scene;
        begin_scene(&scene, which);
        assert_int_equal(kind->remove(BY_KEY, "0x2a"), 0);
        join_waiter(&scene.waiter, -EIDRM);
        end_scene(&scene);
    }
}

/* Nothing was taken, and nothing done of a vector. */
static void test_interrupted(void **state)
{
    (void)state;
    take_wake_signals();
    for (enum scene_kind which = 0; which < SCENES; which++) {
        struct scene scene;
        begin_scene(&scene, which);
        assert_int_equal(pthread_kill(scene.waiter.thread, SIGUSR1), 0);
        join_waiter(&scene.waiter, -EINTR);
        assert_int_equal(native_get(id_of(&scene.object), 0, scene.count), 0);
        if (scene.count == GETNCNT)
            native_op(id_of(&scene.object), 0, 1);
        assert_int_equal(native_value(id_of(&scene.object), 0), 1);
        assert_int_equal(native_value(id_of(&scene.object), 1), 0);
        end_scene(&scene);
    }
}

/* ---- rights that are gone, and ids that mean other sets ---- */

/* Removes the set of that id and has the kernel give the id to a new one of two semaphores. */
static void give_id_to_another(int id, key_t key, int mode)
{
    native_set_remove(id);
    (void)set_kernel("sem_next_id", id);
    assert_int_equal(native_set(key, 2, mode), id);
    native_put(id, 0, 5);
}

static void must_reach_nothing(struct ipcfs_file *const files[4], int error)
{
    for (int block = 0; block < 2; block++) {
        struct ipcfs_wait wait = {.block = block};
        const struct ipcfs_lock lock = {.whole = true, .range = {.l_type = F_WRLCK}};
        char text[32];
        assert_int_equal(kind->try_read(files[0], text, sizeof text, 0, 0, &wait), error);
        assert_int_equal(kind->try_read(files[1], text, sizeof text, 0, 0, &wait), error);
        assert_int_equal(kind->try_lock(files[2], &lock, &wait), error);
        assert_int_equal(write_once(files[3], "0:-1", &wait), error);
        assert_int_equal(kind->poll(files[0], &wait), IN | POLLERR | POLLHUP);
    }
}

static void open_four(const struct ipcfs_created *object, struct ipcfs_file *files[4])
{
    files[0] = open_member(object, "wait", 0);
    files[1] = open_member(object, "zero", 0);
    files[2] = open_member(object, "hold", 0);
    files[3] = must_prepare(object, "0:-1");
}

static void close_four(struct ipcfs_file *files[4])
{
    for (int i = 0; i < 4; i++)
        kind->close(files[i]);
}

/* Not even root's file, which the permissions would let in. */
static void test_set_of_another_key(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(2, 0600);
    struct ipcfs_file *files[4];
    open_four(&object, files);
    give_id_to_another(id_of(&object), IPC_PRIVATE, 0600);
    must_reach_nothing(files, -EIDRM);
    close_four(files);
    assert_int_equal(native_value(id_of(&object), 0), 5);
    let_go(&object);
}

static void test_set_of_another_creator(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(2, 0600);
    struct ipcfs_file *files[4];
    open_four(&object, files);
    int id = id_of(&object);
    native_set_remove(id);
    (void)set_kernel("sem_next_id", id);
    assert_int_equal(seteuid(1234), 0);
    int made = native_set(0x2a, 2, 0666);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(made, id);
    must_reach_nothing(files, -EIDRM);
    close_four(files);
    let_go(&object);
}

/* Same key and creator: only what its opener might open again. */
static void test_set_of_the_same_creator(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(2, 0666);
    struct ipcfs_file *files[4];
    struct ipcfs_file *own = open_member(&object, "wait", 0);
    assert_int_equal(seteuid(1234), 0);
    open_four(&object, files);
    assert_int_equal(seteuid(0), 0);
    give_id_to_another(id_of(&object), 0x2a, 0600);
    must_reach_nothing(files, -EACCES);
    assert_int_equal(native_value(id_of(&object), 0), 5);
    must_give(own, "4\n");
    close_four(files);
    kind->close(own);
    assert_int_equal(native_value(id_of(&object), 0), 4);
    let_go(&object);
}

static const struct CMUnitTest tests[] = {
    TEST(test_wait),
    TEST(test_zero),
    TEST(test_wrong_calls),
    TEST(test_gone),
    TEST(test_lanes),
    TEST(test_poll),
    TEST(test_served),
    TEST(test_removed_while_waiting),
    TEST(test_interrupted),
    TEST(test_set_of_another_key),
    TEST(test_set_of_another_creator),
    TEST(test_set_of_the_same_creator),
};

const struct suite sysv_sem_wait_suite = {
    .name = "waiting", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "sysv/sem"};
