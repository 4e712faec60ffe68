/* SPDX-License-Identifier: MIT */
/* The table of lock owners, over an object that lets nobody down: who has a file, and how long. */
#include "cmocka_api.h"
#include "failing.h"
#include "fake.h"

#include "locks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { SHARE = 3, USER = 1000 };

static struct {
    struct handle_table handles;
    struct node_table nodes;
    struct lock_table locks;
    long live;
} test;

/* ---- the object ---- */

static int native_error;         /* what try_lock() answers */
static unsigned unlocks;         /* of everything */
static pid_t native_holder;      /* get_lock() tells; 0: nobody */
static struct ipcfs_file *spare; /* the next open_owner() gives this: its memory comes from elsewhere */

static int open_owner(const struct ipcfs_ref *ref, struct ipcfs_file **out)
{
    (void)ref;
    if (failing_shall_fail())
        return -EMFILE;
    *out = spare ? spare : fake_file();
    spare = NULL;
    return 0;
}

static int try_lock(struct ipcfs_file *file, const struct ipcfs_lock *lock, struct ipcfs_wait *wait)
{
    (void)file;
    wait->source = IPCFS_WAIT_KEEPER;
    unlocks += lock->range.l_type == F_UNLCK && lock->range.l_start == 0 && lock->range.l_len == 0;
    return native_error;
}

static int get_lock(struct ipcfs_file *file, struct flock *range)
{
    (void)file;
    range->l_type = native_holder ? F_WRLCK : F_UNLCK;
    range->l_pid = native_holder;
    return 0;
}

static struct ipcfs_backend backend;

/* ---- a test ---- */

static int set_up(void **state)
{
    (void)state;
    backend = fake_backend;
    backend.lock_owner = open_owner;
    backend.try_lock = try_lock;
    backend.get_lock = get_lock;
    native_error = 0;
    native_holder = 0;
    unlocks = 0;
    test.live = failing_live();
    int error = node_table_init(&test.nodes, 1);
    if (!error)
        error = handle_table_init(&test.handles, 100);
    return error ? error : lock_table_init(&test.locks, SHARE);
}

static int tear_down(void **state)
{
    (void)state;
    lock_table_destroy(&test.locks);
    handle_table_destroy(&test.handles);
    node_table_destroy(&test.nodes);
    if (failing_live() == test.live && fake_files() == 0 && fake_holds() == 0)
        return 0;
    (void)fprintf(stderr, "left: %ld allocations, %ld files, %ld holds\n", failing_live() - test.live,
                  fake_files(), fake_holds());
    return -1;
}

static struct handle *open_object(uint64_t number)
{
    struct node_kin kin = {.type = NODE_OBJECT, .backend = &backend, .object = {.number = number}};
    struct handle *handle = handle_new(HANDLE_FILE, 0);
    uint64_t node = 0;
    if (!handle || node_lookup(&test.nodes, &kin, "name", &node) ||
        node_use(&test.nodes, node, &handle->node) || handle_add(&test.handles, handle))
        abort();
    node_forget(&test.nodes, node, 1);
    handle->file = fake_file();
    return handle;
}

/* What RELEASE does. */
static void release(struct handle *handle)
{
    lock_table_release(&test.locks, handle);
    assert_ptr_equal(handle_remove(&test.handles, handle->id), handle);
    handle_put(&test.handles, handle);
}

/* SETLK by an owner, who is his own process; 0 or −errno. */
static int set(struct handle *handle, uint64_t number, short type, off_t start, off_t length)
{
    struct lock_owner *owner = NULL;
    int error = lock_owner_get(&test.locks, handle, number, USER, &owner);
    if (error)
        return error;
    struct ipcfs_wait wait = {0};
    struct ipcfs_lock lock = {
        .range = {.l_type = type, .l_start = start, .l_len = length, .l_pid = (pid_t)number}};
    error = lock_owner_set(&test.locks, owner, handle, &lock, &wait);
    lock_owner_put(&test.locks, owner);
    return error;
}

