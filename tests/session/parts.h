/* SPDX-License-Identifier: MIT */
/* What the tests of objects that are directories share. */
#ifndef IPCFS_TESTS_SESSION_PARTS_H
#define IPCFS_TESTS_SESSION_PARTS_H

#include "parts_kind.h"

/* Set-up and tear-down: beside what all sessions give back, every hold, file and lock of the kinds is given back. */
int begin_parts(void **state);
int end_parts(void **state);
#define PARTS(function) cmocka_unit_test_setup_teardown(function, begin_parts, end_parts)

extern const struct suite part_names_suite;
extern const struct suite part_waits_suite;
extern const struct suite part_commands_suite;
extern const struct suite fixed_suite;
extern const struct suite part_storm_suite;

/* ---- requests that are answered later (parts.c) ---- */

/* Sends the request that was begun, and has it handled; gives its number. Replies are for late_answer(). */
uint64_t ask_later(void);
/* The reply to that request; others that come before are kept. `body`, where not NULL, has room for it. */
int late_answer(uint64_t unique, void *body, size_t size);
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
void must_close(const struct open_file *file);
/* RELEASE, whatever else is answered meanwhile. */
int release_later(uint64_t node, uint64_t handle);
int write_to(const struct open_file *file, const char *text);
/* A read of all there is. */
void must_read(const struct open_file *file, const char *expected);
void begin_write(const struct open_file *file, const char *text, int flags);
/* A read by a process, as opposed to that of a page. */
void begin_read(const struct open_file *file, int flags);
/* ctl/last-error of the asker. */
void must_have_said(const char *words);

#endif
