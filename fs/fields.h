/* SPDX-License-Identifier: MIT */
/*
 * The forms in which values of a field table are shown. Every form comes from the same table and the same values, so
 * that text, JSON and list can not disagree.
 */
#ifndef IPCFS_FS_FIELDS_H
#define IPCFS_FS_FIELDS_H

#include "ipcfs/fields.h"
#include "ipcfs/text.h"

#include <stddef.h>

size_t fields_count(const struct ipcfs_field *fields);

/* "name: value" lines. Unknown values are left out. */
void fields_text(struct text *out, const struct ipcfs_field *fields, const struct ipcfs_value *values);

/*
 * One JSON object, without a newline. A name that is not UTF-8 has U+FFFD in place of its wrong bytes, and stands
 * again, exactly, in `<field>_hex`. −ENOMEM.
 */
int fields_json(struct text *out, const struct ipcfs_field *fields, const struct ipcfs_value *values);

/* One value as one word, as it stands in a list. */
void fields_word(struct text *out, const struct ipcfs_field *field, const struct ipcfs_value *value);

/* A JSON array of them, a line each. The end is written without a newline; text_error(out) then tells how it went. */
struct fields_rows {
    const struct ipcfs_field *fields;
    struct text *out; /* borrowed */
    bool some;
};
struct fields_rows fields_rows_begin(const struct ipcfs_field *fields, struct text *out);
void fields_rows_add(struct fields_rows *rows, const struct ipcfs_value *values);
void fields_rows_end(struct fields_rows *rows);

/* A table of padded columns: the line of field names, then a line per row. */
struct fields_list;
/* NULL when out of memory. */
struct fields_list *fields_list_new(const struct ipcfs_field *fields);
void fields_list_row(struct fields_list *list, const struct ipcfs_value *values);
/* Writes the table and frees the list. 0 or −ENOMEM. */
int fields_list_finish(struct fields_list *list, struct text *out);

#endif
