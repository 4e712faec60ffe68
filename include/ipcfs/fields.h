/* SPDX-License-Identifier: MIT */
/*
 * The fields of a state: one table per kind says name, type, unit and meaning of each, and the text, JSON and list
 * forms (fs/fields.c) and ctl/README all come from that table. A backend fills an array of values, parallel to it.
 */
#ifndef IPCFS_FIELDS_H
#define IPCFS_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum ipcfs_field_type {
    IPCFS_NAME,     /* bytes chosen by a user, escaped on output; `string` */
    IPCFS_STRING,   /* text of our own; `string` */
    IPCFS_UNSIGNED, /* `number` */
    IPCFS_TENTHS,   /* a number with one decimal, of which `number` counts the tenths */
    IPCFS_KEY,      /* a System V key, 0x%08x, a string in JSON; `number` */
    IPCFS_MODE,     /* permission bits, octal with a leading 0, a string in JSON; `number` */
    IPCFS_TIME,     /* RFC 3339 in UTC in text, seconds since the epoch in JSON; `time` */
    /* Numbered rows of fields: in text a line "NAME.0: field=value …" each, in JSON an array of objects; `table`. Lists
     * leave it out. Comes after all fields that are no tables. */
    IPCFS_TABLE,
};

struct ipcfs_table;

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
        struct ipcfs_table *table; /* owned by whoever has the values: ipcfs_values_release() */
    };
};

/* Rows of values, one malloc(3)ed piece. The fields are no tables again, and of no IPCFS_NAME. */
struct ipcfs_table {
    const struct ipcfs_field *fields;
    size_t columns; /* how many fields */
    size_t rows;
    struct ipcfs_value cells[]; /* row after row */
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

/* Of unknown cells; NULL without memory. */
struct ipcfs_table *ipcfs_table_new(const struct ipcfs_field *fields, size_t rows);
static inline struct ipcfs_value *ipcfs_table_row(struct ipcfs_table *table, size_t row)
{
    return table->cells + row * table->columns;
}
/* Frees the tables among the values. */
void ipcfs_values_release(const struct ipcfs_field *fields, struct ipcfs_value *values);

/* The largest number of fields a table may have. */
#define IPCFS_FIELDS_MAX 32

#endif
