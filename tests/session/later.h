/* SPDX-License-Identifier: MIT */
/* Requests that are answered later, and open files that are read and written by them. */
#ifndef IPCFS_TESTS_SESSION_LATER_H
#define IPCFS_TESTS_SESSION_LATER_H

#include "wire.h"

#include <stdatomic.h>

/* At the begin of a test: there are no replies. */
void later_reset(void);
/* Sends the request that was begun, and has it handled; gives its number. Replies are for late_answer(). */
uint64_t ask_later(void);
/* The reply to that request; others that come before are kept. `body`, where not NULL, has room for it. */
int late_answer(uint64_t unique, void *body, size_t size);
/* The same; gives the size of the reply's body, or −errno. */
ssize_t late_bytes(uint64_t unique, void *body, size_t room);
/* Nobody is answered for a while. */
void must_still_wait(void);
void interrupt(uint64_t unique);
/* Until so many wait; until a count of the kinds' is this, as of keepers in their native calls; and until so many handles
 * are left: who answers a request lets go of what it had afterwards. */
void await_parked(size_t count);
void await_count(const atomic_int *count, int value);
void await_handles(size_t count);

struct open_file {
    uint64_t node, handle;
    uint32_t flags;
};
struct open_file must_open(const char *path, int flags);
/* An OPEN that waits; gives its number. And the late reply to it. */
uint64_t open_later(uint64_t node, int flags);
struct open_file opened(uint64_t unique, uint64_t node);
void must_close(const struct open_file *file);
/* RELEASE, whatever else is answered meanwhile. */
int release_later(uint64_t node, uint64_t handle);
int write_to(const struct open_file *file, const char *text);
/* A read of all there is. */
void must_read(const struct open_file *file, const char *expected);
void begin_write(const struct open_file *file, const char *text, int flags);
void begin_write_of(const struct open_file *file, const void *data, size_t size, int flags);
/* A read by a process, as opposed to that of a page, of READ_SIZE. */
enum { READ_SIZE = 100 };
void begin_read(const struct open_file *file, int flags);
void begin_read_of(const struct open_file *file, size_t size, int flags);
/* ctl/last-error of the asker. */
void must_have_said(const char *words);

#endif
