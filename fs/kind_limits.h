/* SPDX-License-Identifier: MIT */
/* What limits the objects of all kinds, as one reading found it: for ctl/limits and ctl/metrics. */
#ifndef IPCFS_FS_KIND_LIMITS_H
#define IPCFS_FS_KIND_LIMITS_H

#include "ipcfs/backend.h"

#include <stddef.h>

struct ipcfs;

struct kind_limits {
    const char *kind;
    const struct ipcfs_field *fields;
    const struct ipcfs_limit *rows;
    const struct ipcfs_total *totals;
    struct ipcfs_value
        values[IPCFS_FIELDS_MAX]; /* of `fields`; none is known of a kind that could not be asked */
};

struct limits {
    size_t count;
    struct kind_limits kinds[];
};

/* Asks all kinds, as the caller. Owned: free(3). 0 or −ENOMEM. */
int limits_read(const struct ipcfs *fs, const struct caller *caller, struct limits **out);

/* The limit of a row, and what is used of it, each unknown where it is not told. A limit that is none is not known. */
struct ipcfs_value limits_value(const struct kind_limits *kind, const struct ipcfs_limit *row);
struct ipcfs_value limits_used(const struct kind_limits *kind, const struct ipcfs_limit *row);
/* How much of the one the other is: tenths of a per cent, rounded down, so that 100.0 is reached and not nearly so. */
struct ipcfs_value limits_percent(struct ipcfs_value used, struct ipcfs_value limit);
/* "namespace", "user" … */
const char *limits_scope_name(enum ipcfs_scope scope);

/* The columns of ctl/limits. */
extern const struct ipcfs_field limits_fields[];

#endif
