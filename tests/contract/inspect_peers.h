/* SPDX-License-Identifier: MIT */
/* Processes to be looked at, and what is told of them. */
#ifndef IPCFS_TESTS_CONTRACT_INSPECT_PEERS_H
#define IPCFS_TESTS_CONTRACT_INSPECT_PEERS_H

#include "cmocka_api.h"

#include "inspect/process.h"

#include <stdio.h>
#include <sys/stat.h>

enum { USER = 1234, OTHER_USER = 1235 };

/* Descriptors, allocations and children are counted: none may be left behind. */
int begin_inspect_test(void **state);
int end_inspect_test(void **state);
#define INSPECT_TEST(function) cmocka_unit_test_setup_teardown(function, begin_inspect_test, end_inspect_test)

/* What peers and the test tell each other, in shared memory: of TOLD_TEST(). */
struct told {
    int fds[8];
    void *addresses[8];
    struct stat stats[8];
    int id;
};
extern struct told *told;
int begin_told_test(void **state);
int end_told_test(void **state);
#define TOLD_TEST(function) cmocka_unit_test_setup_teardown(function, begin_told_test, end_told_test)

/* A name that is hard to tell, of a file that tests unlink; where it lies. */
extern const char unlinked[];

/* A process of that user altogether that calls `run`, and stops when that calls peer_ready(): then this returns. */
pid_t start_peer(uid_t uid, void (*run)(const void *data), const void *data);
void peer_ready(void);
/* It goes on behind peer_ready(). */
void let_peer_run(pid_t pid);
/* Its only thread now waits in that call: what is told of it. process_free() is for it. */
struct process await_call(pid_t pid, long number);
void kill_and_wait(pid_t pid);
/* For peers: it never comes back. */
_Noreturn void sleep_for_ever(void);

/* The calling thread as the daemon that acts for a user. */
void act_as(uid_t uid);
void act_as_root(void);

/* process_read(), which must be a success. */
struct process look_at(pid_t pid, unsigned what);
/* NULL where there is none; the test fails where there are two. */
const struct process_descriptor *descriptor_of(const struct process *process, int fd);
/* The one that begins at that address. */
const struct process_mapping *mapping_at(const struct process *process, const void *start);
const struct process_call *call_of(const struct process *process, pid_t tid);
/* That one of a walk over all, which must be a success. Pid 0: it is not there. */
struct process find_in_walk(pid_t pid, unsigned what);

int64_t now_in_ms(void);

#define TESTS_OF(name)                                                                                       \
    extern const struct CMUnitTest name##_tests[];                                                           \
    extern const size_t name##_count
TESTS_OF(inspect_process);
TESTS_OF(inspect_descriptors);
TESTS_OF(inspect_calls);
TESTS_OF(inspect_fifo);
TESTS_OF(inspect_rights);
TESTS_OF(inspect_walk);
TESTS_OF(inspect_stuck);

#endif
