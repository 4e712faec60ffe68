/* SPDX-License-Identifier: MIT */
/* What ctl/sock/ shows, for tests: a state, and the rows of a list. */
#ifndef IPCFS_TESTS_CONTRACT_SOCK_SHOWN_H
#define IPCFS_TESTS_CONTRACT_SOCK_SHOWN_H

#include "sock_sockets.h"

#include "sock_show.h"

/* ---- objects ---- */

/* A regular file in sock/, open for writing. */
int make_file(const char *name);
struct ipcfs_created make_directory(const char *name);

/* ---- a state ---- */

struct state {
    struct ipcfs_value values[IPCFS_FIELDS_MAX];
};

/* 0 or −errno. */
int read_state(const char *name, struct state *out);
struct state state_of(const char *name);
void release(struct state *state);
const struct ipcfs_value *value_of(const struct state *state, const char *field);
/* NULL: it is not known. */
void must_say(const struct state *state, const char *field, const char *expected);
void must_count(const struct state *state, const char *field, uint64_t expected);
void must_be_in_state(const char *name, const char *expected);

/* ---- a list ---- */

struct row {
    struct ipcfs_value values[IPCFS_FIELDS_MAX];
    char strings[8][128];
};
struct rows {
    struct row *rows;
    size_t count;
};

/* free(3) is for `rows`. */
struct rows survey(void);
/* A row of the survey, of a struct rows. */
int keep_row(void *data, const struct ipcfs_value *values);
const struct ipcfs_value *cell(const struct row *row, const char *field);
void cell_must_say(const struct row *row, const char *field, const char *expected);
/* The one of that socket; and of that name, NULL where there is none. */
const struct row *row_of(const struct rows *rows, int fd);
const struct row *row_named(const struct rows *rows, const char *name);

#endif
