/* SPDX-License-Identifier: MIT */
/*
 * Processes that can not be looked at: each closes a file in the middle of an execve(2), and the file system that it is
 * of does not answer. Until it does, whoever asks for the process waits (exec_update_lock, Linux fs/exec.c), for most of
 * what /proc tells.
 */
#ifndef IPCFS_TESTS_CONTRACT_INSPECT_SILENT_H
#define IPCFS_TESTS_CONTRACT_INSPECT_SILENT_H

#include <sys/types.h>

/* A file system, which is one file, whose server never answers a flush or a read. */
struct silent {
    const char *path;
    pid_t server;
    _Atomic int *flushes; /* that wait */
};
struct silent start_silent(void);
/* The server ends: what waits for it goes on. */
void end_silent(const struct silent *silent);

/* The server ends, also where the test failed. */
int end_silent_test(void **state);
#define SILENT_TEST(function) cmocka_unit_test_setup_teardown(function, begin_inspect_test, end_silent_test)

/* A child of that name, of that user, that is now in such an execve(2). */
pid_t start_stuck(const struct silent *silent, uid_t uid, const char *name);
#endif
