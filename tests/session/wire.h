/* SPDX-License-Identifier: MIT */
/*
 * The kernel's end of a FUSE session.
 *
 * A socket pair stands for /dev/fuse: libfuse takes its end as "/dev/fd/N" and cannot tell the difference, because a
 * SOCK_SEQPACKET socket keeps messages whole, as the device does. Requests are written, and replies read, in the raw
 * form of Linux uapi/linux/fuse.h. Everything happens in the thread that asks: a request is sent, handled, and
 * whatever the handler wrote is there when it returns; for what others answer later there is later.h.
 */
#ifndef IPCFS_TESTS_SESSION_WIRE_H
#define IPCFS_TESTS_SESSION_WIRE_H

#include "cmocka_api.h"

#include "ipcfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <linux/fuse.h>

/* Since Linux 6.6, not in the headers of Debian 12. */
enum { OPCODE_STATX = 52 };

/* Who asks: root, and a user that has no rights here. */
struct asker {
    uint32_t uid, gid, pid;
};
extern const struct asker stranger;

struct answer {
    int error; /* 0 or −errno, from the reply's header */
    const char *data;
    size_t size;
};

struct wire {
    struct ipcfs fs;
    struct fuse_session *session;
    int peer; /* the kernel's end */
    uint64_t unique;
    unsigned notifications; /* that came so far */
    struct asker asker;
    struct fuse_init_out init; /* what the daemon answered to FUSE_INIT */
};

/* The session of the running test. */
extern struct wire wire;

/* Starts a session with handlers of the test's own: nothing but libfuse and what they call. */
void wire_start(const struct fuse_lowlevel_ops *operations);
/* Starts the daemon's, with passthrough off, and has it answer FUSE_INIT. */
void wire_start_ipcfs(void);
void wire_stop(void);
/* Set-up and tear-down of a test: the daemon's session, and no descriptor and no memory left behind. */
int begin_test(void **state);
int end_test(void **state);
#define TEST(function) cmocka_unit_test_setup_teardown(function, begin_test, end_test)

/* A request: begin, the parts of its body, and then one of the ends. */
void begin(uint32_t opcode, uint64_t node);
void add(const void *bytes, size_t size);
void add_name(const char *name); /* with its terminator */
/* Sends it and has it handled; fails the test unless there is exactly one reply, and to this request. */
struct answer ask(void);
/* The same where there must be none. */
void tell(void);
/* The asker is interrupted while the request is handled: the reply is not accepted. Ends the session's use. */
void ask_and_go_away(void);
/* Only sends it; returns its unique number. And only reads a reply, if there is one. */
uint64_t send_request(void);
bool receive_reply(struct fuse_out_header *header, struct answer *answer);
/* Whether there is one within that time, which no signal makes shorter (a fuzzer has a timer): what is rendered slowly, or
 * waits, is answered by another thread. */
bool await_reply(int timeout_ms);

/* Requests. Each returns 0 or −errno; *out is filled on success, where it is not NULL. */
int do_lookup(uint64_t parent, const char *name, struct fuse_entry_out *out);
int do_getattr(uint64_t node, struct fuse_attr *out);
int do_open(uint64_t node, int flags, struct fuse_open_out *out);
int do_opendir(uint64_t node, struct fuse_open_out *out);
int do_create(uint64_t parent, const char *name, int flags, uint32_t mode, struct fuse_entry_out *entry,
              struct fuse_open_out *open);
int do_mknod(uint64_t parent, const char *name, uint32_t mode, struct fuse_entry_out *out);
int do_release(uint64_t node, uint64_t handle);
int do_releasedir(uint64_t node, uint64_t handle);
int do_unlink(uint64_t parent, const char *name);
int do_rename(uint64_t parent, const char *name, uint64_t to_parent, const char *to_name, uint32_t flags);
int do_link(uint64_t node, uint64_t parent, const char *name, struct fuse_entry_out *out);
int do_setattr(uint64_t node, const struct fuse_setattr_in *in, struct fuse_attr *out);
int do_write(uint64_t node, uint64_t handle, const char *data, size_t size, uint64_t offset, int flags);
struct answer do_read(uint64_t node, uint64_t handle, uint32_t size, uint64_t offset);
struct answer do_readdir(uint64_t node, uint64_t handle, uint32_t size, uint64_t offset);
void do_forget(uint64_t node, uint64_t count);

/* The body of a request alone, after begin(). */
void add_open(int flags);
void add_create(const char *name, int flags, uint32_t mode);

/* The node of a path, every part of which is looked up; fails the test where there is none. */
uint64_t walk(const char *path);
/* Makes shm/NAME, closed and forgotten. */
void make_object(const char *name);
/* Lets go of what LOOKUPs have pinned after an ESTALE (fs/pins.h), so that nodes() tells what is known otherwise. */
void drop_pins(void);
size_t nodes(void);
size_t handles(void);

struct suite {
    const char *name;
    const struct CMUnitTest *tests;
    size_t count;
};
extern const struct suite replies_suite;
extern const struct suite requests_suite;
extern const struct suite nodes_suite;
extern const struct suite files_suite;
extern const struct suite directories_suite;
extern const struct suite locks_suite;
extern const struct suite processes_suite;
extern const struct suite storm_suite;
extern const struct suite host_suite;

#endif
