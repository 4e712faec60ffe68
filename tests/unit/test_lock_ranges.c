/* SPDX-License-Identifier: MIT */
#include "cmocka_api.h"
#include "failing.h"
#include "random.h"

#include "lock_ranges.h"

#include <errno.h>

/* A lock of what is between the two bytes, both included; `last` −1: up to the end. */
static struct flock lock_of(short type, off_t start, off_t last)
{
    return (struct flock){
        .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = last < 0 ? 0 : last - start + 1};
}

static void set(struct lock_ranges *ranges, short type, off_t start, off_t last)
{
    struct flock lock = lock_of(type, start, last);
    assert_int_equal(lock_ranges_reserve(ranges, 1), 0);
    lock_ranges_set(ranges, &lock);
}

static void must_be(const struct lock_ranges *ranges, const struct lock_range *expected, size_t count)
{
    assert_int_equal(ranges->count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(ranges->at[i].start, expected[i].start);
        assert_int_equal(ranges->at[i].last, expected[i].last);
        assert_int_equal(ranges->at[i].type, expected[i].type);
    }
}

#define MUST_BE(ranges, ...)                                                                                 \
    must_be(ranges, (struct lock_range[]){__VA_ARGS__},                                                      \
            sizeof((struct lock_range[]){__VA_ARGS__}) / sizeof(struct lock_range))

static void test_merge_and_split(void **state)
{
    (void)state;
    struct lock_ranges ranges = {0};
    set(&ranges, F_WRLCK, 10, 19);
    set(&ranges, F_WRLCK, 30, 39);
    MUST_BE(&ranges, {10, 19, F_WRLCK}, {30, 39, F_WRLCK});
    set(&ranges, F_WRLCK, 20, 29); /* fills the gap */
    MUST_BE(&ranges, {10, 39, F_WRLCK});
    set(&ranges, F_UNLCK, 15, 15);
    MUST_BE(&ranges, {10, 14, F_WRLCK}, {16, 39, F_WRLCK});
    set(&ranges, F_RDLCK, 20, 25); /* one becomes three */
    MUST_BE(&ranges, {10, 14, F_WRLCK}, {16, 19, F_WRLCK}, {20, 25, F_RDLCK}, {26, 39, F_WRLCK});
    set(&ranges, F_RDLCK, 26, -1);
    MUST_BE(&ranges, {10, 14, F_WRLCK}, {16, 19, F_WRLCK}, {20, INT64_MAX, F_RDLCK});
    set(&ranges, F_UNLCK, 100, -1);
    MUST_BE(&ranges, {10, 14, F_WRLCK}, {16, 19, F_WRLCK}, {20, 99, F_RDLCK});
    set(&ranges, F_WRLCK, 0, -1);
    MUST_BE(&ranges, {0, INT64_MAX, F_WRLCK});
    set(&ranges, F_UNLCK, 0, -1);
    assert_int_equal(ranges.count, 0);
    set(&ranges, F_UNLCK, 5, 6); /* nothing to give back */
    assert_int_equal(ranges.count, 0);
    lock_ranges_free(&ranges);
}

static void test_ends_of_the_file(void **state)
{
    (void)state;
    struct lock_ranges ranges = {0};
    set(&ranges, F_RDLCK, INT64_MAX, -1); /* the last byte there can be */
    set(&ranges, F_RDLCK, 0, 0);
    MUST_BE(&ranges, {0, 0, F_RDLCK}, {INT64_MAX, INT64_MAX, F_RDLCK});
    set(&ranges, F_WRLCK, 0, INT64_MAX - 1);
    MUST_BE(&ranges, {0, INT64_MAX - 1, F_WRLCK}, {INT64_MAX, INT64_MAX, F_RDLCK});
    set(&ranges, F_RDLCK, 1, -1);
    MUST_BE(&ranges, {0, 0, F_WRLCK}, {1, INT64_MAX, F_RDLCK});
    lock_ranges_free(&ranges);
}

