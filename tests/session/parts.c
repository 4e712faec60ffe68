/* SPDX-License-Identifier: MIT */
/* Objects that are directories, and those with a size for good, by raw requests, with kinds of the test's own. */
#include "parts.h"

#include "creds.h"
#include "private_shm.h"
#include "session.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int begin_parts(void **state)
{
    parts_reset();
    later_reset();
    return begin_test(state);
}

int end_parts(void **state)
{
    int error = end_test(state);
    int left = native.holds + native.files + native.listers + native.taken + native.blocking;
    if (left || native.wrong)
        (void)fprintf(stderr, "%d of the kinds' own are left, %d calls were wrong\n", left, native.wrong);
    return left || native.wrong ? -1 : error;
}

/* ---- all of them ---- */

__attribute__((format(printf, 2, 0))) static void say_nothing(enum fuse_log_level level, const char *format,
                                                              va_list arguments)
{
    (void)level;
    (void)format;
    (void)arguments;
}

int main(void)
{
    static const struct suite *const suites[] = {&part_names_suite, &part_waits_suite, &part_commands_suite,
                                                 &fixed_suite, &part_storm_suite};
    private_shm_enter("size=64m,mode=1777");
    (void)umask(0);
    (void)alarm(500); /* nothing here may block for ever */
    fuse_set_log_func(say_nothing);
    if (session_block_signals() || creds_init())
        return EXIT_FAILURE;
    int failed = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(suites); i++)
        failed += _cmocka_run_group_tests(suites[i]->name, suites[i]->tests, suites[i]->count, NULL, NULL);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
