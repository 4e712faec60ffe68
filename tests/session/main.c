/* SPDX-License-Identifier: MIT */
#include "wire.h"

#include "creds.h"
#include "private_shm.h"
#include "session.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct suite *const suites[] = {
    &replies_suite, &requests_suite, &nodes_suite, &files_suite,     &directories_suite,
    &locks_suite,   &storm_suite,    &host_suite,  &processes_suite,
};

__attribute__((format(printf, 2, 0))) static void say_nothing(enum fuse_log_level level, const char *format,
                                                              va_list arguments)
{
    (void)level;
    (void)format;
    (void)arguments;
}

int main(void)
{
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
