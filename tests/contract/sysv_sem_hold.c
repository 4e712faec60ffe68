/* SPDX-License-Identifier: MIT */
/* Units that are held: given back once, by close or by the kernel, and not after what natively ends SEM_UNDO. */
#include "sysv_sem_subject.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static int value(const struct ipcfs_created *object)
{
    return native_value(id_of(object), 0);
}

/* A file that holds a unit of semaphore 0. */
static struct ipcfs_file *held(const struct ipcfs_created *object)
{
    struct ipcfs_file *file = open_member(object, "hold", 0);
    int error = hold_once(file);
    if (error)
        fail_msg("hold: %s", strerror(-error));
    return file;
}

static void test_hold(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(2, 0600);
    native_put(id_of(&object), 0, 2);
    struct ipcfs_file *first = held(&object);
    struct ipcfs_file *second = held(&object);
    struct ipcfs_file *third = open_member(&object, "hold", 0);
    assert_int_equal(value(&object), 0);
    assert_int_equal(hold_once(third), -EAGAIN);
    assert_int_equal(hold_once(first), 0); /* it has one */
    assert_int_equal(value(&object), 0);
    kind->close(third); /* had none */
    assert_int_equal(value(&object), 0);
    kind->close(first);
    assert_int_equal(value(&object), 1);
    kind->close(second);
    assert_int_equal(value(&object), 2);
    assert_int_equal(native_value(id_of(&object), 1), 0);
    let_go(&object);
}

static void test_given_back_by_hand(void **state)
{
    (void)state;
    const struct ipcfs_lock unlock = {.whole = true, .range = {.l_type = F_UNLCK}};
    struct ipcfs_created object = new_set(1, 0600);
    struct ipcfs_wait wait = {0};
    native_put(id_of(&object), 0, 1);
    struct ipcfs_file *file = held(&object);
    for (int i = 0; i < 2; i++) { /* once, however often it is asked for */
        assert_int_equal(kind->try_lock(file, &unlock, &wait), 0);
        assert_int_equal(value(&object), 1);
    }
    assert_int_equal(hold_once(file), 0);
    assert_int_equal(value(&object), 0);
    kind->close(file);
    assert_int_equal(value(&object), 1);
    let_go(&object);
}

/* Nobody's right to the set keeps a unit from being given back, as natively at the end of a process. */
static void test_given_back_without_right(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(1, 0666);
    native_put(id_of(&object), 0, 1);
    assert_int_equal(seteuid(1234), 0);
    struct ipcfs_file *file = held(&object);
    assert_int_equal(seteuid(0), 0);
    native_set_change(id_of(&object), 0, 0, 0);
    kind->close(file);
    assert_int_equal(value(&object), 1);
    let_go(&object);
}

/* ---- the kernel gives back ---- */

/* A process that holds `count` units and does nothing more. */
static pid_t start_holder(const struct ipcfs_created *object, int count)
{
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (int i = 0; i < count; i++)
            (void)held(object);
        for (;;)
            (void)raise(SIGSTOP);
    }
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_true(WIFSTOPPED(status));
    return child;
}

