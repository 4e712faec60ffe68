/* SPDX-License-Identifier: MIT */
#include "cmocka_api.h"
#include "failing.h"
#include "fake.h"
#include "random.h"

#include "hash.h"
#include "logged.h"
#include "node.h"
#include "stream.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ID = 20, MANY = 50000, IDS_MAX = FIRST_ID + NODE_SHARDS * MANY };

static bool given[IDS_MAX]; /* ids, in this test */

struct fixture {
    struct node_table table;
    long live;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture.live = failing_live();
    logged_forget();
    memset(given, 0, sizeof given);
    *state = &fixture;
    return node_table_init(&fixture.table, FIRST_ID);
}

/* After every test: whatever it did, all memory and all holds are given back. */
static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    node_table_destroy(&fixture->table);
    if (failing_live() != fixture->live || fake_holds() != 0) {
        (void)fprintf(stderr, "%ld allocations and %ld holds are left\n", failing_live() - fixture->live,
                      fake_holds());
        return -1;
    }
    return 0;
}

static struct node_kin object(uint64_t number, uint64_t birth)
{
    return (struct node_kin){.type = NODE_OBJECT, .backend = &fake_backend, .object = {number, birth}};
}

static uint64_t lookup(struct node_table *table, const struct node_kin *kin, const char *name)
{
    uint64_t id = 0;
    assert_int_equal(node_lookup(table, kin, name, &id), 0);
    return id;
}

static uint64_t new_id(uint64_t id)
{
    assert_in_range(id, FIRST_ID, IDS_MAX - 1);
    assert_false(given[id]);
    given[id] = true;
    return id;
}

/* A lookup that makes a node: its id was never used before. */
static uint64_t lookup_new(struct node_table *table, const struct node_kin *kin, const char *name)
{
    return new_id(lookup(table, kin, name));
}

static bool exists(struct node_table *table, uint64_t id)
{
    AUTO_NODE_USE use;
    return node_use(table, id, &use) == 0;
}

/* ---- what makes a node ---- */

static void test_one_node_per_object(void **state)
{
    struct node_table *table = &((struct fixture *)*state)->table;
    struct node_kin a = object(7, 1);
    struct node_kin later = object(7, 2);
    struct node_kin b = object(8, 1);
    struct node_kin foreign = a;
    foreign.backend = &other_fake_backend;
    struct node_kin elsewhere = a;
    elsewhere.directory = 1;
    uint64_t id = lookup_new(table, &a, "one");
    assert_int_equal(lookup(table, &a, "one"), id);
    assert_int_equal(lookup(table, &a, "hard link"), id);
    assert_int_equal(lookup(table, &elsewhere, "0x00000001"), id);
    (void)lookup_new(table, &later, "one");
    (void)lookup_new(table, &b, "one");
    (void)lookup_new(table, &foreign, "one");
    assert_int_equal(node_count(table), 4);
}

static void test_control_nodes_are_keyed_by_name(void **state)
{
    struct node_table *table = &((struct fixture *)*state)->table;
    struct node_kin directory = object(7, 1);
    directory.type = NODE_CTL_DIR;
    struct node_kin file = directory;
    file.type = NODE_CTL_FILE;
    struct node_kin other_file = file;
    other_file.verb = 1;
    struct node_kin itself = object(7, 1);
    const uint64_t ids[] = {
        lookup(table, &directory, "a"), lookup(table, &directory, "b"),  lookup(table, &file, "a"),
        lookup(table, &file, "b"),      lookup(table, &other_file, "a"), lookup(table, &itself, "a"),
        lookup(table, &directory, ""),  lookup(table, &directory, "aa"),
    };
    for (size_t i = 0; i < ARRAY_LENGTH(ids); i++)
        (void)new_id(ids[i]);
    assert_int_equal(lookup(table, &directory, "a"), ids[0]);
    assert_int_equal(lookup(table, &other_file, "a"), ids[4]);
}

