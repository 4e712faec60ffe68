/* SPDX-License-Identifier: MIT */
/*
 * Processes that use and wait for known things, and what an inspection tells of them. The FUSE side is made up: nodes of the
 * runtime directory stand for those of a mount, and requests and locks there are what a test says.
 */
#ifndef IPCFS_TESTS_CONTRACT_INSPECT_JOIN_SUBJECT_H
#define IPCFS_TESTS_CONTRACT_INSPECT_JOIN_SUBJECT_H

#include "cmocka_api.h"

#include "inspect/inspection.h"

enum { USER = 1234, CHILDREN_MAX = 16 };

/* ---- the mount ---- */

enum { MADE_UP_MAX = 8 };
struct made_up {
    const char *mountpoint;
    struct {
        uint64_t ino;
        struct inspection_node node;
    } nodes[MADE_UP_MAX];
    struct inspection_parked parked[MADE_UP_MAX];
    struct inspection_mount_lock locks[MADE_UP_MAX];
    size_t node_count, parked_count, lock_count;
};
extern struct made_up made_up; /* empty at the start of each test */
extern const struct inspection_host host;

const struct ipcfs_backend *kind_of(const char *name);
/* Where a node of the mount lies, of a kind with nodes; and its inode number. */
const char *path_in(const char *kind, const char *name);
uint64_t ino_of(const char *path);
ino_t ino_of_fd(int fd);
/* That node is an object of the kind, or the part of one with that number. */
void add_node(const char *path, const char *kind, const char *part, uint64_t number);

/* ---- processes ---- */

/* A process that calls `run`, and then does nothing until it is killed, at the latest at the end of the test. Returns when it
 * has come to ready(). */
pid_t start_child(void (*run)(void));
void ready(void);
/* Returns when a thread of it waits in that system call. */
void await_call(pid_t pid, long number);
/* The first thread of it that does. */
pid_t thread_in(pid_t pid, long number);
/* Until it is killed. */
void stay(void);

/* ---- what is told ---- */

/* Freed at the end of the test, or by the next. */
const struct inspection *look(unsigned what);

/* Each fails the test where there is not exactly one. */
const struct inspected_object *object_named(const char *kind_word, const char *name);
const struct inspected_use *use_of(const struct inspected_object *object, pid_t pid, enum inspected_how how);
size_t count_uses(const struct inspected_object *object, pid_t pid, enum inspected_how how);
/* NULL. */
const struct inspected_object *find_object(const char *kind_word, const char *name);
const struct inspected_use *wait_of(pid_t pid);
size_t count_waits(pid_t pid);
bool has_lock(const struct inspected_object *object, pid_t holder, pid_t waiter);
/* Everything in it agrees with everything else. */
void check_order(const struct inspection *inspection);

int begin_join(void **state);
int end_join(void **state);
#define JOIN_TEST(function) cmocka_unit_test_setup_teardown(function, begin_join, end_join)

/* While it is not NULL, these processes are all there are. */
struct made_processes {
    size_t count, descriptors;
    uid_t uid;
};
extern const struct made_processes *made_processes;

extern const struct CMUnitTest join_recognize_tests[], join_use_tests[], join_wait_tests[], join_lock_tests[],
    join_socket_tests[], join_limit_tests[], join_deadlock_tests[];
extern const size_t join_recognize_count, join_use_count, join_wait_count, join_lock_count, join_socket_count,
    join_limit_count, join_deadlock_count;

#endif
