/* SPDX-License-Identifier: MIT */
/* Many who wait for a lock of a file that all of them have open: who could end each wait is not kept for all of them. */
#include "cmocka_api.h"
#include "failing.h"

#include "inspect/deadlocks.h"

#include <stdlib.h>

enum { HOLDERS_MAX = 1024 * 1024, MANY = 1100 };

static struct {
    struct process processes[MANY];
    struct inspected_use uses[2 * MANY];
    size_t users[2 * MANY];
    struct inspected_object file;
    struct inspection inspection;
} seen;

static int begin(void **state)
{
    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        seen.processes[i] =
            (struct process){.pid = (pid_t)(100 + i), .threads = 1, .readable = true, .calls_known = true};
        seen.uses[2 * i] = (struct inspected_use){
            .process = i, .how = USE_DESCRIPTOR, .reads = true, .writes = true, .member = -1};
        seen.uses[2 * i + 1] = (struct inspected_use){.process = i,
                                                      .how = USE_WAITING,
                                                      .exclusive = true,
                                                      .member = -1,
                                                      .tid = (pid_t)(100 + i),
                                                      .call = "fcntl"};
        seen.users[2 * i] = 2 * i;
        seen.users[2 * i + 1] = 2 * i + 1;
    }
    seen.file = (struct inspected_object){
        .type = INSPECTED_FILE, .number = 1, .name = "/file", .users = seen.users, .user_count = 2L * MANY};
    seen.inspection = (struct inspection){.processes = seen.processes,
                                          .process_count = MANY,
                                          .objects = &seen.file,
                                          .object_count = 1,
                                          .uses = seen.uses,
                                          .use_count = 2L * MANY};
    return 0;
}

static void test_too_many_holders(void **state)
{
    (void)state;
    struct waits *waits = NULL;
    struct deadlocks *deadlocks = NULL;
    assert_int_equal(waits_make(&seen.inspection, &waits), 0);
    assert_int_equal(waits->count, MANY);
    assert_true(waits->holder_count <= HOLDERS_MAX && waits->holder_count > HOLDERS_MAX - MANY);
    size_t told = 0;
    for (size_t i = 0; i < waits->waited_count; i++) {
        const struct waited *waited = &waits->waited[i];
        assert_true(waited->count == MANY || (waited->count == 0 && waited->evidence == EVIDENCE_NONE));
        told += waited->count > 0;
    }
    assert_int_equal(told, HOLDERS_MAX / MANY);
    assert_int_equal(deadlocks_find(waits, &deadlocks), 0);
    assert_int_equal(deadlocks->count, 0); /* those of whom nothing is told may act */
    deadlocks_free(deadlocks);
    waits_free(waits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup(test_too_many_holders, begin)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