/* A directory has one path only, so what is an object, or in one, has a node for each of its names. */
static void test_parts_are_keyed_by_name(void **state)
{
    static const enum node_type types[] = {NODE_OBJECT_DIR, NODE_OBJECT_FILE, NODE_MEMBER, NODE_MEMBER_FILE};
    struct node_table *table = &((struct fixture *)*state)->table;
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        struct node_kin kin = object(7, 1);
        kin.type = types[i];
        struct node_kin second = kin;
        second.number = 1;
        struct node_kin verb = kin;
        verb.verb = 1;
        struct node_kin later = kin;
        later.object.birth = 2;
        const uint64_t ids[] = {lookup(table, &kin, "5"), lookup(table, &kin, "0x00000001"),
                                lookup(table, &second, "5"), lookup(table, &verb, "5"),
                                lookup(table, &later, "5")};
        for (size_t j = 0; j < ARRAY_LENGTH(ids); j++)
            (void)new_id(ids[j]);
        assert_int_equal(lookup(table, &kin, "5"), ids[0]);
        assert_int_equal(lookup(table, &second, "5"), ids[2]);
    }
    struct node_kin fresh = object(7, 1);
    fresh.type = NODE_OBJECT_FILE;
    fresh.fresh = true;
    (void)lookup_new(table, &fresh, "5"); /* found by nobody */
    (void)lookup_new(table, &fresh, "5");
}

/* Those that are an object's, or in one, are of that object for good; below ctl/ it is whatever has the name. */
static void test_use_tells_whose_it_is(void **state)
{
    static const struct {
        enum node_type type;
        bool of_object;
    } cases[] = {
        {NODE_OBJECT, true},      {NODE_OBJECT_DIR, true}, {NODE_OBJECT_FILE, true},  {NODE_MEMBER, true},
        {NODE_MEMBER_FILE, true}, {NODE_CTL_DIR, false},   {NODE_CTL_NUMBERS, false}, {NODE_CTL_FILE, false},
    };
    struct node_table *table = &((struct fixture *)*state)->table;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct node_kin kin = object(7, 9);
        kin.type = cases[i].type;
        kin.number = 3;
        kin.verb = 2;
        uint64_t id = lookup(table, &kin, "name");
        AUTO_NODE_USE use;
        assert_int_equal(node_use(table, id, &use), 0);
        assert_int_equal(use.kin.type, cases[i].type);
        assert_true(use.kin.number == 3 && use.kin.verb == 2);
        assert_true(ipcfs_same_object(use.kin.object, kin.object));
        assert_true(ipcfs_same_object(use.ref.id, cases[i].of_object ? kin.object : (struct ipcfs_objid){0}));
        assert_string_equal(use.ref.name, "name");
    }
}

