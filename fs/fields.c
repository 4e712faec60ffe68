/* SPDX-License-Identifier: MIT */
#include "fields.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t fields_count(const struct ipcfs_field *fields)
{
    size_t count = 0;
    while (fields[count].name)
        count++;
    return count;
}

struct ipcfs_table *ipcfs_table_new(const struct ipcfs_field *fields, size_t rows)
{
    size_t columns = fields_count(fields);
    struct ipcfs_table *table = calloc(1, sizeof *table + rows * columns * sizeof table->cells[0]);
    if (table)
        *table = (struct ipcfs_table){.fields = fields, .columns = columns, .rows = rows};
    return table;
}

void ipcfs_values_release(const struct ipcfs_field *fields, struct ipcfs_value *values)
{
    for (size_t i = 0; fields[i].name; i++) {
        if (fields[i].type == IPCFS_TABLE && values[i].known) {
            free(values[i].table);
            values[i].known = false;
        }
    }
}

static void time_text(struct text *out, const struct timespec *time)
{
    struct tm broken;
    if (!gmtime_r(&time->tv_sec, &broken)) {
        text_printf(out, "%jd.%09ld", (intmax_t)time->tv_sec, time->tv_nsec);
        return;
    }
    text_printf(out, "%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ", broken.tm_year + 1900, broken.tm_mon + 1,
                broken.tm_mday, broken.tm_hour, broken.tm_min, broken.tm_sec, time->tv_nsec);
}

/* `one_word`: in a list, where a name ends at the first space. */
static void value_text(struct text *out, enum ipcfs_field_type type, const struct ipcfs_value *value,
                       bool one_word)
{
    switch (type) {
    case IPCFS_NAME:
        (one_word ? text_escape_word : text_escape_line)(out, value->string);
        break;
    case IPCFS_STRING:
        text_string(out, value->string);
        break;
    case IPCFS_UNSIGNED:
        text_printf(out, "%" PRIu64, value->number);
        break;
    case IPCFS_KEY:
        text_printf(out, "0x%08" PRIx64, value->number);
        break;
    case IPCFS_MODE:
        text_printf(out, "%04" PRIo64, value->number);
        break;
    case IPCFS_TIME:
        time_text(out, &value->time);
        break;
    case IPCFS_TABLE: /* has rows, no text of its own */
        break;
    }
}

static void row_text(struct text *out, const struct ipcfs_table *table, const struct ipcfs_value *row)
{
    for (size_t i = 0; i < table->columns; i++) {
        text_printf(out, "%s%s=", i ? " " : "", table->fields[i].name);
        if (row[i].known)
            value_text(out, table->fields[i].type, &row[i], true);
        else
            text_string(out, "-");
    }
}

static void table_text(struct text *out, const char *name, struct ipcfs_table *table)
{
    for (size_t i = 0; i < table->rows; i++) {
        text_printf(out, "%s.%zu: ", name, i);
        row_text(out, table, ipcfs_table_row(table, i));
        text_string(out, "\n");
    }
}

void fields_text(struct text *out, const struct ipcfs_field *fields, const struct ipcfs_value *values)
{
    for (size_t i = 0; fields[i].name; i++) {
        if (!values[i].known)
            continue;
        if (fields[i].type == IPCFS_TABLE) {
            table_text(out, fields[i].name, values[i].table);
            continue;
        }
        text_printf(out, "%s: ", fields[i].name);
        value_text(out, fields[i].type, &values[i], false);
        text_string(out, "\n");
    }
}

/* ---- JSON ---- */

static void json_release(struct json_object **object)
{
    json_object_put(*object);
}
#define AUTO_JSON __attribute__((cleanup(json_release))) struct json_object

/* The names of fields are constant, and each is there once: nothing has to be copied or looked for. */
enum { FIELD_KEY = JSON_C_OBJECT_ADD_KEY_IS_NEW | JSON_C_OBJECT_KEY_IS_CONSTANT };

