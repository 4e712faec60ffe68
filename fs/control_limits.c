/* SPDX-License-Identifier: MIT */
#include "control_views.h"

#include "fields.h"
#include "ipcfs.h"
#include "kind_limits.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- ctl/<kind>/limits ---- */

int control_kind_limits(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                        struct text *out)
{
    (void)fs;
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    int error = kind->limits(caller, values);
    if (!error)
        fields_text(out, kind->limit_fields, values);
    return error;
}

int control_kind_limits_json(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                             struct text *out)
{
    (void)fs;
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    int error = kind->limits(caller, values);
    if (!error)
        error = fields_json(out, kind->limit_fields, values);
    text_string(out, "\n");
    return error;
}

/* ---- all kinds ---- */

static void read_kind(const struct ipcfs_backend *kind, const struct caller *caller, struct kind_limits *out)
{
    *out = (struct kind_limits){
        .kind = kind->kind, .fields = kind->limit_fields, .rows = kind->limit_rows, .totals = kind->totals};
    if (kind->limits(caller, out->values))
        memset(out->values, 0, sizeof out->values);
}

static void read_files(const struct caller *caller, struct kind_limits *out)
{
    static const struct ipcfs_total none[] = {{0}};
    *out = (struct kind_limits){
        .kind = "files", .fields = ipcfs_file_limit_fields, .rows = ipcfs_file_limit_rows, .totals = none};
    if (ipcfs_file_limits(caller, out->values))
        memset(out->values, 0, sizeof out->values);
}

int limits_read(const struct ipcfs *fs, const struct caller *caller, struct limits **out)
{
    size_t kinds = 0;
    while (fs->tree.kinds[kinds])
        kinds++;
    struct limits *limits = calloc(1, sizeof *limits + (kinds + 1) * sizeof limits->kinds[0]);
    if (!limits)
        return -ENOMEM;
    for (size_t i = 0; i < kinds; i++)
        read_kind(fs->tree.kinds[i], caller, &limits->kinds[i]);
    read_files(caller, &limits->kinds[kinds]);
    limits->count = kinds + 1;
    *out = limits;
    return 0;
}

struct ipcfs_value limits_value(const struct kind_limits *kind, const struct ipcfs_limit *row)
{
    struct ipcfs_value value = kind->values[row->limit];
    value.known = value.known && (value.number || !row->zero_is_none);
    return value;
}

struct ipcfs_value limits_used(const struct kind_limits *kind, const struct ipcfs_limit *row)
{
    struct ipcfs_value unknown = {.known = false};
    return row->used == IPCFS_NO_USE ? unknown : kind->values[row->used];
}

struct ipcfs_value limits_percent(struct ipcfs_value used, struct ipcfs_value limit)
{
    if (!used.known || !limit.known || !limit.number)
        return (struct ipcfs_value){.known = false};
    __extension__ typedef unsigned __int128 wide; /* a use in bytes, times 1000 */
    return ipcfs_number((uint64_t)((wide)used.number * 1000 / limit.number));
}

const char *limits_scope_name(enum ipcfs_scope scope)
{
    static const char *const names[] = {
        [IPCFS_LIMITS_SYSTEM] = "system",         [IPCFS_LIMITS_NAMESPACE] = "namespace",
        [IPCFS_LIMITS_FILESYSTEM] = "filesystem", [IPCFS_LIMITS_USER] = "user",
        [IPCFS_LIMITS_PROCESS] = "process",       [IPCFS_LIMITS_OBJECT] = "object",
    };
    return names[scope];
}

/* ---- ctl/limits ---- */

enum {
    FIELD_KIND,
    FIELD_LIMIT,
    FIELD_PERCENT,
    FIELD_USED,
    FIELD_VALUE,
    FIELD_UNIT,
    FIELD_SCOPE,
    FIELD_WHERE,
    FIELDS,
};

const struct ipcfs_field limits_fields[] = {
    [FIELD_KIND] = {"kind", IPCFS_STRING, "", "of object; files: whatever is open"},
    [FIELD_LIMIT] = {"limit", IPCFS_STRING, "", "as in ctl/<kind>/limits, which says what it means"},
    [FIELD_PERCENT] = {"percent", IPCFS_TENTHS, "",
                       "of it that is used; -: there is no limit, or nothing to add up"},
    [FIELD_USED] = {"used", IPCFS_UNSIGNED, "", "as far as the kernel tells it"},
    [FIELD_VALUE] = {"value", IPCFS_UNSIGNED, "", "the limit itself; -: unlimited"},
    [FIELD_UNIT] = {"unit", IPCFS_STRING, "", "of the two; -: they are counts"},
    [FIELD_SCOPE] =
        {"scope", IPCFS_STRING, "",
         "what counts together: all of the system, the namespace, the filesystem, of you as a user, "
         "of your process; or object: each object or call for itself"},
    [FIELD_WHERE] = {"where", IPCFS_STRING, "", "it is set"},
    {0},
};

static void fill_row(const struct kind_limits *kind, const struct ipcfs_limit *row,
                     struct ipcfs_value *values)
{
    const struct ipcfs_field *field = &kind->fields[row->limit];
    values[FIELD_KIND] = ipcfs_string(kind->kind);
    values[FIELD_LIMIT] = ipcfs_string(field->name);
    values[FIELD_VALUE] = limits_value(kind, row);
    values[FIELD_USED] = limits_used(kind, row);
    values[FIELD_PERCENT] = limits_percent(values[FIELD_USED], values[FIELD_VALUE]);
    values[FIELD_UNIT] = (struct ipcfs_value){.known = *field->unit, .string = field->unit};
    values[FIELD_SCOPE] = ipcfs_string(limits_scope_name(row->scope));
    values[FIELD_WHERE] = ipcfs_string(row->where);
}

static void for_each_limit(const struct limits *limits, void (*visit)(void *, const struct ipcfs_value *),
                           void *data)
{
    for (size_t i = 0; i < limits->count; i++) {
        const struct kind_limits *kind = &limits->kinds[i];
        for (const struct ipcfs_limit *row = kind->rows; row->where; row++) {
            struct ipcfs_value values[FIELDS] = {0};
            fill_row(kind, row, values);
            visit(data, values);
        }
    }
}

static void list_row(void *list, const struct ipcfs_value *values)
{
    fields_list_row(list, values);
}

static void json_row(void *rows, const struct ipcfs_value *values)
{
    fields_rows_add(rows, values);
}

int control_limits(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                   struct text *out)
{
    (void)kind;
    AUTO_FREE struct limits *limits = NULL;
    int error = limits_read(fs, caller, &limits);
    if (error)
        return error;
    struct fields_list *list = fields_list_new(limits_fields);
    if (!list)
        return -ENOMEM;
    for_each_limit(limits, list_row, list);
    return fields_list_finish(list, out);
}

int control_limits_json(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                        struct text *out)
{
    (void)kind;
    AUTO_FREE struct limits *limits = NULL;
    int error = limits_read(fs, caller, &limits);
    if (error)
        return error;
    struct fields_rows rows = fields_rows_begin(limits_fields, out);
    for_each_limit(limits, json_row, &rows);
    fields_rows_end(&rows);
    text_string(out, "\n");
    return text_error(out);
}