static void test_sorts_of_types(void **state)
{
    (void)state;
    static const struct {
        enum node_type type;
        bool object, part, file, directory;
    } cases[] = {
        {NODE_OBJECT, true, false, false, false},      {NODE_OBJECT_DIR, true, false, false, true},
        {NODE_OBJECT_FILE, false, true, true, false},  {NODE_MEMBER, false, true, false, true},
        {NODE_MEMBER_FILE, false, true, true, false},  {NODE_CTL_DIR, false, false, false, true},
        {NODE_CTL_NUMBERS, false, false, false, true}, {NODE_CTL_FILE, false, false, true, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        assert_int_equal(node_is_object(cases[i].type), cases[i].object);
        assert_int_equal(node_is_part(cases[i].type), cases[i].part);
        assert_int_equal(node_is_control_file(cases[i].type), cases[i].file);
        assert_int_equal(node_is_directory(cases[i].type), cases[i].directory);
    }
}

/* Names up to NAME_MAX, and those that differ in the last byte only. */
static void test_long_names(void **state)
{
    struct node_table *table = &((struct fixture *)*state)->table;
    struct node_kin directory = object(1, 1);
    directory.type = NODE_CTL_DIR;
    char name[NAME_MAX + 1];
    memset(name, 'n', NAME_MAX);
    name[NAME_MAX] = '\0';
    uint64_t id = lookup(table, &directory, name);
    name[NAME_MAX - 1] = 'm';
    uint64_t other = lookup(table, &directory, name);
    assert_int_not_equal(id, other);
    AUTO_NODE_USE use;
    assert_int_equal(node_use(table, other, &use), 0);
    assert_string_equal(use.ref.name, name);
}

static void test_use_tells_what_it_is(void **state)
{
    struct node_table *table = &((struct fixture *)*state)->table;
    struct node_kin kin = object(7, 9);
    kin.directory = 1;
    uint64_t id = lookup(table, &kin, "first name");
    AUTO_NODE_USE use;
    assert_int_equal(node_use(table, id, &use), 0);
    assert_int_equal(use.kin.type, NODE_OBJECT);
    assert_ptr_equal(use.kin.backend, &fake_backend);
    assert_true(ipcfs_same_object(use.ref.id, kin.object));
    assert_int_equal(use.ref.directory, 1);
    assert_string_equal(use.ref.name, "first name");
    assert_null(use.ref.hold);
    /* The reference is the user's own copy. */
    kin.directory = 0;
    (void)lookup(table, &kin, "second name");
    assert_string_equal(use.ref.name, "first name");
    AUTO_NODE_USE later;
    assert_int_equal(node_use(table, id, &later), 0);
    assert_string_equal(later.ref.name, "second name");
    assert_int_equal(later.ref.directory, 0);
}

static void test_renamed(void **state)
{
    struct node_table *table = &((struct fixture *)*state)->table;
    struct node_kin kin = object(7, 9);
    struct node_kin unknown = object(8, 9);
    uint64_t id = lookup(table, &kin, "old");
    node_renamed(table, &unknown, 0, "other");
    node_renamed(table, &kin, 1, "new");
    assert_int_equal(node_count(table), 1);
    AUTO_NODE_USE use;
    assert_int_equal(node_use(table, id, &use), 0);
    assert_string_equal(use.ref.name, "new");
    assert_int_equal(use.ref.directory, 1);
}

/* ---- forgetting ---- */

static void test_noted(void **state)
{
    struct node_table *table = &((struct fixture *)*state)->table;
    struct node_kin a = object(7, 1);
    struct node_kin unknown = object(7, 2);
    uint64_t id = lookup(table, &a, "one");
    AUTO_NODE_USE use;
    assert_int_equal(node_use(table, id, &use), 0);
    struct statx noted = {0};
    assert_false(node_noted(&use, &noted));
    node_note(table, &unknown, &(struct statx){.stx_mode = 1});
    assert_false(node_noted(&use, &noted));
    failing_arm(1);
    node_note(table, &a, &(struct statx){.stx_mode = 2});
    assert_true(failing_disarm());
    assert_false(node_noted(&use, &noted));
    for (uint16_t mode = 3; mode < 5; mode++) {
        node_note(table, &a, &(struct statx){.stx_mode = mode});
        assert_true(node_noted(&use, &noted));
        assert_int_equal(noted.stx_mode, mode);
    }
    node_forget(table, id, 1);
}

static void test_forget_counts(void **state)
{
    struct node_table *table = &((struct fixture *)*state)->table;
    struct node_kin kin = object(1, 1);
    uint64_t id = lookup(table, &kin, "a");
    for (int i = 0; i < 9; i++)
        assert_int_equal(lookup(table, &kin, i % 2 ? "a" : "b"), id);
    node_forget(table, id, 0);
    node_forget(table, id, 4);
    node_forget(table, id, 5);
    assert_true(exists(table, id));
    node_forget(table, id, 1);
    assert_false(exists(table, id));
    assert_int_equal(node_count(table), 0);
}

static void test_forget_what_is_not_there(void **state)
{
    struct node_table *table = &((struct fixture *)*state)->table;
    struct node_kin kin = object(1, 1);
    uint64_t id = lookup(table, &kin, "a");
    const uint64_t unknown[] = {0, 1, FIRST_ID - 1, id + 1, id + NODE_SHARDS, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_LENGTH(unknown); i++) {
        AUTO_NODE_USE use;
        node_forget(table, unknown[i], 1);
        node_forget(table, unknown[i], UINT64_MAX);
        assert_int_equal(node_use(table, unknown[i], &use), -ESTALE);
        assert_null(use.node);
    }
    assert_true(exists(table, id));
    assert_false(logged("forgotten"));
    node_forget(table, id, 3);
    assert_true(logged("forgotten 2 times more than looked up"));
    assert_false(exists(table, id));
    node_forget(table, id, 1);
    id = lookup(table, &kin, "a");
    node_forget(table, id, UINT64_MAX);
    assert_int_equal(node_count(table), 0);
}

static void test_ids_are_never_used_again(void **state)
{
    struct node_table *table = &((struct fixture *)*state)->table;
    struct node_kin kin = object(1, 1);
    for (uint64_t i = 0; i < 5000; i++) {
        node_forget(table, lookup_new(table, &kin, "a"), 1);
    }
    assert_int_equal(node_count(table), 0);
}

static void test_used_node_stays(void **state)
{
    struct node_table *table = &((struct fixture *)*state)->table;
    struct node_kin kin = object(1, 1);
    uint64_t id = lookup(table, &kin, "a");
    struct node_use use;
    assert_int_equal(node_use(table, id, &use), 0);
    node_forget(table, id, 1);
    assert_true(exists(table, id));
    assert_int_equal(lookup(table, &kin, "a"), id); /* the kernel finds it again, as the same inode */
    node_forget(table, id, 1);
    assert_int_equal(node_count(table), 1);
    node_unuse(&use);
    assert_null(use.node);
    node_unuse(&use);
    assert_int_equal(node_count(table), 0);
    assert_false(exists(table, id));
}

static void test_many_nodes(void **state)
{
    struct fixture *fixture = *state;
    struct node_table *table = &fixture->table;
    static uint64_t ids[MANY];
    for (uint64_t i = 0; i < MANY; i++) {
        struct node_kin kin = object(i, 1);
        ids[i] = lookup_new(table, &kin, "a name of some length");
    }
    assert_int_equal(node_count(table), MANY);
    for (uint64_t i = 0; i < MANY; i++)
        node_forget(table, ids[i], 1);
    assert_int_equal(node_count(table), 0);
    assert_int_equal(failing_live(), fixture->live);
}

static void test_destroy_frees_what_is_known(void **state)
{
    struct node_table *table = &((struct fixture *)*state)->table;
    for (uint64_t i = 0; i < 100; i++) {
        struct node_kin kin = object(i, 1);
        (void)lookup(table, &kin, "a");
    }
    /* tear_down() looks at what is left */
}

/* ---- holds ---- */

static void test_hold_lasts_as_long_as_use(void **state)
{
    struct node_table *table = &((struct fixture *)*state)->table;
    struct node_kin kin = object(1, 1);
    uint64_t id = lookup(table, &kin, "a");
    struct node_use first;
    struct node_use second;
    assert_int_equal(node_use(table, id, &first), 0);
    struct ipcfs_hold *hold = fake_hold();
    node_set_hold(&first, hold);
    assert_ptr_equal(first.ref.hold, hold);
    assert_int_equal(node_use(table, id, &second), 0);
    assert_ptr_equal(second.ref.hold, hold);
    node_unuse(&first);
    assert_int_equal(fake_holds(), 1);
    node_forget(table, id, 1);
    assert_int_equal(fake_holds(), 1);
    node_unuse(&second);
    assert_int_equal(fake_holds(), 0);
    assert_int_equal(node_count(table), 0);
}

static void test_hold_is_not_kept_for_later(void **state)
{
    struct node_table *table = &((struct fixture *)*state)->table;
    struct node_kin kin = object(1, 1);
    uint64_t id = lookup(table, &kin, "a");
    struct node_use use;
    assert_int_equal(node_use(table, id, &use), 0);
    node_set_hold(&use, fake_hold());
    node_unuse(&use);
    assert_int_equal(fake_holds(), 0);
    assert_int_equal(node_use(table, id, &use), 0);
    assert_null(use.ref.hold);
    node_unuse(&use);
}

static void test_second_hold_is_released(void **state)
{
    struct node_table *table = &((struct fixture *)*state)->table;
    struct node_kin kin = object(1, 1);
    uint64_t id = lookup(table, &kin, "a");
    AUTO_NODE_USE first;
    AUTO_NODE_USE second;
    assert_int_equal(node_use(table, id, &first), 0);
    assert_int_equal(node_use(table, id, &second), 0);
    struct ipcfs_hold *hold = fake_hold();
    node_set_hold(&first, hold);
    node_set_hold(&second, fake_hold());
    assert_int_equal(fake_holds(), 1);
    assert_ptr_equal(second.ref.hold, hold);
}

static void test_use_moves(void **state)
{
    struct node_table *table = &((struct fixture *)*state)->table;
    struct node_kin kin = object(1, 1);
    uint64_t id = lookup(table, &kin, "a");
    struct node_use from;
    struct node_use to;
    assert_int_equal(node_use(table, id, &from), 0);
    node_set_hold(&from, fake_hold());
    node_use_move(&from, &to);
    memset(from.name, 'x', sizeof from.name);
    assert_string_equal(to.ref.name, "a");
    node_unuse(&from);
    assert_int_equal(fake_holds(), 1);
    node_unuse(&to);
    assert_int_equal(fake_holds(), 0);
    node_use_move(&to, &from); /* an empty one moves too */
    node_unuse(&from);
}

/* ---- backing ids ---- */

static void test_backing_ids(void **state)
{
    struct node_table *table = &((struct fixture *)*state)->table;
    struct node_kin kin = object(1, 1);
    struct node_kin other_kin = object(2, 1);
    uint64_t id = lookup(table, &kin, "a");
    uint64_t other_id = lookup(table, &other_kin, "b");
    AUTO_NODE_USE use;
    AUTO_NODE_USE other;
    assert_int_equal(node_use(table, id, &use), 0);
    assert_int_equal(node_use(table, other_id, &other), 0);
    assert_int_equal(node_backing_get(&use), 0);
    assert_int_equal(node_backing_set(&use, 5), 5);
    assert_int_equal(node_backing_get(&use), 5);
    assert_int_equal(node_backing_set(&use, 6), 5); /* came second: 6 has to be given up */
    assert_int_equal(node_backing_get(&other), 0);
    assert_int_equal(node_backing_put(&use), 0);
    assert_int_equal(node_backing_put(&use), 0);
    assert_int_equal(node_backing_put(&use), 5);
    assert_int_equal(node_backing_get(&use), 0);
    assert_int_equal(node_backing_set(&use, 7), 7);
    assert_int_equal(node_backing_put(&use), 7);
}

/* ---- streams ---- */

static void test_streams(void **state)
{
    struct node_table *table = &((struct fixture *)*state)->table;
    enum { BOTH = STREAM_READS | STREAM_WRITES };
    struct stream one = {0};
    struct stream second = {0};
    struct node_kin a = object(7, 1);
    struct node_kin b = object(8, 1);
    AUTO_NODE_USE use;
    AUTO_NODE_USE other;
    assert_int_equal(node_use(table, lookup(table, &a, "a"), &use), 0);
    assert_int_equal(node_use(table, lookup(table, &b, "b"), &other), 0);
    assert_null(node_stream_get(&use, BOTH));
    assert_ptr_equal(node_stream_set(&use, &one, BOTH), &one);
    assert_ptr_equal(node_stream_get(&use, STREAM_READS), &one);
    assert_ptr_equal(node_stream_set(&use, &second, STREAM_WRITES), &one); /* came second */
    assert_ptr_equal(node_stream_get(&use, 0), &one);
    assert_true(one.handles == 4 && one.reading == 2 && one.writing == 2 && second.handles == 0);
    assert_null(node_stream_get(&other, BOTH));
    assert_int_equal(node_stream_leave(&use, BOTH), 0);
    assert_false(node_stream_put(&use));
    assert_int_equal(node_stream_leave(&use, STREAM_WRITES), STREAM_WRITES);
    assert_false(node_stream_put(&use));
    assert_int_equal(node_stream_leave(&use, 0), 0);
    assert_false(node_stream_put(&use));
    assert_int_equal(node_stream_leave(&use, STREAM_READS), 0); /* the last: it is all over */
    assert_true(node_stream_put(&use));
    assert_null(node_stream_get(&use, BOTH));
    assert_ptr_equal(node_stream_set(&use, &second, STREAM_READS), &second);
    assert_ptr_equal(node_stream_get(&use, 0), &second);
    assert_int_equal(node_stream_leave(&use, STREAM_READS), STREAM_READS);
    assert_false(node_stream_put(&use));
    assert_int_equal(node_stream_leave(&use, 0), 0);
    assert_true(node_stream_put(&use));
}

/* ---- out of memory ---- */

static void test_out_of_memory(void **state)
{
    struct fixture *fixture = *state;
    struct node_table *table = &fixture->table;
    struct node_kin kin = object(1, 1);
    unsigned failures = 0;
    for (unsigned number = 1;; number++) {
        uint64_t id = 0;
        failing_arm(number);
        int error = node_lookup(table, &kin, "a", &id);
        bool failed = failing_disarm();
        failures += failed;
        assert_int_equal(error, failed ? -ENOMEM : 0);
        assert_int_equal(node_count(table), failed ? 0 : 1);
        if (!failed)
            break;
        assert_int_equal(failing_live(), fixture->live);
        for (size_t i = 0; i < NODE_SHARDS; i++) {
            assert_null(table->shards[i].by_id);
            assert_null(table->shards[i].by_key);
        }
    }
    assert_true(failures >= 4);
}

/* The same in a table that has others, up to where the hash tables grow. */
static void test_out_of_memory_in_a_full_table(void **state)
{
    struct node_table *table = &((struct fixture *)*state)->table;
    for (uint64_t i = 0; i < 800; i++) {
        struct node_kin kin = object(i, 1);
        uint64_t id = 0;
        for (unsigned number = 1;; number++) {
            failing_arm(number);
            int error = node_lookup(table, &kin, "a", &id);
            bool failed = failing_disarm();
            if (!error) /* a hash table that can not grow may go on as it is */
                break;
            assert_true(failed);
            assert_int_equal(error, -ENOMEM);
            assert_int_equal(node_count(table), i);
        }
        (void)new_id(id);
        assert_int_equal(node_count(table), i + 1);
        assert_true(exists(table, id));
        assert_int_equal(lookup(table, &kin, "a"), id);
    }
}

/* A new name that can not be kept leaves the old one, and the lookup succeeds. */
static void test_out_of_memory_for_a_name(void **state)
{
    struct node_table *table = &((struct fixture *)*state)->table;
    struct node_kin kin = object(1, 1);
    uint64_t id = lookup(table, &kin, "old");
    failing_arm(1);
    uint64_t again = lookup(table, &kin, "new");
    assert_true(failing_disarm());
    assert_int_equal(again, id);
    AUTO_NODE_USE use;
    assert_int_equal(node_use(table, id, &use), 0);
    assert_string_equal(use.ref.name, "old");
}

/* ---- storms ---- */

enum { THREADS = 4, OBJECTS = 6, STEPS = 20000, IDS = NODE_SHARDS * THREADS * STEPS + FIRST_ID };

/* What is known of all ids ever given out: the object they stand for, plus 1. */
static _Atomic unsigned char meaning[IDS];
/* Backing ids that are open "in the kernel", and how many users each has. */
static atomic_int backing_users[THREADS * STEPS + 1];
static atomic_int last_backing_id;
static atomic_int open_backing_ids;

struct storm {
    pthread_t thread;
    struct node_table *table;
    struct prng prng;
    uint64_t known[OBJECTS]; /* this thread's lookups that it has not forgotten … */
    uint64_t ids[OBJECTS];   /* … and of which id */
    const char *complaint;
};

static void complain(struct storm *storm, const char *complaint)
{
    if (!storm->complaint)
        storm->complaint = complaint;
}

static void storm_lookup(struct storm *storm, unsigned number)
{
    struct node_kin kin = object(number, 1);
    uint64_t id = 0;
    if (node_lookup(storm->table, &kin, random_below(&storm->prng, 2) ? "a" : "another name", &id)) {
        complain(storm, "lookup failed");
        return;
    }
    if (id < FIRST_ID || id >= IDS) {
        complain(storm, "an id that can not be");
        return;
    }
    unsigned char before = atomic_exchange(&meaning[id], (unsigned char)(number + 1));
    if (before && before != number + 1)
        complain(storm, "an id stands for a second object");
    if (storm->known[number] && storm->ids[number] != id)
        complain(storm, "an object known to the kernel has a second id");
    storm->ids[number] = id;
    storm->known[number]++;
}

static void storm_forget(struct storm *storm, unsigned number, uint64_t count)
{
    if (count > storm->known[number])
        count = storm->known[number];
    if (!count)
        return;
    storm->known[number] -= count;
    node_forget(storm->table, storm->ids[number], count);
}

/* As OPEN and RELEASE with passthrough do. */
static void storm_open(struct storm *storm, struct node_use *use)
{
    int32_t id = node_backing_get(use);
    if (!id) {
        int32_t mine = atomic_fetch_add(&last_backing_id, 1) + 1;
        atomic_fetch_add(&open_backing_ids, 1);
        id = node_backing_set(use, mine);
        if (id != mine)
            atomic_fetch_sub(&open_backing_ids, 1);
    }
    if (atomic_fetch_add(&backing_users[id], 1) < 0)
        complain(storm, "a closed backing id is in use");
    for (uint32_t i = random_below(&storm->prng, 50); i > 0; i--)
        if (atomic_load(&backing_users[id]) < 1)
            complain(storm, "a backing id in use was closed");
    atomic_fetch_sub(&backing_users[id], 1);
    int32_t unneeded = node_backing_put(use);
    if (!unneeded)
        return;
    if (unneeded != id)
        complain(storm, "a backing id changed while in use");
    if (atomic_exchange(&backing_users[unneeded], -1000) != 0)
        complain(storm, "a backing id in use is to be closed");
    atomic_fetch_sub(&open_backing_ids, 1);
}

static void storm_use(struct storm *storm, unsigned number)
{
    AUTO_NODE_USE use;
    use.node = NULL;
    if (!storm->ids[number])
        return;
    int error = node_use(storm->table, storm->ids[number], &use);
    if (error) {
        if (storm->known[number])
            complain(storm, "a node known to the kernel is gone");
        return;
    }
    if (use.ref.id.number != number)
        complain(storm, "an id stands for another object");
    if (random_below(&storm->prng, 2))
        node_set_hold(&use, fake_hold());
    if (random_below(&storm->prng, 2))
        storm_forget(storm, number, storm->known[number]);
    if (random_below(&storm->prng, 2))
        storm_open(storm, &use);
}

static void *run_storm(void *argument)
{
    struct storm *storm = argument;
    for (int step = 0; step < STEPS; step++) {
        unsigned number = random_below(&storm->prng, OBJECTS);
        switch (random_below(&storm->prng, 5)) {
        case 0:
        case 1:
            storm_lookup(storm, number);
            break;
        case 2:
            storm_forget(storm, number, 1 + random_below(&storm->prng, 4));
            break;
        case 3:
            storm_use(storm, number);
            break;
        default: {
            struct node_kin kin = object(number, 1);
            node_renamed(storm->table, &kin, 0, "renamed");
        }
        }
    }
    for (unsigned number = 0; number < OBJECTS; number++)
        storm_forget(storm, number, UINT64_MAX);
    return NULL;
}

static void test_storm(void **state)
{
    struct node_table *table = &((struct fixture *)*state)->table;
    struct storm storms[THREADS] = {0};
    for (unsigned i = 0; i < THREADS; i++) {
        storms[i].table = table;
        storms[i].prng = random_start(random_seed(), i);
        assert_int_equal(pthread_create(&storms[i].thread, NULL, run_storm, &storms[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(storms[i].thread, NULL), 0);
    for (unsigned i = 0; i < THREADS; i++)
        if (storms[i].complaint)
            fail_msg("%s", storms[i].complaint);
    assert_false(logged("forgotten"));
    assert_int_equal(node_count(table), 0);
    assert_int_equal(fake_holds(), 0);
    assert_int_equal(atomic_load(&open_backing_ids), 0);
    assert_true(atomic_load(&last_backing_id) > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    if (hash_init())
        return EXIT_FAILURE;
    const struct CMUnitTest tests[] = {
        TEST(test_one_node_per_object),
        TEST(test_control_nodes_are_keyed_by_name),
        TEST(test_parts_are_keyed_by_name),
        TEST(test_use_tells_whose_it_is),
        TEST(test_sorts_of_types),
        TEST(test_long_names),
        TEST(test_use_tells_what_it_is),
        TEST(test_renamed),
        TEST(test_noted),
        TEST(test_forget_counts),
        TEST(test_forget_what_is_not_there),
        TEST(test_ids_are_never_used_again),
        TEST(test_used_node_stays),
        TEST(test_many_nodes),
        TEST(test_destroy_frees_what_is_known),
        TEST(test_hold_lasts_as_long_as_use),
        TEST(test_hold_is_not_kept_for_later),
        TEST(test_second_hold_is_released),
        TEST(test_use_moves),
        TEST(test_backing_ids),
        TEST(test_streams),
        TEST(test_out_of_memory),
        TEST(test_out_of_memory_in_a_full_table),
        TEST(test_out_of_memory_for_a_name),
        TEST(test_storm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