/* Gives `value` to the object; also when it fails the value is no longer the caller's. `options`: of json-c. */
static int json_set(struct json_object *object, const char *key, unsigned options, struct json_object *value)
{
    if (value && json_object_object_add_ex(object, key, value, options) == 0)
        return 0;
    json_object_put(value);
    return -ENOMEM;
}

static struct json_object *json_text(const struct text *text)
{
    return text_error(text) ? NULL
                            : json_object_new_string_len(text->data ? text->data : "", (int)text->length);
}

/* Copies `bytes` with U+FFFD for what is not UTF-8; tells whether there was any. */
static bool to_utf8(struct text *out, const char *bytes)
{
    bool replaced = false;
    while (*bytes) {
        size_t sequence = utf8_sequence(bytes);
        if (sequence) {
            text_bytes(out, bytes, sequence);
            bytes += sequence;
        } else {
            text_string(out, "\xEF\xBF\xBD");
            bytes++;
            replaced = true;
        }
    }
    return replaced;
}

static int set_name_hex(struct json_object *object, const char *field, const char *bytes)
{
    char key[64];
    (void)snprintf(key, sizeof key, "%s_hex", field);
    AUTO_TEXT hex = {0};
    for (const char *byte = bytes; *byte; byte++)
        text_printf(&hex, "%02x", (unsigned char)*byte);
    return json_set(object, key, JSON_C_OBJECT_ADD_KEY_IS_NEW, json_text(&hex));
}

static int set_name(struct json_object *object, const char *field, const char *bytes)
{
    AUTO_TEXT name = {0};
    bool replaced = to_utf8(&name, bytes);
    int error = json_set(object, field, FIELD_KEY, json_text(&name));
    return error || !replaced ? error : set_name_hex(object, field, bytes);
}

/* Seconds with all nine decimals, which a double has not room for. Before 1970 the nanoseconds still count upwards. */
static struct json_object *json_time(const struct timespec *time)
{
    bool negative = time->tv_sec < 0;
    uintmax_t seconds = negative ? -(uintmax_t)time->tv_sec : (uintmax_t)time->tv_sec;
    long nanoseconds = time->tv_nsec;
    if (negative && nanoseconds) {
        seconds--;
        nanoseconds = 1000000000 - nanoseconds;
    }
    char digits[48];
    (void)snprintf(digits, sizeof digits, "%s%ju.%09ld", negative ? "-" : "", seconds, nanoseconds);
    return json_object_new_double_s((double)time->tv_sec + (double)time->tv_nsec / 1e9, digits);
}

static struct json_object *json_value(enum ipcfs_field_type type, const struct ipcfs_value *value)
{
    char digits[24];
    switch (type) {
    case IPCFS_UNSIGNED:
        return json_object_new_uint64(value->number);
    case IPCFS_MODE:
        (void)snprintf(digits, sizeof digits, "%04" PRIo64, value->number);
        return json_object_new_string(digits);
    case IPCFS_KEY:
        (void)snprintf(digits, sizeof digits, "0x%08" PRIx64, value->number);
        return json_object_new_string(digits);
    case IPCFS_TIME:
        return json_time(&value->time);
    case IPCFS_NAME:
    case IPCFS_STRING:
    case IPCFS_TABLE: /* json_table() */
        break;
    }
    return json_object_new_string(value->string);
}

static int set_value(struct json_object *object, const struct ipcfs_field *field,
                     const struct ipcfs_value *value)
{
    if (!value->known)
        return json_object_object_add_ex(object, field->name, NULL, FIELD_KEY) ? -ENOMEM
                                                                               : 0; /* json-c's null */
    if (field->type == IPCFS_NAME)
        return set_name(object, field->name, value->string);
    return json_set(object, field->name, FIELD_KEY, json_value(field->type, value));
}

/* Of the fields that are no tables. NULL without memory. */
static struct json_object *json_row(const struct ipcfs_field *fields, const struct ipcfs_value *values)
{
    struct json_object *object = json_object_new_object();
    for (size_t i = 0; object && fields[i].name && fields[i].type != IPCFS_TABLE; i++) {
        if (set_value(object, &fields[i], &values[i])) {
            json_object_put(object);
            return NULL;
        }
    }
    return object;
}