static void kill_holder(pid_t child)
{
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void test_killed(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(1, 0600);
    native_put(id_of(&object), 0, 5);
    pid_t child = start_holder(&object, 3);
    assert_int_equal(value(&object), 2);
    kill_holder(child);
    assert_int_equal(value(&object), 5);
    let_go(&object);
}

/* A thread takes and ends, another gives back: nothing is given back in between, or twice. */
static void test_taken_by_another_thread(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(1, 0600);
    struct ipcfs_file *file = open_member(&object, "hold", 0);
    struct sem_waiter waiter;
    start_waiter(&waiter, file, WAITER_HOLDS);
    await_count(id_of(&object), 0, GETNCNT, 1);
    assert_int_equal(hold_once(file), -EBUSY); /* the other has not got it yet */
    native_op(id_of(&object), 0, 1);
    join_waiter(&waiter, 0);
    usleep(20000);
    assert_int_equal(value(&object), 0);
    kind->close(file);
    assert_int_equal(value(&object), 1);
    let_go(&object);
}

/* In a process that holds one, gives it back and ends: the kernel has nothing more to give. */
static int hold_and_end(void *data)
{
    const struct ipcfs_created *object = data;
    kind->close(held(object));
    return 0;
}

static void test_not_twice(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(1, 0666);
    native_put(id_of(&object), 0, 1);
    for (int i = 0; i < 3; i++)
        as_user(1234, 1234, hold_and_end, &object);
    assert_int_equal(value(&object), 1);
    let_go(&object);
}

/* ---- SETVAL and SETALL end it ---- */

static void set_natively(const struct ipcfs_created *object, int number)
{
    native_put(id_of(object), 0, number);
}

static void set_by_value(const struct ipcfs_created *object, int number)
{
    struct ipcfs_ref ref = key_ref(object, true);
    char line[16];
    (void)snprintf(line, sizeof line, "%d", number);
    assert_int_equal(write_line(member_file("value"), &ref, 0, line), 0);
}

static void set_by_values(const struct ipcfs_created *object, int number)
{
    struct ipcfs_ref ref = key_ref(object, true);
    char line[16];
    (void)snprintf(line, sizeof line, "%d 0", number);
    assert_int_equal(write_line(set_file("values"), &ref, 0, line), 0);
}

static void (*const setters[])(const struct ipcfs_created *object, int number) = {set_natively, set_by_value,
                                                                                  set_by_values};

static void test_set_while_held(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(setters); i++) {
        struct ipcfs_created object = new_set(2, 0600);
        native_put(id_of(&object), 0, 3);
        struct ipcfs_file *old = held(&object);
        struct ipcfs_file *older = held(&object);
        setters[i](&object, 1);
        struct ipcfs_file *young = held(&object);
        assert_int_equal(value(&object), 0);
        kind->close(old); /* has nothing any more, and does not give what the young one has */
        assert_int_equal(value(&object), 0);
        kind->close(young);
        assert_int_equal(value(&object), 1);
        kind->close(older);
        assert_int_equal(value(&object), 1);
        kind->close(held(&object)); /* goes on as if nothing had been */
        assert_int_equal(value(&object), 1);
        let_go(&object);
        remove_all_objects();
    }
}

/* As a native holder that is killed: nothing of his comes back. */
static void test_set_while_held_then_killed(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(2, 0600);
    native_put(id_of(&object), 0, 5);
    pid_t child = start_holder(&object, 3);
    set_by_value(&object, 10);
    kill_holder(child);
    assert_int_equal(value(&object), 10);
    let_go(&object);
}

/* Another semaphore's value is no matter. */
static void test_set_of_another_semaphore(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(2, 0600);
    native_put(id_of(&object), 0, 1);
    struct ipcfs_file *file = held(&object);
    native_put(id_of(&object), 1, 7);
    kind->close(file);
    assert_int_equal(value(&object), 1);
    let_go(&object);
}

/* ---- values of every height ---- */

static void test_heights(void **state)
{
    (void)state;
    static const int heights[] = {0, 1, 8191, 8192, 8193, 16383, 16384, 16385, 24575, 32765, 32766};
    struct ipcfs_created object = new_set(1, 0600);
    for (size_t i = 0; i < ARRAY_LENGTH(heights); i++) {
        native_put(id_of(&object), 0, heights[i] + 1);
        kind->close(held(&object));
        assert_int_equal(value(&object), heights[i] + 1);
        struct ipcfs_file *file = held(&object);
        native_put(id_of(&object), 0, heights[i]);
        kind->close(file); /* void */
        assert_int_equal(value(&object), heights[i]);
    }
    let_go(&object);
}

