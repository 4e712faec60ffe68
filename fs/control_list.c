/* SPDX-License-Identifier: MIT */
#include "control_views.h"

#include "fields.h"
#include "ipcfs.h"

#include <errno.h>
#include <string.h>

/* ---- ctl/<kind>/list ---- */

/* What the rows of a kind's lists have. */
static const struct ipcfs_field *list_fields(const struct ipcfs_backend *kind)
{
    return kind->survey_fields->name ? kind->survey_fields : kind->fields;
}

/* Calls `row` with the values of every object of a kind, or with what a survey finds. Objects that vanish meanwhile are
 * passed over. */
static int for_each_row(const struct ipcfs_backend *kind, ipcfs_survey_row *row, void *data)
{
    if (kind->survey_fields->name)
        return kind->survey(row, data);
    struct ipcfs_lister *lister = NULL;
    int error = kind->list_open(0, &lister);
    if (error)
        return error;
    struct ipcfs_entry entry;
    while (!error && (error = kind->list_next(lister, &entry)) == 1) {
        struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
        error = kind->list_render(lister, &entry, values);
        if (error == -ENOENT || error == -ESTALE)
            error = 0;
        else if (!error)
            error = row(data, values);
    }
    kind->list_close(lister);
    return error;
}

static int list_row(void *list, const struct ipcfs_value *values)
{
    fields_list_row(list, values);
    return 0;
}

int control_kind_list(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                      struct text *out)
{
    (void)caller;
    (void)fs;
    struct fields_list *list = fields_list_new(list_fields(kind));
    if (!list)
        return -ENOMEM;
    int error = for_each_row(kind, list_row, list);
    int finish_error = fields_list_finish(list, out);
    return error ? error : finish_error;
}

/* ---- ctl/<kind>/list.json ---- */

static int json_row(void *rows, const struct ipcfs_value *values)
{
    fields_rows_add(rows, values);
    return text_error(((const struct fields_rows *)rows)->out);
}

/* The array, without a newline behind it. */
static int write_rows(const struct ipcfs_backend *kind, struct text *out)
{
    struct fields_rows rows = fields_rows_begin(list_fields(kind), out);
    int error = for_each_row(kind, json_row, &rows);
    fields_rows_end(&rows);
    return error ? error : text_error(out);
}

int control_kind_list_json(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                           struct text *out)
{
    (void)caller;
    (void)fs;
    int error = write_rows(kind, out);
    text_string(out, "\n");
    return error;
}

/* ---- ctl/list.json ---- */

/* A kind that can not be listed takes the others from nobody: an object stands in place of its array. */
static int write_kind(const struct ipcfs_backend *kind, bool first, struct text *out)
{
    text_string(out, first ? "\"" : ",\n\"");
    text_string(out, kind->kind);
    text_string(out, "\":");
    size_t start = out->length;
    int error = write_rows(kind, out);
    if (text_error(out))
        return text_error(out);
    if (error) {
        out->length = start; /* not half of it */
        const char *name = strerrorname_np(-error);
        text_printf(out, "{\"error\":\"%s\"}", name ? name : "EIO");
    }
    return 0;
}

int control_list_json(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                      struct text *out)
{
    (void)kind;
    (void)caller;
    int error = 0;
    text_string(out, "{");
    for (size_t i = 0; !error && fs->tree.kinds[i]; i++)
        error = write_kind(fs->tree.kinds[i], i == 0, out);
    text_string(out, "}\n");
    return error;
}
