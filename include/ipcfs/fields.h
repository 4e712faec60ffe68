/* SPDX-License-Identifier: MIT */
/*
 * The fields of a state: one table per kind says name, type, unit and meaning of each, and the text, JSON and list
 * forms (fs/fields.c) and ctl/README all come from that table. A backend fills an array of values, parallel to it.
 */
#ifndef IPCFS_FIELDS_H
#define IPCFS_FIELDS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum ipcfs_field_type {
    IPCFS_NAME,     /* bytes chosen by a user, escaped on output; `string` */
    IPCFS_STRING,   /* text of our own; `string` */
    IPCFS_UNSIGNED, /* `number` */
    IPCFS_KEY,      /* a System V key, 0x%08x, a string in JSON; `number` */
    IPCFS_MODE,     /* permission bits, octal with a leading 0, a string in JSON; `number` */
    IPCFS_TIME,     /* RFC 3339 in UTC in text, seconds since the epoch in JSON; `time` */
};

struct ipcfs_field {
    const char *name; /* NULL ends a table */
    enum ipcfs_field_type type;
    const char *unit; /* "bytes", "" … */
    const char *help; /* a phrase */
};

struct ipcfs_value {
    bool known; /* false: the kernel did not tell; left out of text, null in JSON, "-" in a list */
    union {
        const char *string; /* borrowed: lives as long as the reference it was rendered from */
        uint64_t number;
        struct timespec time;
    };
};

/* Values that the kernel told. */
static inline struct ipcfs_value ipcfs_number(uint64_t number)
{
    return (struct ipcfs_value){.known = true, .number = number};
}

static inline struct ipcfs_value ipcfs_string(const char *string)
{
    return (struct ipcfs_value){.known = true, .string = string};
}

/* The largest number of fields a table may have. */
#define IPCFS_FIELDS_MAX 32

#endif
