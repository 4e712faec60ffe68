/* SPDX-License-Identifier: MIT */
/*
 * The kind under test, and what the tests of the contract share.
 *
 * Every test begins and ends without objects. After each, the descriptors and the allocations of the process are
 * counted: an operation that leaves one behind fails its test.
 */
#ifndef IPCFS_TESTS_CONTRACT_SUBJECT_H
#define IPCFS_TESTS_CONTRACT_SUBJECT_H

#include "cmocka_api.h"
#include "descriptors.h"

#include "ipcfs/backend.h"

#include <fcntl.h>
#include <stdio.h>

/* What the native objects of a kind can do; the rest must be refused. */
struct traits {
    const char *kind;
    const char *what; /* for a kind whose objects are of several types: which these are */
    mode_t type;      /* what objects the common suites make: S_IFDIR …; 0: S_IFREG */
    const char *path; /* the directory in which each is a file of its name, natively; NULL: it is not so */
    bool renames;
    bool links;
    bool hides_sem;     /* "sem.*" are not the kind's names */
    bool bytes;         /* seekable content of any length, as in a regular file */
    bool messages;      /* one write, one message; the rest of what a regular file can do is refused */
    bool whole_seconds; /* times are kept in seconds */
    bool numbers;       /* named by numbers: the common suites, which choose names, are not for it */
    size_t name_max;    /* the longest name; 0: NAME_MAX */
};

extern const struct ipcfs_backend *kind;
extern const struct traits *traits;
extern const struct caller self; /* root */

/* Whether the objects are directories; and whether they, or a file in them, are opened by the kind. */
bool are_directories(void);
bool are_opened(void);

/* 0 or −errno of create(). */
int try_create(const char *name, int flags, mode_t mode, struct ipcfs_created *out);
/* Each of these fails the test where the operation fails. */
struct ipcfs_created create_object(const char *name, int flags, mode_t mode);
/* Creates it and lets go of it. */
struct ipcfs_found make_object(const char *name);
void let_go(struct ipcfs_created *object);
struct ipcfs_found find_object(const char *name);
struct statx stat_object(const struct ipcfs_ref *ref);
struct ipcfs_file *open_object(const struct ipcfs_ref *ref, int flags);
/* 0 or −errno of open(). Of an object that is a directory, of the open() of a file in it, which holds. */
int try_open(const struct ipcfs_ref *ref, int flags, struct ipcfs_file **out);
void remove_object(const char *name);
/* 0 or −errno of find(), with and without a hold, which must agree. */
int find_error(const char *name);
bool exists(const char *name);
/* How many objects list() shows. */
size_t count_objects(void);
void remove_all_objects(void);

/* The length of the longest name. */
size_t longest_name(void);
/* The permission bits that an object has where it was given those: a directory has its rights to search from the rest. */
mode_t shown_mode(mode_t given);

/* A reference as the FUSE side makes it. */
struct ipcfs_ref ref_by_name(const struct ipcfs_found *found, const char *name);
struct ipcfs_ref ref_by_hold(const struct ipcfs_created *object, const char *name);

/* Of the table of the kind: up to `messages` it has nothing but pointers, to data and to functions, and none is empty. */
void check_slots(void);
/* Its part: the tables of limits and totals. */
void check_limit_tables(void);

/* The value of that name in an array parallel to `fields`; and it is known, and that number. */
const struct ipcfs_value *find_value(const struct ipcfs_field *fields, const struct ipcfs_value *values,
                                     const char *name);
void must_be_shown(const struct ipcfs_field *fields, const struct ipcfs_value *values, const char *name,
                   uint64_t expected);

int begin_test(void **state);
int end_test(void **state);
#define TEST(function) cmocka_unit_test_setup_teardown(function, begin_test, end_test)

/* The tests, a table per file. */
struct suite {
    const char *name;
    const struct CMUnitTest *tests;
    size_t count;
    const char *only_kind; /* NULL: for every kind */
    bool only_bytes;       /* for kinds with that trait */
    bool only_messages;
    bool only_nodes; /* for kinds whose objects are files of their names, natively */
};
extern const struct suite names_suite;
extern const struct suite changes_suite;
extern const struct suite data_suite;
extern const struct suite lists_suite;
extern const struct suite failures_suite;
extern const struct suite messages_suite;
extern const struct suite locks_suite;
extern const struct suite planted_suite;
extern const struct suite shm_suite;
extern const struct suite pipe_suite;
extern const struct suite sock_suite;
extern const struct suite mq_suite;
extern const struct suite sysv_msg_suite;
extern const struct suite sysv_msg_data_suite;
extern const struct suite sysv_msg_access_suite;
extern const struct suite sysv_sem_suite;
extern const struct suite sysv_sem_files_suite;
extern const struct suite sysv_sem_wait_suite;
extern const struct suite sysv_sem_hold_suite;
extern const struct suite sysv_sem_access_suite;
extern const struct suite sysv_sem_storm_suite;
extern const struct suite sysv_shm_suite;
extern const struct suite sysv_shm_access_suite;
extern const struct suite sysv_shm_data_suite;
extern const struct suite sysv_shm_pending_suite;
extern const struct suite mq_make_suite;
extern const struct suite mq_rights_suite;
extern const struct suite posix_sem_suite;
extern const struct suite posix_sem_waits_suite;
extern const struct suite posix_sem_cut_suite;
extern const struct suite posix_sem_planted_suite;
extern const struct suite posix_sem_rights_suite;
extern const struct suite sock_diag_suite;
extern const struct suite sock_agrees_suite;
extern const struct suite sock_bound_suite;
extern const struct suite sock_show_suite;
extern const struct suite sock_survey_suite;
extern const struct suite sock_reclaim_suite;
extern const struct suite proc_fds_suite;
extern const struct suite pipe_show_suite;
extern const struct suite pipe_survey_suite;
extern const struct suite pipe_busy_suite;
extern const struct suite traces_suite;
extern const struct suite traces_bytes_suite;
extern const struct suite traces_messages_suite;
extern const struct suite traces_segment_suite;
extern const struct suite traces_queue_suite;
extern const struct suite traces_set_suite;
extern const struct suite sock_traces_suite;

#endif