static int hold_at_the_highest_value(void *data)
{
    const struct ipcfs_created *object = data;
    struct ipcfs_file *file = held(object);
    native_op(id_of(object), 0, 1);
    kind->close(file);
    if (value(object) != 32767)
        return 1;
    file = held(object);
    native_op(id_of(object), 0, -10);
    kind->close(file);
    return value(object) != 32757;
}

/* There is no room for it: it is lost, as natively, and nor does the kernel give it at the end of the process. */
static void test_at_the_highest_value(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(1, 0600);
    native_put(id_of(&object), 0, 32767);
    as_user(0, 0, hold_at_the_highest_value, &object);
    assert_int_equal(value(&object), 32757);
    let_go(&object);
}

/* Many at once, whatever the order in which they end. */
static void test_many(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    static struct ipcfs_file *files[COUNT];
    struct ipcfs_created object = new_set(1, 0600);
    native_put(id_of(&object), 0, COUNT);
    for (int i = 0; i < COUNT; i++)
        files[i] = held(&object);
    assert_int_equal(value(&object), 0);
    for (int i = 0; i < COUNT; i++) {
        kind->close(files[i * 7919 % COUNT]);
        if (i % 1000 == 0)
            assert_int_equal(value(&object), i + 1);
    }
    assert_int_equal(value(&object), COUNT);
    let_go(&object);
}

/* So many that took one later, with SETVAL in between, are more than any adjustment can say. */
static void test_more_than_an_adjustment(void **state)
{
    (void)state;
    enum { COUNT = 85000, EACH_TIME = 30000 };
    static struct ipcfs_file *files[COUNT];
    struct ipcfs_created object = new_set(1, 0600);
    for (int i = 0; i < COUNT; i++) {
        if (i % EACH_TIME == 0)
            native_put(id_of(&object), 0, EACH_TIME);
        files[i] = held(&object);
    }
    const int left = value(&object);
    kind->close(files[0]);
    assert_int_equal(value(&object), left);
    for (int i = COUNT; i-- > 1;)
        kind->close(files[i]);
    assert_int_equal(value(&object), left + COUNT % EACH_TIME);
    let_go(&object);
}

/* kernel.sem may allow less in one semop than it takes to look. */
static void test_with_few_operations(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(1, 0600);
    native_put(id_of(&object), 0, 1);
    struct ipcfs_file *file = held(&object);
    set_kernel_sem("32000 1024000000 1 32000");
    kind->close(file);
    reset_kernel_sem();
    assert_int_equal(value(&object), 1);
    let_go(&object);
}

/* ---- sets that are gone ---- */

static void test_set_is_gone(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(1, 0600);
    native_put(id_of(&object), 0, 2);
    struct ipcfs_file *first = held(&object);
    struct ipcfs_file *second = held(&object);
    int id = id_of(&object);
    native_set_remove(id);
    kind->close(first);
    /* The same id, key and creator, so that nothing but the kernel's own adjustment tells it from the first. */
    (void)set_kernel("sem_next_id", id);
    assert_int_equal(native_set(0x2a, 1, 0600), id);
    native_put(id, 0, 4);
    struct ipcfs_file *own = held(&object);
    kind->close(second);
    assert_int_equal(value(&object), 3);
    kind->close(own);
    assert_int_equal(value(&object), 4);
    let_go(&object);
}

static const struct CMUnitTest tests[] = {
    TEST(test_hold),
    TEST(test_given_back_by_hand),
    TEST(test_given_back_without_right),
    TEST(test_killed),
    TEST(test_taken_by_another_thread),
    TEST(test_not_twice),
    TEST(test_set_while_held),
    TEST(test_set_while_held_then_killed),
    TEST(test_set_of_another_semaphore),
    TEST(test_heights),
    TEST(test_at_the_highest_value),
    TEST(test_many),
    TEST(test_more_than_an_adjustment),
    TEST(test_with_few_operations),
    TEST(test_set_is_gone),
};

const struct suite sysv_sem_hold_suite = {
    .name = "holding", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "sysv/sem"};
