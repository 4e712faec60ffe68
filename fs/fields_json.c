/* SPDX-License-Identifier: MIT */
/*
 * JSON (RFC 8259). Strings are json-c's to write. What stands around them is written straight into the text: a list has
 * thousands of rows, and a tree of allocated values for each costs several times what the kernel takes to tell them.
 */
#include "fields.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <string.h>

/* ---- strings ---- */

static void json_release(struct json_object **object)
{
    json_object_put(*object);
}
#define AUTO_JSON __attribute__((cleanup(json_release))) struct json_object

static size_t valid_length(const char *bytes)
{
    size_t length = 0;
    size_t sequence = 0;
    while ((sequence = utf8_sequence(bytes + length)))
        length += sequence;
    return length;
}

/* Copies `bytes` with U+FFFD for what is not UTF-8. */
static void to_utf8(struct text *out, const char *bytes)
{
    for (;;) {
        size_t length = valid_length(bytes);
        text_bytes(out, bytes, length);
        bytes += length;
        if (!*bytes)
            return;
        text_string(out, "\xEF\xBF\xBD");
        bytes++;
    }
}

/*
 * How long they are in quotes (RFC 8259, section 7). json-c does not tell that it had no memory amid a string: it leaves out what
 * its buffer could not grow for (json_escape_str() in json_object.c), and what it gives is shorter than this.
 */
static size_t quoted_length(const char *bytes, size_t length)
{
    size_t quoted = 2;
    for (size_t i = 0; i < length; i++)
        if (strchr("\b\t\n\f\r\"\\", bytes[i]))
            quoted += 2;
        else
            quoted += (unsigned char)bytes[i] < ' ' ? 6 : 1;
    return quoted;
}

/* In quotes. */
static void write_valid(struct text *out, const char *bytes, size_t length)
{
    size_t size = 0;
    AUTO_JSON *string = json_object_new_string_len(bytes, (int)length);
    const char *json = string ? json_object_to_json_string_length(
                                    string, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &size)
                              : NULL;
    if (json && size == quoted_length(bytes, length))
        text_bytes(out, json, size);
    else if (!out->error)
        out->error = -ENOMEM;
}

/* In quotes, with U+FFFD for what is not UTF-8; tells whether there was any. */
static bool write_string(struct text *out, const char *bytes)
{
    size_t length = valid_length(bytes);
    if (!bytes[length]) {
        write_valid(out, bytes, length);
        return false;
    }
    AUTO_TEXT valid = {0};
    to_utf8(&valid, bytes);
    if (text_error(&valid))
        out->error = text_error(&valid);
    else
        write_valid(out, valid.data, valid.length);
    return true;
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