static void test_conflict(void **state)
{
    (void)state;
    struct lock_ranges ranges = {0};
    set(&ranges, F_RDLCK, 10, 19);
    set(&ranges, F_WRLCK, 30, 39);
    static const struct {
        short type;
        off_t start, last;
        bool conflict;
    } cases[] = {
        {F_RDLCK, 10, 19, false}, {F_WRLCK, 0, 9, false},  {F_WRLCK, 0, 10, true},  {F_WRLCK, 19, 19, true},
        {F_WRLCK, 20, 29, false}, {F_RDLCK, 0, 29, false}, {F_RDLCK, 0, 30, true},  {F_RDLCK, 39, -1, true},
        {F_WRLCK, 40, -1, false}, {F_RDLCK, 0, -1, true},  {F_WRLCK, 12, 13, true},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct flock lock = lock_of(cases[i].type, cases[i].start, cases[i].last);
        assert_int_equal(lock_ranges_conflict(&ranges, &lock), cases[i].conflict);
    }
    lock_ranges_free(&ranges);
}

/* Room made for several sets is enough for them, whatever they are. */
static void test_reserve(void **state)
{
    (void)state;
    struct lock_ranges ranges = {0};
    failing_arm(1);
    assert_int_equal(lock_ranges_reserve(&ranges, 1), -ENOMEM);
    assert_true(failing_disarm());
    assert_int_equal(lock_ranges_reserve(&ranges, 101), 0);
    failing_arm(1);
    struct flock lock = lock_of(F_WRLCK, 0, -1);
    lock_ranges_set(&ranges, &lock);
    for (off_t i = 1; i <= 100; i++) {
        lock = lock_of(F_RDLCK, 10 * i, 10 * i);
        lock_ranges_set(&ranges, &lock);
    }
    assert_false(failing_disarm());
    assert_int_equal(ranges.count, 201);
    lock_ranges_free(&ranges);
}

enum { BYTES = 24, ROUNDS = 20000 };

/* As the model says, and with no two that could be one. */
static void check_against(const struct lock_ranges *ranges, const short *model)
{
    for (int i = 0; i < BYTES; i++) {
        struct flock read_lock = lock_of(F_RDLCK, i, i == BYTES - 1 ? -1 : i);
        struct flock write_lock = read_lock;
        write_lock.l_type = F_WRLCK;
        assert_int_equal(lock_ranges_conflict(ranges, &read_lock), model[i] == F_WRLCK);
        assert_int_equal(lock_ranges_conflict(ranges, &write_lock), model[i] != F_UNLCK);
    }
    size_t runs = 0;
    for (int i = 0; i < BYTES; i++)
        runs += model[i] != F_UNLCK && (i == 0 || model[i - 1] != model[i]);
    assert_int_equal(ranges->count, runs);
}

/* Against a model that knows every byte; the last stands for all that follow. */
static void test_random(void **state)
{
    (void)state;
    static const short types[] = {F_RDLCK, F_WRLCK, F_UNLCK};
    struct prng prng = random_start(random_seed(), 1);
    struct lock_ranges ranges = {0};
    short model[BYTES];
    for (int i = 0; i < BYTES; i++)
        model[i] = F_UNLCK;
    for (int round = 0; round < ROUNDS; round++) {
        int start = (int)random_below(&prng, BYTES);
        int last = start + (int)random_below(&prng, (uint32_t)(BYTES - start));
        short type = types[random_below(&prng, 3)];
        set(&ranges, type, start, last == BYTES - 1 ? -1 : last);
        for (int i = start; i <= last; i++)
            model[i] = type;
        check_against(&ranges, model);
    }
    lock_ranges_free(&ranges);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge_and_split), cmocka_unit_test(test_ends_of_the_file),
        cmocka_unit_test(test_conflict),        cmocka_unit_test(test_reserve),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests_name("lock_ranges", tests, NULL, NULL);
}
