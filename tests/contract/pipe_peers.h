/* SPDX-License-Identifier: MIT */
/*
 * Other processes that have pipes open, for the tests of what is shown of pipes. The FIFOs of the runtime directory stand
 * for those of a mount: its device is said to be the mount's.
 */
#ifndef IPCFS_TESTS_CONTRACT_PIPE_PEERS_H
#define IPCFS_TESTS_CONTRACT_PIPE_PEERS_H

#include "mq_users.h"
#include "subject.h"

/* As TEST(), with that device. */
int begin_pipe_test(void **state);
int end_pipe_test(void **state);
#define PIPE_TEST(function) cmocka_unit_test_setup_teardown(function, begin_pipe_test, end_pipe_test)

/* A FIFO of that mode, whoever asks; and where it really lies. */
struct ipcfs_ref make_pipe(const char *name, mode_t mode);
const char *real_path(const char *name);
/* This process opens it: it is the daemon, and no holder. */
int open_pipe(const char *name, int flags);

/* A process that calls `run`, as that user, and stops when that calls peer_ready(): then this returns. */
pid_t start_peer(uid_t uid, void (*run)(const void *data), const void *data);
void peer_ready(void);
/* It goes on behind peer_ready(). */
void let_peer_run(pid_t pid);

/* A peer becomes that user altogether. 0 or −1. */
int take_identity(uid_t uid);

/* What a peer opens, in this order; descriptors FIRST_HELD and following. No name ends it. */
enum { FIRST_HELD = 100, HELD_MAX = 8 };
struct held {
    const char *name;
    int flags;
};
/* A peer that has these open, and does nothing. */
pid_t start_holder(uid_t uid, const struct held *files);

/* ---- what is shown ---- */

/* Values of its state; release_values() is for them. */
struct shown {
    struct ipcfs_value values[IPCFS_FIELDS_MAX];
};
struct shown show(const struct ipcfs_ref *ref);
void release_shown(struct shown *shown);
/* One number; −1 where it is not known. */
long shown_number_of(const struct ipcfs_ref *ref, const char *field);
/* A control file read, and written: 0 or −errno. `reason` may be NULL. */
int read_file(const struct ipcfs_ref *ref, const char *file, struct text *out);
int write_file(const struct ipcfs_ref *ref, const char *file, const char *line, struct text *reason);

/* A row of the survey, copied: that of `name` or, without one, of the anonymous pipe `ino`. */
struct surveyed {
    bool found;
    const char *kind; /* constant */
    long ino, capacity, queued, readers, writers, mode, uid;
    char pids[512];
};
struct surveyed survey_for(const char *name, ino_t ino);

/* ---- held up ---- */

/* A peer that writes to a pipe from memory that is not there, and so has the pipe's lock until it is killed. */
pid_t start_stuck_writer(int pipe_fd);

#endif
