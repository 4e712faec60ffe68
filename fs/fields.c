/* SPDX-License-Identifier: MIT */
#include "fields.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <inttypes.h>
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
    if (!gmtime_r(&time->tv_sec, &broken) || broken.tm_year < -1900) {
        text_printf(out, "%jd.%09ld", (intmax_t)time->tv_sec, time->tv_nsec);
        return;
    }
    const struct {
        uint64_t number;
        unsigned digits;
        const char *after;
    } parts[] = {
        {(uint64_t)broken.tm_year + 1900, 4, "-"}, {(uint64_t)broken.tm_mon + 1, 2, "-"},
        {(uint64_t)broken.tm_mday, 2, "T"},        {(uint64_t)broken.tm_hour, 2, ":"},
        {(uint64_t)broken.tm_min, 2, ":"},         {(uint64_t)broken.tm_sec, 2, "."},
        {(uint64_t)time->tv_nsec, 9, "Z"},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        text_number(out, parts[i].number, parts[i].digits);
        text_bytes(out, parts[i].after, 1);
    }
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
        text_number(out, value->number, 1);
        break;
    case IPCFS_TENTHS:
        text_number(out, value->number / 10, 1);
        text_string(out, ".");
        text_number(out, value->number % 10, 1);
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

void fields_word(struct text *out, const struct ipcfs_field *field, const struct ipcfs_value *value)
{
    if (value->known)
        value_text(out, field->type, value, true);
    else
        text_string(out, "-");
}

static void row_text(struct text *out, const struct ipcfs_table *table, const struct ipcfs_value *row)
{
    for (size_t i = 0; i < table->columns; i++) {
        text_printf(out, "%s%s=", i ? " " : "", table->fields[i].name);
        fields_word(out, &table->fields[i], &row[i]);
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
        fields_word(&list->cells, &list->fields[i], &values[i]);
        end_cell(list, i, start);
    }
}

static void write_row(const struct fields_list *list, const char **cell, struct text *out)
{
    for (size_t i = 0; i < list->columns; i++) {
        size_t length = strlen(*cell);
        text_bytes(out, *cell, length);
        if (i + 1 < list->columns) {
            text_spaces(out, list->widths[i] - display_width(*cell, length) + 1);
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
