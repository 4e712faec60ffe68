/* SPDX-License-Identifier: MIT */
/* Walks through a naming directory, and positions that stay true while objects come and go. */
#include "subject.h"

#include "random.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MANY = 300 };

struct walk {
    struct ipcfs_lister *lister;
    struct ipcfs_entry entry;
};

static struct walk begin_walk(void)
{
    struct walk walk = {0};
    assert_int_equal(kind->list_open(0, &walk.lister), 0);
    return walk;
}

static bool walk_on(struct walk *walk)
{
    int more = kind->list_next(walk->lister, &walk->entry);
    if (more < 0)
        fail_msg("list_next: %s", strerror(-more));
    if (more)
        assert_int_not_equal(walk->entry.next, 0);
    return more;
}

static void seek_to(struct walk *walk, uint64_t position)
{
    assert_int_equal(kind->list_seek(walk->lister, position), 0);
}

static void end_walk(struct walk *walk)
{
    kind->list_close(walk->lister);
}

static void make_number(unsigned number)
{
    char name[16];
    (void)snprintf(name, sizeof name, "%u", number);
    make_object(name);
}

static void remove_number(unsigned number)
{
    char name[16];
    (void)snprintf(name, sizeof name, "%u", number);
    remove_object(name);
}

static void make_many(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        make_number(i);
}

static unsigned number_of(const struct ipcfs_entry *entry)
{
    return (unsigned)strtoul(entry->name, NULL, 10);
}

static void test_empty(void **state)
{
    (void)state;
    struct walk walk = begin_walk();
    assert_false(walk_on(&walk));
    assert_false(walk_on(&walk));
    seek_to(&walk, 0);
    assert_false(walk_on(&walk));
    end_walk(&walk);
}

static void test_every_object_once(void **state)
{
    (void)state;
    unsigned char seen[MANY] = {0};
    make_many(MANY);
    struct walk walk = begin_walk();
    while (walk_on(&walk)) {
        struct ipcfs_found found = find_object(walk.entry.name);
        assert_int_equal(walk.entry.number, found.id.number);
        assert_int_equal(walk.entry.type, found.stat.stx_mode & S_IFMT);
        assert_true(number_of(&walk.entry) < MANY);
        seen[number_of(&walk.entry)]++;
    }
    end_walk(&walk);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(seen[i], 1);
}

/* From every position the walk goes on as it did the first time, in the same lister and in a new one. */
static void test_positions(void **state)
{
    (void)state;
    struct {
        unsigned number;
        uint64_t next;
    } order[MANY];
    make_many(MANY);
    struct walk walk = begin_walk();
    for (unsigned i = 0; i < MANY; i++) {
        assert_true(walk_on(&walk));
        order[i].number = number_of(&walk.entry);
        order[i].next = walk.entry.next;
    }
    assert_false(walk_on(&walk));
    for (unsigned i = MANY; i-- > 0;) {
        struct walk other = begin_walk();
        seek_to(&walk, order[i].next);
        seek_to(&other, order[i].next);
        for (unsigned j = i + 1; j < MANY && j < i + 4; j++) {
            assert_true(walk_on(&walk) && walk_on(&other));
            assert_int_equal(number_of(&walk.entry), order[j].number);
            assert_int_equal(number_of(&other.entry), order[j].number);
        }
        if (i + 1 == MANY)
            assert_false(walk_on(&walk));
        end_walk(&other);
    }
    seek_to(&walk, 0);
    assert_true(walk_on(&walk));
    assert_int_equal(number_of(&walk.entry), order[0].number);
    end_walk(&walk);
}

/*
 * While a walk goes on, some objects vanish and others appear; it is interrupted at every step, and taken up again by
 * position. What is there all the time is seen exactly once, nothing is seen twice.
 */
static void walk_in_turmoil(struct prng *prng, bool new_lister)
{
    unsigned char seen[3 * MANY] = {0};
    unsigned fresh = 2 * MANY;
    unsigned doomed = MANY;
    struct walk walk = begin_walk();
    while (walk_on(&walk)) {
        uint64_t position = walk.entry.next;
        assert_true(number_of(&walk.entry) < 3 * MANY);
        seen[number_of(&walk.entry)]++;
        if (random_below(prng, 2) && doomed < 2 * MANY)
            remove_number(doomed++);
        if (random_below(prng, 3) == 0 && fresh < 3 * MANY)
            make_number(fresh++);
        if (new_lister) {
            end_walk(&walk);
            walk = begin_walk();
        }
        seek_to(&walk, position);
    }
    end_walk(&walk);
    for (unsigned i = 0; i < MANY; i++)
        if (seen[i] != 1)
            fail_msg("object %u was seen %u times", i, seen[i]);
    for (unsigned i = MANY; i < 3 * MANY; i++)
        assert_true(seen[i] <= 1);
}

static void test_turmoil(void **state)
{
    (void)state;
    struct prng prng = random_start(random_seed(), 0);
    for (int round = 0; round < 4; round++) {
        make_many(2 * MANY);
        walk_in_turmoil(&prng, round % 2);
        remove_all_objects();
    }
}

/* The object at whose position a walk stopped is removed: it goes on behind it. */
static void test_removed_at_the_position(void **state)
{
    (void)state;
    make_many(MANY);
    struct walk walk = begin_walk();
    unsigned count = 0;
    while (walk_on(&walk)) {
        uint64_t position = walk.entry.next;
        remove_number(number_of(&walk.entry));
        seek_to(&walk, position);
        count++;
    }
    end_walk(&walk);
    assert_int_equal(count, MANY);
    assert_int_equal(count_objects(), 0);
}

static void test_two_walks(void **state)
{
    (void)state;
    make_many(20);
    struct walk first = begin_walk();
    struct walk second = begin_walk();
    for (unsigned i = 0; i < 20; i++) {
        assert_true(walk_on(&first));
        unsigned number = number_of(&first.entry);
        seek_to(&second, 0);
        for (unsigned j = 0; j <= i; j++)
            assert_true(walk_on(&second));
        assert_int_equal(number_of(&second.entry), number);
    }
    assert_false(walk_on(&first));
    end_walk(&first);
    end_walk(&second);
}

/* Positions that nobody was given: any answer, but an end to it, and no harm. */
static void test_invented_positions(void **state)
{
    (void)state;
    make_many(20);
    static const uint64_t positions[] = {
        1,        2, 3, 1000, UINT32_MAX, (uint64_t)INT32_MAX + 1, UINT64_C(1) << 61, (UINT64_C(1) << 62) - 1,
        INT64_MAX};
    struct walk walk = begin_walk();
    for (size_t i = 0; i < ARRAY_LENGTH(positions); i++) {
        int error = kind->list_seek(walk.lister, positions[i]);
        assert_true(error == 0 || error == -EINVAL);
        for (unsigned count = 0; kind->list_next(walk.lister, &walk.entry) == 1; count++)
            assert_true(count < 20);
        seek_to(&walk, 0);
        assert_true(walk_on(&walk));
    }
    end_walk(&walk);
}

static const struct CMUnitTest tests[] = {
    TEST(test_empty),
    TEST(test_every_object_once),
    TEST(test_positions),
    TEST(test_turmoil),
    TEST(test_removed_at_the_position),
    TEST(test_two_walks),
    TEST(test_invented_positions),
};

const struct suite lists_suite = {.name = "lists", .tests = tests, .count = ARRAY_LENGTH(tests)};
