/* SPDX-License-Identifier: MIT */
/* Users and their processes, for the tests of POSIX message queues. */
#ifndef IPCFS_TESTS_CONTRACT_MQ_USERS_H
#define IPCFS_TESTS_CONTRACT_MQ_USERS_H

#include "subject.h"

#include <mqueue.h>
#include <sys/resource.h>

enum { USER = 1234, OTHER_USER = 1235, LONELY_USER = 61234 };

/* This process acts as the daemon does for a caller: by its effective ids. */
void act_as(uid_t uid);
void act_as_root(void);

/* create() as him; what it makes is let go of. */
int create_as(uid_t uid, const struct ipcfs_wish *wish);
int create_name_as(uid_t uid, const char *name);

/* A process of that user altogether, who ends with status `run()`; RLIMIT_MSGQUEUE, where not 0. */
pid_t start_process(uid_t uid, rlim_t limit, int (*run)(void));
/* One that does nothing, and is ready at the return of this. */
pid_t start_idle_process(uid_t uid, rlim_t limit);
int end_of(pid_t pid);
int run_as(uid_t uid, rlim_t limit, int (*run)(void));
void kill_and_wait(pid_t pid);

mqd_t native_open(const char *name, int flags);

#endif
