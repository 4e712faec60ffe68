/* SPDX-License-Identifier: MIT */
#include "cmocka_api.h"

#include "metrics.h"
#include "openmetrics.h"

#include <time.h>

static struct metrics metrics;

static int clear(void **state)
{
    (void)state;
    for (unsigned op = 0; op < METRIC_OP_COUNT; op++) {
        struct metric_requests *requests = &metrics.requests[op];
        atomic_store(&requests->count, 0);
        atomic_store(&requests->nanoseconds, 0);
        for (unsigned i = 0; i < METRIC_BUCKETS; i++)
            atomic_store(&requests->buckets[i], 0);
    }
    return 0;
}

static uint64_t total_of(const struct metric_requests *requests)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < METRIC_BUCKETS; i++)
        total += atomic_load(&requests->buckets[i]);
    return total;
}

/* ---- time ---- */

static void handler(unsigned milliseconds)
{
    METRIC_TIMER timer = metrics_begin(&metrics, METRIC_write);
    const struct timespec pause = {.tv_nsec = milliseconds * 1000000L};
    if (milliseconds)
        (void)nanosleep(&pause, NULL);
}

static void test_time(void **state)
{
    (void)state;
    const struct metric_requests *requests = &metrics.requests[METRIC_write];
    handler(20);
    assert_int_equal(atomic_load(&requests->count), 1);
    assert_int_equal(total_of(requests), 1);
    assert_true(atomic_load(&requests->nanoseconds) >= 20000000);
    assert_int_equal(atomic_load(&requests->buckets[7]), 0); /* no longer than 10 ms */
    for (int i = 0; i < 1000; i++)
        handler(0);
    assert_int_equal(atomic_load(&requests->count), 1001);
    assert_int_equal(total_of(requests), 1001);
    assert_true(atomic_load(&requests->buckets[0]) > 900); /* to do nothing takes no 10 us */
    for (unsigned op = 0; op < METRIC_OP_COUNT; op++)
        if (op != METRIC_write)
            assert_int_equal(total_of(&metrics.requests[op]) + atomic_load(&metrics.requests[op].count), 0);
}

/* A request that has begun is counted, but has taken no time yet. */
static void test_unfinished(void **state)
{
    (void)state;
    struct metric_timer timer = metrics_begin(&metrics, METRIC_read);
    assert_int_equal(atomic_load(&metrics.requests[METRIC_read].count), 1);
    assert_int_equal(total_of(&metrics.requests[METRIC_read]), 0);
    metrics_end(&timer);
    assert_int_equal(total_of(&metrics.requests[METRIC_read]), 1);
}

/* Each bound belongs to the bucket that it ends. */
static void test_bounds(void **state)
{
    (void)state;
    for (unsigned i = 0; i + 1 < METRIC_BUCKETS; i++) {
        assert_int_equal(metrics_bucket(metric_bounds[i] - 1), i);
        assert_int_equal(metrics_bucket(metric_bounds[i]), i);
        assert_int_equal(metrics_bucket(metric_bounds[i] + 1), i + 1);
    }
    assert_int_equal(metrics_bucket(0), 0);
    assert_int_equal(metrics_bucket(UINT64_MAX), METRIC_BUCKETS - 1);
}

/* ---- OpenMetrics ---- */

static void assert_text(struct text *text, const char *expected)
{
    assert_int_equal(text_error(text), 0);
    text_bytes(text, "", 1);
    assert_string_equal(text->data, expected);
}

static void test_family(void **state)
{
    (void)state;
    AUTO_TEXT text = {0};
    openmetrics_family(&text, "a_bytes", "gauge", "bytes", "How much.");
    openmetrics_family(&text, "b", "counter", "", "How many.");
    openmetrics_gauge(&text, "c", "", "One.", UINT64_MAX);
    assert_text(&text, "# TYPE a_bytes gauge\n# UNIT a_bytes bytes\n# HELP a_bytes How much.\n"
                       "# TYPE b counter\n# HELP b How many.\n"
                       "# TYPE c gauge\n# HELP c One.\nc 18446744073709551615\n");
}

static void test_labels(void **state)
{
    (void)state;
    AUTO_TEXT text = {0};
    text_string(&text, "a");
    openmetrics_label(&text, true, "plain", "x y");
    openmetrics_label(&text, false, "odd", "\"\\\nn\xC3\xA4");
    openmetrics_label(&text, false, "none", "");
    text_string(&text, "} ");
    openmetrics_seconds(&text, 12000000345);
    assert_text(&text, "a{plain=\"x y\",odd=\"\\\"\\\\\\nn\xC3\xA4\",none=\"\"} 12.000000345\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_time, clear),
        cmocka_unit_test_setup(test_unfinished, clear),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_family),
        cmocka_unit_test(test_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
