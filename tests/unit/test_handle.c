/* SPDX-License-Identifier: MIT */
#include "cmocka_api.h"
#include "failing.h"
#include "fake.h"
#include "random.h"

#include "handle.h"
#include "hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* So many handles may a user other than root have. */
enum { SHARE = 10 };

struct fixture {
    struct handle_table table;
    struct node_table nodes;
    long live;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture.live = failing_live();
    *state = &fixture;
    int error = node_table_init(&fixture.nodes, 1);
    return error ? error : handle_table_init(&fixture.table, SHARE);
}

/* After every test: whatever it did, all memory, files, listers and holds are given back. */
static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    handle_table_destroy(&fixture->table);
    size_t nodes = node_count(&fixture->nodes);
    node_table_destroy(&fixture->nodes);
    if (nodes || failing_live() != fixture->live || fake_files() || fake_listers() || fake_holds()) {
        (void)fprintf(stderr, "left: %zu nodes, %ld allocations, %ld files, %ld listers, %ld holds\n", nodes,
                      failing_live() - fixture->live, fake_files(), fake_listers(), fake_holds());
        return -1;
    }
    return 0;
}

/* A handle of an open file, the only user of its node. */
static struct handle *new_file(struct fixture *fixture, uint64_t number)
{
    struct node_kin kin = {.type = NODE_OBJECT, .backend = &fake_backend, .object = {.number = number}};
    struct handle *handle = handle_new(HANDLE_FILE, 0);
    uint64_t node = 0;
    if (!handle || node_lookup(&fixture->nodes, &kin, "name", &node) ||
        node_use(&fixture->nodes, node, &handle->node))
        abort();
    node_forget(&fixture->nodes, node, 1);
    node_set_hold(&handle->node, fake_hold());
    handle->file = fake_file();
    return handle;
}

static uint64_t add_file(struct fixture *fixture, uint64_t number)
{
    struct handle *handle = new_file(fixture, number);
    assert_int_equal(handle_add(&fixture->table, handle), 0);
    return handle->id;
}

/* What RELEASE does. */
static void release(struct fixture *fixture, uint64_t id)
{
    struct handle *handle = handle_remove(&fixture->table, id);
    if (handle)
        handle_put(&fixture->table, handle);
}

static void test_life(void **state)
{
    struct fixture *fixture = *state;
    uint64_t id = add_file(fixture, 1);
    assert_int_equal(id, 1);
    assert_int_equal(handle_count(&fixture->table), 1);
    struct handle *handle = handle_get(&fixture->table, id);
    assert_non_null(handle);
    assert_int_equal(handle->id, id);
    assert_int_equal(handle->type, HANDLE_FILE);
    handle_put(&fixture->table, handle);
    assert_int_equal(fake_files(), 1);
    release(fixture, id);
    assert_int_equal(fake_files(), 0);
    assert_int_equal(fake_holds(), 0);
    assert_int_equal(handle_count(&fixture->table), 0);
    assert_int_equal(node_count(&fixture->nodes), 0);
}

static void test_unknown_ids(void **state)
{
    struct fixture *fixture = *state;
    uint64_t id = add_file(fixture, 1);
    const uint64_t unknown[] = {0, id + 1, id + (UINT64_C(1) << 32), UINT64_MAX};
    for (size_t i = 0; i < ARRAY_LENGTH(unknown); i++) {
        assert_null(handle_get(&fixture->table, unknown[i]));
        assert_null(handle_remove(&fixture->table, unknown[i]));
    }
    assert_int_equal(handle_count(&fixture->table), 1);
    release(fixture, id);
    assert_null(handle_get(&fixture->table, id));
    assert_null(handle_remove(&fixture->table, id));
}

static void test_ids_are_never_used_again(void **state)
{
    struct fixture *fixture = *state;
    for (uint64_t i = 1; i <= 2000; i++) {
        assert_int_equal(add_file(fixture, i), i);
        release(fixture, i);
    }
}