static struct json_object *json_table(struct ipcfs_table *table)
{
    struct json_object *array = json_object_new_array();
    for (size_t i = 0; array && i < table->rows; i++) {
        struct json_object *row = json_row(table->fields, ipcfs_table_row(table, i));
        if (!row || json_object_array_add(array, row)) {
            json_object_put(row);
            json_object_put(array);
            return NULL;
        }
    }
    return array;
}

/* They come after all others. */
static int set_tables(struct json_object *object, const struct ipcfs_field *fields,
                      const struct ipcfs_value *values)
{
    for (size_t i = 0; fields[i].name; i++) {
        if (fields[i].type != IPCFS_TABLE || !values[i].known)
            continue;
        int error = json_set(object, fields[i].name, FIELD_KEY, json_table(values[i].table));
        if (error)
            return error;
    }
    return 0;
}

int fields_json(struct text *out, const struct ipcfs_field *fields, const struct ipcfs_value *values)
{
    AUTO_JSON *object = json_row(fields, values);
    if (!object || set_tables(object, fields, values))
        return -ENOMEM;
    size_t length = 0;
    const char *json = json_object_to_json_string_length(
        object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &length);
    if (!json)
        return -ENOMEM;
    text_bytes(out, json, length);
    return text_error(out);
}

/* ---- list ---- */

/* Cells one after another in `cells`, each terminated; widths are known only at the end. */
struct fields_list {
    const struct ipcfs_field *fields;
    size_t columns;
    struct text cells;
    size_t widths[IPCFS_FIELDS_MAX];
};

/* Columns that a terminal shows: bytes that begin a character. */
static size_t display_width(const char *bytes, size_t length)
{
    size_t width = 0;
    for (size_t i = 0; i < length; i++)
        width += ((unsigned char)bytes[i] & 0xC0) != 0x80;
    return width;
}

static void end_cell(struct fields_list *list, size_t column, size_t start)
{
    if (text_error(&list->cells))
        return;
    size_t width = display_width(list->cells.data + start, list->cells.length - start);
    if (width > list->widths[column])
        list->widths[column] = width;
    text_bytes(&list->cells, "", 1);
}

struct fields_list *fields_list_new(const struct ipcfs_field *fields)
{
    struct fields_list *list = calloc(1, sizeof *list);
    if (!list)
        return NULL;
    list->fields = fields;
    while (fields[list->columns].name && fields[list->columns].type != IPCFS_TABLE)
        list->columns++;
    for (size_t i = 0; i < list->columns; i++) {
        size_t start = list->cells.length;
        text_string(&list->cells, fields[i].name);
        end_cell(list, i, start);
    }
    return list;
}

void fields_list_row(struct fields_list *list, const struct ipcfs_value *values)
{
    for (size_t i = 0; i < list->columns; i++) {
        size_t start = list->cells.length;
        if (values[i].known)
            value_text(&list->cells, list->fields[i].type, &values[i], true);
        else
            text_string(&list->cells, "-");
        end_cell(list, i, start);
    }
}

static void write_row(const struct fields_list *list, const char **cell, struct text *out)
{
    for (size_t i = 0; i < list->columns; i++) {
        size_t length = strlen(*cell);
        text_bytes(out, *cell, length);
        if (i + 1 < list->columns) {
            size_t pad = list->widths[i] - display_width(*cell, length) + 1;
            text_printf(out, "%*s", (int)pad, "");
        }
        *cell += length + 1;
    }
    text_string(out, "\n");
}

int fields_list_finish(struct fields_list *list, struct text *out)
{
    int error = text_error(&list->cells);
    if (!error) {
        const char *cell = list->cells.data;
        const char *end = cell + list->cells.length;
        while (cell < end)
            write_row(list, &cell, out);
        error = text_error(out);
    }
    text_reset(&list->cells);
    free(list);
    return error;
}
