/* SPDX-License-Identifier: MIT */
/* What the tests of listening sockets share: objects to listen for, their files, and native programs at the other end. */
#ifndef IPCFS_TESTS_CONTRACT_SOCK_LISTENER_SUBJECT_H
#define IPCFS_TESTS_CONTRACT_SOCK_LISTENER_SUBJECT_H

#include "cmocka_api.h"

#include "sock_file.h"
#include "sock_listener.h"

#include "ipcfs/caller.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { USER = 54321, OTHER = 54322, GROUP = 54323 };

/* Descriptors, allocations, children, and what is kept in the runtime directory are counted: none may be left behind. */
int begin_listener_test(void **state);
int end_listener_test(void **state);
#define LISTENER_TEST(function)                                                                              \
    cmocka_unit_test_setup_teardown(function, begin_listener_test, end_listener_test)

/* An object: a directory, as the kind `sock` makes them. */
struct ipcfs_found make_directory(const char *name, uid_t uid, gid_t gid, mode_t mode);
struct ipcfs_found find_directory(const char *name);
/* The same with its socket, of user 0 and mode 0600. */
struct ipcfs_found make_listener(const char *name, int type, unsigned backlog);
/* Both go. */
void remove_listener(const char *name);
struct ipcfs_ref ref_of(const struct ipcfs_found *object);

const struct ipcfs_verb *part(const char *name);
/* 0 or −errno of the verb's open. */
int try_open_part(const struct ipcfs_found *object, const char *name, int flags, struct ipcfs_file **out);
struct ipcfs_file *open_part(const struct ipcfs_found *object, const char *name);
int try_connect(struct ipcfs_file *file);
/* Until it is connected; fails the test after a while. */
void must_connect(struct ipcfs_file *file);
/* A file of `accept`, or of `connect`, that is connected. */
struct ipcfs_file *open_connected(const struct ipcfs_found *object, const char *name);
void close_file(struct ipcfs_file *file);
ssize_t read_file(struct ipcfs_file *file, char *buffer, size_t size);
ssize_t write_file(struct ipcfs_file *file, const char *data, size_t size);
/* One read that gives exactly this. */
void must_read(struct ipcfs_file *file, const char *expected);
void must_write(struct ipcfs_file *file, const char *data);

/* The text of `type` or `backlog`, without its newline; and a line written to it, 0 or −errno. */
void must_show(const struct ipcfs_found *object, const char *name, const char *expected);
int write_line(const struct ipcfs_found *object, const char *name, const char *line);
/* The same for one that is refused with that error, and a reason in which `words` are. */
void must_be_refused(const struct ipcfs_found *object, const char *name, const char *line, int error,
                     const char *words);

/* A native socket connected by the link's target, as somebody: a descriptor or −errno. In this process, which the daemon is. */
int connect_natively(const struct ipcfs_found *object, int type, bool block);
/* A process of that identity which connects, sends what it receives back, and ends with the connection; status 0. */
pid_t start_client(const struct ipcfs_found *object, int type, uid_t uid, gid_t gid);
/* Its status. */
int status_of(pid_t pid);

struct listener_state look_at(const struct ipcfs_found *object);
/* A row of its peers has these. `pid` 0: not known. */
void must_have_peer(const struct listener_state *state, pid_t pid, uid_t uid, gid_t gid, const char *via);
uint64_t peer_number(const struct listener_state *state, size_t row, const char *name);
void let_state_go(struct listener_state *state);

/* A thread that calls try_connect() as a keeper does. */
struct keeper {
    struct ipcfs_file *file;
    pthread_t thread;
    int result;
};
void start_keeper(struct keeper *keeper, struct ipcfs_file *file);
/* Whether it has ended after so long. */
bool has_ended(struct keeper *keeper, int milliseconds);
/* Signals until it ends; its result. */
int interrupt(struct keeper *keeper);
void let_signals_come(void);

int count_descriptors(void);
int count_kept(void);
void pause_ms(long milliseconds);

extern const struct CMUnitTest listener_data_tests[];
extern const size_t listener_data_count;
extern const struct CMUnitTest listener_waits_tests[];
extern const size_t listener_waits_count;
extern const struct CMUnitTest listener_rights_tests[];
extern const size_t listener_rights_count;
extern const struct CMUnitTest listener_kept_tests[];
extern const size_t listener_kept_count;

#endif