/* A handle released while an operation uses it ends with the operation, and is not found any more. */
static void test_release_in_use(void **state)
{
    struct fixture *fixture = *state;
    uint64_t id = add_file(fixture, 1);
    struct handle *handle = handle_get(&fixture->table, id);
    struct handle *again = handle_get(&fixture->table, id);
    assert_ptr_equal(handle, again);
    release(fixture, id);
    assert_null(handle_get(&fixture->table, id));
    assert_int_equal(handle_count(&fixture->table), 0);
    assert_int_equal(fake_files(), 1);
    handle_put(&fixture->table, handle);
    assert_int_equal(fake_files(), 1);
    handle_put(&fixture->table, again);
    assert_int_equal(fake_files(), 0);
}

static void test_kinds_of_handle(void **state)
{
    struct fixture *fixture = *state;
    static const struct tree_entry entry = {.id = 2, .directory = true, .lister_of = &fake_backend};
    struct handle *directory = handle_new(HANDLE_DIRECTORY, 0);
    struct handle *control = handle_new(HANDLE_CONTROL, 0);
    assert_non_null(directory);
    assert_non_null(control);
    directory->entry = &entry;
    directory->lister = fake_lister();
    struct text text = {0};
    text_string(&text, "something that was read");
    assert_int_equal(snapshot_new(&text, &control->text), 0);
    assert_int_equal(handle_add(&fixture->table, directory), 0);
    assert_int_equal(handle_add(&fixture->table, control), 0);
    release(fixture, control->id);
    release(fixture, directory->id);
    assert_int_equal(fake_listers(), 0);
}

static void test_free_of_one_never_added(void **state)
{
    struct fixture *fixture = *state;
    handle_free(new_file(fixture, 1));
    struct handle *empty = handle_new(HANDLE_FILE, 0);
    assert_non_null(empty);
    handle_free(empty);
}

static void test_destroy_closes_what_is_open(void **state)
{
    struct fixture *fixture = *state;
    for (uint64_t i = 0; i < 100; i++)
        (void)add_file(fixture, i);
    assert_int_equal(fake_files(), 100);
    /* tear_down() looks at what is left */
}

/* ---- shares ---- */

static int add_as(struct fixture *fixture, uid_t uid, uint64_t *id)
{
    struct handle *handle = new_file(fixture, 1);
    handle->uid = uid;
    int error = handle_add(&fixture->table, handle);
    if (error)
        handle_free(handle);
    else
        *id = handle->id;
    return error;
}

/* One user's share is his alone, and what he gives back he may have again. */
static void test_shares(void **state)
{
    struct fixture *fixture = *state;
    uint64_t ids[SHARE];
    uint64_t other = 0;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < SHARE; i++)
            assert_int_equal(add_as(fixture, 1000, &ids[i]), 0);
        assert_int_equal(add_as(fixture, 1000, &other), -ENFILE);
        assert_int_equal(handle_count(&fixture->table), SHARE);
        assert_int_equal(add_as(fixture, 1001, &other), 0);
        release(fixture, other);
        release(fixture, ids[3]);
        assert_int_equal(add_as(fixture, 1000, &ids[3]), 0);
        assert_int_equal(add_as(fixture, 1000, &other), -ENFILE);
        for (int i = 0; i < SHARE; i++)
            release(fixture, ids[i]);
    }
}

static void test_root_has_no_share(void **state)
{
    struct fixture *fixture = *state;
    uint64_t id = 0;
    for (int i = 0; i < 3 * SHARE; i++)
        assert_int_equal(add_as(fixture, 0, &id), 0);
}

static void test_shares_out_of_memory(void **state)
{
    struct fixture *fixture = *state;
    uint64_t id = 0;
    int error = -ENOMEM;
    for (unsigned number = 1; error; number++) {
        struct handle *handle = new_file(fixture, 1);
        handle->uid = 1000;
        failing_arm(number);
        error = handle_add(&fixture->table, handle);
        assert_int_equal(error, failing_disarm() ? -ENOMEM : 0);
        if (error)
            handle_free(handle);
        else
            release(fixture, handle->id);
    }
    /* The failures took nothing of the share. */
    for (int i = 0; i < SHARE; i++)
        assert_int_equal(add_as(fixture, 1000, &id), 0);
    assert_int_equal(add_as(fixture, 1000, &id), -ENFILE);
}