static size_t owners(void)
{
    return lock_owner_count(&test.locks);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

/* ---- tests ---- */

static void test_who_holds_nothing_has_no_file(void **state)
{
    (void)state;
    struct handle *handle = open_object(1);
    native_error = -EAGAIN;
    assert_int_equal(set(handle, 7, F_WRLCK, 0, 0), -EAGAIN);
    assert_int_equal(owners(), 0);
    native_error = 0;
    assert_int_equal(set(handle, 7, F_WRLCK, 0, 10), 0);
    assert_int_equal(set(handle, 7, F_RDLCK, 20, 10), 0);
    assert_int_equal(owners(), 1);
    assert_int_equal(fake_files(), 2);
    assert_int_equal(set(handle, 7, F_UNLCK, 0, 10), 0);
    assert_int_equal(owners(), 1);
    assert_int_equal(set(handle, 7, F_UNLCK, 5, 100), 0);
    assert_int_equal(owners(), 0);
    assert_int_equal(fake_files(), 1);
}

/* close(2) of any descriptor of the object takes that process's locks, and nobody else's. */
static void test_flush(void **state)
{
    (void)state;
    struct handle *first = open_object(1);
    struct handle *second = open_object(1);
    struct handle *elsewhere = open_object(2);
    assert_int_equal(set(first, 7, F_WRLCK, 0, 10), 0);
    assert_int_equal(set(first, 8, F_WRLCK, 20, 10), 0);
    assert_int_equal(set(elsewhere, 7, F_WRLCK, 0, 10), 0);
    assert_int_equal(owners(), 3);
    assert_true(lock_table_flush(&test.locks, first, 99)); /* a child's */
    assert_int_equal(owners(), 3);
    assert_int_equal(unlocks, 0);
    assert_false(lock_table_flush(&test.locks, second, 7));
    assert_int_equal(owners(), 2);
    assert_int_equal(unlocks, 1); /* the lock goes before the table forgets him */
    assert_false(lock_table_flush(&test.locks, first, 8));
    assert_int_equal(owners(), 1);
}

/* The last close of a file takes the locks that came by it. */
static void test_release(void **state)
{
    (void)state;
    struct handle *first = open_object(1);
    struct handle *second = open_object(1);
    assert_int_equal(set(first, 7, F_RDLCK, 0, 10), 0);
    assert_int_equal(set(first, 8, F_RDLCK, 0, 10), 0);
    assert_int_equal(set(second, 9, F_RDLCK, 0, 10), 0);
    assert_int_equal(set(second, 7, F_RDLCK, 10, 10), 0); /* he came by the second last */
    release(first);
    assert_int_equal(owners(), 2);
    release(second);
    assert_int_equal(owners(), 0);
}

/* An owner who is in use when his locks go stays until then, without them. */
static void test_flush_in_use(void **state)
{
    (void)state;
    struct handle *handle = open_object(1);
    struct lock_owner *owner = NULL;
    assert_int_equal(set(handle, 7, F_WRLCK, 0, 10), 0);
    assert_int_equal(lock_owner_get(&test.locks, handle, 7, USER, &owner), 0);
    struct flock range = {.l_type = F_WRLCK, .l_start = 9, .l_len = 1};
    assert_true(lock_owner_holds(&test.locks, owner, &range));
    lock_table_flush(&test.locks, handle, 7);
    assert_int_equal(owners(), 1);
    assert_false(lock_owner_holds(&test.locks, owner, &range));
    assert_int_equal(unlocks, 1);
    /* What it gets after that goes with the handle. */
    struct ipcfs_wait wait = {.block = true};
    struct ipcfs_lock lock = {.range = {.l_type = F_WRLCK, .l_start = 9, .l_len = 1}};
    assert_int_equal(lock_owner_set(&test.locks, owner, handle, &lock, &wait), 0);
    lock_owner_put(&test.locks, owner);
    assert_int_equal(owners(), 1);
    release(handle);
    assert_int_equal(owners(), 0);
    assert_int_equal(unlocks, 2);
}

/* A lock that comes by a handle already released must not be looked for there later. */
static void test_lock_after_release(void **state)
{
    (void)state;
    struct handle *handle = open_object(1);
    struct lock_owner *owner = NULL;
    assert_int_equal(lock_owner_get(&test.locks, handle, 7, USER, &owner), 0);
    lock_table_release(&test.locks, handle);
    struct ipcfs_wait wait = {0};
    struct ipcfs_lock lock = {.range = {.l_type = F_WRLCK}};
    assert_int_equal(lock_owner_set(&test.locks, owner, handle, &lock, &wait), 0);
    assert_ptr_equal(handle_remove(&test.handles, handle->id), handle);
    handle_put(&test.handles, handle);
    lock_owner_put(&test.locks, owner);
    struct handle *other = open_object(1);
    lock_table_flush(&test.locks, other, 7);
    assert_int_equal(owners(), 0);
}

static void test_share(void **state)
{
    (void)state;
    struct handle *handle = open_object(1);
    for (uint64_t i = 1; i <= SHARE; i++)
        assert_int_equal(set(handle, i, F_RDLCK, 0, 1), 0);
    assert_int_equal(set(handle, SHARE + 1, F_RDLCK, 0, 1), -ENOLCK);
    assert_int_equal(set(handle, 1, F_RDLCK, 5, 1), 0); /* no further owner */
    struct lock_owner *owner = NULL;
    assert_int_equal(lock_owner_get(&test.locks, handle, 50, USER + 1, &owner), 0); /* another user */
    lock_owner_put(&test.locks, owner);
    assert_int_equal(lock_owner_get(&test.locks, handle, 50, 0, &owner), 0);
    lock_owner_put(&test.locks, owner);
    lock_table_flush(&test.locks, handle, 1);
    assert_int_equal(set(handle, SHARE + 1, F_RDLCK, 0, 1), 0);
    assert_int_equal(owners(), SHARE);
}

static void test_query(void **state)
{
    (void)state;
    struct handle *handle = open_object(1);
    struct handle *elsewhere = open_object(2);
    const struct flock asked = {.l_type = F_WRLCK, .l_start = 0, .l_len = 5};
    struct flock range = asked;
    assert_int_equal(set(handle, 7, F_WRLCK, 0, 10), 0);
    assert_int_equal(set(elsewhere, 9, F_WRLCK, 0, 10), 0);
    assert_int_equal(lock_query(&test.locks, handle, 8, &range), 0);
    assert_int_equal(range.l_type, F_UNLCK); /* the kernel knows */
    native_holder = 4321;                    /* a native process */
    range = asked;
    assert_int_equal(lock_query(&test.locks, handle, 8, &range), 0);
    assert_int_equal(range.l_pid, 4321);
    native_holder = -1; /* a file description: one of ours */
    range = asked;
    assert_int_equal(lock_query(&test.locks, handle, 8, &range), 0);
    assert_int_equal(range.l_pid, 7);
    range = asked; /* or, as nobody else has that range, a native one */
    assert_int_equal(lock_query(&test.locks, handle, 7, &range), 0);
    assert_int_equal(range.l_pid, 0);
    range = asked;
    range.l_start = 10;
    assert_int_equal(lock_query(&test.locks, handle, 8, &range), 0);
    assert_int_equal(range.l_pid, 0);
}

/* Every allocation and the open fail in turn: nothing is left, and nobody else's lock is lost. */
static void test_failures(void **state)
{
    (void)state;
    struct handle *handle = open_object(1);
    assert_int_equal(set(handle, 7, F_RDLCK, 0, 1), 0);
    long before = failing_live();
    unsigned failures = 0;
    for (bool failed = true; failed; failures += failed) {
        spare = fake_file();
        failing_arm(failures + 1);
        int error = set(handle, 8, F_RDLCK, 0, 1);
        failed = failing_disarm();
        if (spare)
            backend.close(spare);
        spare = NULL;
        assert_int_equal(error == 0, !failed);
        if (!failed)
            lock_table_flush(&test.locks, handle, 8);
        assert_int_equal(failing_live(), before);
        assert_int_equal(owners(), 1);
        assert_int_equal(fake_files(), 2);
    }
    assert_true(failures >= 3);
}

int main(void)
{
    if (hash_init())
        return EXIT_FAILURE;
    const struct CMUnitTest tests[] = {
        TEST(test_who_holds_nothing_has_no_file),
        TEST(test_flush),
        TEST(test_release),
        TEST(test_flush_in_use),
        TEST(test_lock_after_release),
        TEST(test_share),
        TEST(test_query),
        TEST(test_failures),
    };
    return cmocka_run_group_tests_name("locks", tests, NULL, NULL);
}
