/* SPDX-License-Identifier: MIT */
/*
 * JSON (RFC 8259), written straight into the text: a list has thousands of rows, and a tree of allocated values for each
 * would cost several times what the kernel takes to tell them.
 */
#include "fields.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

/* ---- strings ---- */

/* What a byte becomes that may not stand in a string; NULL: it may. `room` is for the answer. */
static const char *escape_of(unsigned char byte, char room[7])
{
    static const char digits[] = "0123456789abcdef";
    static const char *const short_ones[] = {
        ['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n", ['\f'] = "\\f", ['\r'] = "\\r"};
    if (byte == '"')
        return "\\\"";
    if (byte == '\\')
        return "\\\\";
    if (byte >= ' ')
        return NULL;
    if (byte < sizeof short_ones / sizeof *short_ones && short_ones[byte])
        return short_ones[byte];
    const char long_one[] = {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15], '\0'};
    return memcpy(room, long_one, sizeof long_one);
}

/* How many bytes from here on stand for themselves. */
static size_t plain_run(const char *bytes)
{
    size_t length = 0;
    size_t sequence = 0;
    char room[7];
    while ((sequence = utf8_sequence(bytes + length)) && !escape_of((unsigned char)bytes[length], room))
        length += sequence;
    return length;
}

/* In quotes, with U+FFFD for what is not UTF-8; tells whether there was any. */
static bool write_string(struct text *out, const char *bytes)
{
    bool replaced = false;
    text_bytes(out, "\"", 1);
    for (;;) {
        size_t length = plain_run(bytes);
        text_bytes(out, bytes, length);
        bytes += length;
        if (!*bytes)
            break;
        char room[7];
        const char *escape = escape_of((unsigned char)*bytes, room);
        replaced = replaced || !escape;
        text_string(out, escape ? escape : "\xEF\xBF\xBD");
        bytes++;
    }
    text_bytes(out, "\"", 1);
    return replaced;
}

static void write_hex(struct text *out, const char *field, const char *bytes)
{
    static const char digits[] = "0123456789abcdef";
    text_string(out, ",\"");
    text_string(out, field);
    text_string(out, "_hex\":\"");
    for (; *bytes; bytes++) {
        unsigned char byte = (unsigned char)*bytes;
        text_bytes(out, &digits[byte >> 4], 1);
        text_bytes(out, &digits[byte & 15], 1);
    }
    text_bytes(out, "\"", 1);
}

/* ---- values ---- */

/* Seconds with all nine decimals, which a double has not room for. Before 1970 the nanoseconds still count upwards. */
static void write_time(struct text *out, const struct timespec *time)
{
    bool negative = time->tv_sec < 0;
    uint64_t seconds = negative ? -(uint64_t)time->tv_sec : (uint64_t)time->tv_sec;
    uint64_t nanoseconds = (uint64_t)time->tv_nsec;
    if (negative && nanoseconds) {
        seconds--;
        nanoseconds = 1000000000 - nanoseconds;
    }
    if (negative)
        text_bytes(out, "-", 1);
    text_number(out, seconds, 1);
    text_bytes(out, ".", 1);
    text_number(out, nanoseconds, 9);
}

static void write_value(struct text *out, const struct ipcfs_field *field, const struct ipcfs_value *value)
{
    switch (field->type) {
    case IPCFS_UNSIGNED:
        text_number(out, value->number, 1);
        break;
    case IPCFS_TENTHS:
        text_number(out, value->number / 10, 1);
        text_bytes(out, ".", 1);
        text_number(out, value->number % 10, 1);
        break;
    case IPCFS_MODE:
        text_printf(out, "\"%04" PRIo64 "\"", value->number);
        break;
    case IPCFS_KEY:
        text_printf(out, "\"0x%08" PRIx64 "\"", value->number);
        break;
    case IPCFS_TIME:
        write_time(out, &value->time);
        break;
    case IPCFS_NAME:
        if (write_string(out, value->string))
            write_hex(out, field->name, value->string);
        break;
    case IPCFS_STRING:
        (void)write_string(out, value->string);
        break;
    case IPCFS_TABLE: /* write_table() */
        break;
    }
}

/* The names of fields are constant and need no escapes. */
static void write_key(struct text *out, const char *name, bool first)
{
    text_string(out, first ? "\"" : ",\"");
    text_string(out, name);
    text_string(out, "\":");
}

/* Of the fields that are no tables, which come after all others; without the end. Tells whether there were any. */
static bool write_row(struct text *out, const struct ipcfs_field *fields, const struct ipcfs_value *values)
{
    size_t i = 0;
    text_bytes(out, "{", 1);
    for (; fields[i].name && fields[i].type != IPCFS_TABLE; i++) {
        write_key(out, fields[i].name, i == 0);
        if (values[i].known)
            write_value(out, &fields[i], &values[i]);
        else
            text_string(out, "null");
    }
    return i > 0;
}

static void write_table(struct text *out, struct ipcfs_table *table)
{
    text_bytes(out, "[", 1);
    for (size_t i = 0; i < table->rows; i++) {
        if (i > 0)
            text_bytes(out, ",", 1);
        (void)write_row(out, table->fields, ipcfs_table_row(table, i));
        text_bytes(out, "}", 1);
    }
    text_bytes(out, "]", 1);
}

int fields_json(struct text *out, const struct ipcfs_field *fields, const struct ipcfs_value *values)
{
    bool some = write_row(out, fields, values);
    for (size_t i = 0; fields[i].name; i++) {
        if (fields[i].type != IPCFS_TABLE || !values[i].known)
            continue;
        write_key(out, fields[i].name, !some);
        write_table(out, values[i].table);
        some = true;
    }
    text_bytes(out, "}", 1);
    return text_error(out);
}

/* ---- rows ---- */

struct fields_rows fields_rows_begin(const struct ipcfs_field *fields, struct text *out)
{
    text_bytes(out, "[", 1);
    return (struct fields_rows){.fields = fields, .out = out};
}

void fields_rows_add(struct fields_rows *rows, const struct ipcfs_value *values)
{
    text_string(rows->out, rows->some ? ",\n" : "\n");
    rows->some = true;
    (void)fields_json(rows->out, rows->fields, values);
}

void fields_rows_end(struct fields_rows *rows)
{
    text_string(rows->out, rows->some ? "\n]" : "]");
}