static void test_out_of_memory(void **state)
{
    struct fixture *fixture = *state;
    failing_arm(1);
    assert_null(handle_new(HANDLE_FILE, 0));
    assert_true(failing_disarm());
    unsigned failures = 0;
    for (uint64_t i = 0; i < 500; i++) { /* past the size at which the hash table grows */
        for (unsigned number = 1;; number++) {
            struct handle *handle = new_file(fixture, i);
            failing_arm(number);
            int error = handle_add(&fixture->table, handle);
            bool failed = failing_disarm();
            if (!error)
                break;
            failures++;
            assert_true(failed);
            assert_int_equal(error, -ENOMEM);
            assert_int_equal(handle_count(&fixture->table), i);
            handle_free(handle); /* still the caller's */
        }
        assert_int_equal(handle_count(&fixture->table), i + 1);
    }
    assert_true(failures >= 2);
    assert_int_equal(fake_files(), 500);
}

/* ---- storms ---- */

enum { THREADS = 4, STEPS = 20000, RECENT = 8 };

/* Ids that were handed out lately, by any thread: some still open, some not. */
static _Atomic uint64_t recent[RECENT];
static atomic_long added;
static atomic_long removed;
static _Atomic unsigned char given_out[THREADS * STEPS + 2];

struct storm {
    pthread_t thread;
    struct fixture *fixture;
    struct prng prng;
    const char *complaint;
};

static void storm_add(struct storm *storm, uint64_t number)
{
    struct handle *handle = new_file(storm->fixture, number);
    if (handle_add(&storm->fixture->table, handle)) {
        storm->complaint = "add failed";
        return;
    }
    /* From here on any thread may release it: the id was taken before. */
    uint64_t id = handle->id;
    if (id >= ARRAY_LENGTH(given_out) || atomic_exchange(&given_out[id], 1))
        storm->complaint = "an id is used again";
    atomic_fetch_add(&added, 1);
    atomic_store(&recent[random_below(&storm->prng, RECENT)], id);
}

static void storm_use(struct storm *storm, uint64_t id)
{
    struct handle *handle = handle_get(&storm->fixture->table, id);
    if (!handle)
        return;
    if (handle->id != id || !handle->file || !handle->node.ref.hold)
        storm->complaint = "a handle in use is not what it was";
    handle_put(&storm->fixture->table, handle);
}

static void *run_storm(void *argument)
{
    struct storm *storm = argument;
    for (int step = 0; step < STEPS; step++) {
        uint64_t id = atomic_load(&recent[random_below(&storm->prng, RECENT)]);
        struct handle *handle = NULL;
        switch (random_below(&storm->prng, 4)) {
        case 0:
            storm_add(storm, random_below(&storm->prng, 3));
            break;
        case 1:
            handle = handle_remove(&storm->fixture->table, id);
            if (handle) {
                atomic_fetch_add(&removed, 1);
                handle_put(&storm->fixture->table, handle);
            }
            break;
        default:
            storm_use(storm, id);
        }
    }
    return NULL;
}

static void test_storm(void **state)
{
    struct fixture *fixture = *state;
    struct storm storms[THREADS] = {0};
    for (unsigned i = 0; i < THREADS; i++) {
        storms[i].fixture = fixture;
        storms[i].prng = random_start(random_seed(), i);
        assert_int_equal(pthread_create(&storms[i].thread, NULL, run_storm, &storms[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(storms[i].thread, NULL), 0);
    for (unsigned i = 0; i < THREADS; i++)
        if (storms[i].complaint)
            fail_msg("%s", storms[i].complaint);
    long open = atomic_load(&added) - atomic_load(&removed);
    assert_true(atomic_load(&removed) > STEPS / 10);
    assert_int_equal(handle_count(&fixture->table), open);
    assert_int_equal(fake_files(), open);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    if (hash_init())
        return EXIT_FAILURE;
    const struct CMUnitTest tests[] = {
        TEST(test_life),
        TEST(test_unknown_ids),
        TEST(test_ids_are_never_used_again),
        TEST(test_release_in_use),
        TEST(test_kinds_of_handle),
        TEST(test_free_of_one_never_added),
        TEST(test_destroy_closes_what_is_open),
        TEST(test_shares),
        TEST(test_root_has_no_share),
        TEST(test_shares_out_of_memory),
        TEST(test_out_of_memory),
        TEST(test_storm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
