/* SPDX-License-Identifier: MIT */
/* How long the device may be polled: the share holds whatever is tried, and what fails is tried less. */
#include "cmocka_api.h"

#include "poll_budget.h"

enum { SECOND_NS = 1000000000 };

static void test_never(void **state)
{
    (void)state;
    struct poll_budget budget;
    poll_budget_init(&budget, 0, 0);
    for (int i = 0; i < 1000; i++)
        assert_true(poll_budget_skips(&budget));
}

/* Polls for as long as it may, and then some more, for ten seconds, with `pause` between requests. */
static uint64_t spend(unsigned percent, uint64_t pause, bool success)
{
    struct poll_budget budget;
    uint64_t now = 12345, spent = 0, end = now + 10ULL * SECOND_NS;
    poll_budget_init(&budget, percent, now);
    while (now < end) {
        now += pause;
        if (poll_budget_skips(&budget) || !poll_budget_begin(&budget, now))
            continue;
        do {
            uint64_t began = now;
            now += POLL_WINDOW_NS;
            spent += POLL_WINDOW_NS;
            poll_budget_spent(&budget, began, now, success);
        } while (success && now < end && poll_budget_go_on(&budget, now));
    }
    return spent;
}

static void test_share(void **state)
{
    (void)state;
    static const unsigned percents[] = {1, 10, 50, 99};
    static const uint64_t pauses[] = {500, 5000, 50000, 1000000};
    for (size_t i = 0; i < ARRAY_LENGTH(percents); i++)
        for (size_t j = 0; j < ARRAY_LENGTH(pauses); j++) {
            uint64_t most = 10ULL * SECOND_NS / 100 * percents[i] + POLL_SAVED_NS;
            assert_true(spend(percents[i], pauses[j], true) <= most);
            assert_true(spend(percents[i], pauses[j], false) <= most);
        }
    assert_true(spend(50, 5000, true) > 4ULL * SECOND_NS); /* and it is used */
}

/* One window that overran, as when the thread had no CPU, is paid back before the next. */
static void test_debt(void **state)
{
    (void)state;
    struct poll_budget budget;
    poll_budget_init(&budget, 10, 0);
    poll_budget_spent(&budget, 0, SECOND_NS, true);
    assert_false(poll_budget_begin(&budget, SECOND_NS));
    assert_false(poll_budget_begin(&budget, 9ULL * SECOND_NS));
    assert_true(poll_budget_begin(&budget, 11ULL * SECOND_NS));
}

static unsigned skipped(struct poll_budget *budget)
{
    unsigned count = 0;
    while (poll_budget_skips(budget))
        count++;
    return count;
}

static void test_failures(void **state)
{
    (void)state;
    struct poll_budget budget;
    poll_budget_init(&budget, 100, 0);
    assert_int_equal(skipped(&budget), 0);
    for (unsigned expected = 1; expected <= POLL_SKIPPED_MAX; expected *= 2) {
        poll_budget_spent(&budget, 0, 1, false);
        assert_int_equal(skipped(&budget), expected);
    }
    poll_budget_spent(&budget, 0, 1, false);
    assert_int_equal(skipped(&budget), POLL_SKIPPED_MAX);
    poll_budget_spent(&budget, 0, 1, true);
    assert_int_equal(skipped(&budget), 0);
    poll_budget_spent(&budget, 0, 1, false);
    assert_int_equal(skipped(&budget), 1);
    poll_budget_crowded(&budget);
    assert_int_equal(skipped(&budget), POLL_SKIPPED_CROWD);
}

/* A clock that seems to stand still or to go back, as seen by two threads, gives nothing. */
static void test_clock(void **state)
{
    (void)state;
    struct poll_budget budget;
    poll_budget_init(&budget, 100, SECOND_NS);
    poll_budget_spent(&budget, 0, POLL_SAVED_NS, true);
    for (int i = 0; i < 1000; i++)
        assert_false(poll_budget_begin(&budget, SECOND_NS - (unsigned)i));
    assert_true(poll_budget_begin(&budget, UINT64_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_never),    cmocka_unit_test(test_share), cmocka_unit_test(test_debt),
        cmocka_unit_test(test_failures), cmocka_unit_test(test_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
