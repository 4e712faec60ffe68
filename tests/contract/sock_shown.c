/* SPDX-License-Identifier: MIT */
#include "sock_shown.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- a state ---- */

int read_state(const char *name, struct state *out)
{
    struct ipcfs_found found = find_object(name);
    struct ipcfs_ref ref = ref_by_name(&found, name);
    memset(out, 1, sizeof *out); /* known, if nobody says otherwise */
    return sock_show_state(&ref, &found.stat, out->values);
}

struct state state_of(const char *name)
{
    struct state state;
    assert_int_equal(read_state(name, &state), 0);
    return state;
}

const struct ipcfs_value *value_of(const struct state *state, const char *field)
{
    return find_value(sock_fields, state->values, field);
}

void must_say(const struct state *state, const char *field, const char *expected)
{
    const struct ipcfs_value *value = value_of(state, field);
    assert_int_equal(value->known, expected != NULL);
    if (expected)
        assert_string_equal(value->string, expected);
}

void must_count(const struct state *state, const char *field, uint64_t expected)
{
    must_be_shown(sock_fields, state->values, field, expected);
}

void release(struct state *state)
{
    ipcfs_values_release(sock_fields, state->values);
}

void must_be_in_state(const char *name, const char *expected)
{
    struct state state = state_of(name);
    must_say(&state, "state", expected);
    release(&state);
}

int make_file(const char *name)
{
    int fd = open(node_path(name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    assert_true(fd >= 0);
    return fd;
}

/* ---- a list ---- */

int keep_row(void *data, const struct ipcfs_value *values)
{
    struct rows *rows = data;
    rows->rows = realloc(rows->rows, (rows->count + 1) * sizeof *rows->rows);
    assert_non_null(rows->rows);
    struct row *row = &rows->rows[rows->count++];
    size_t strings = 0;
    for (size_t i = 0; sock_survey_fields[i].name; i++) {
        row->values[i] = values[i];
        if (sock_survey_fields[i].type == IPCFS_UNSIGNED || !values[i].known)
            continue;
        assert_in_range(strings, 0, ARRAY_LENGTH(row->strings) - 1);
        (void)snprintf(row->strings[strings++], sizeof row->strings[0], "%s", values[i].string);
    }
    return 0;
}

/* Of an array that does not grow any more. */
static void point_to_strings(struct rows *rows)
{
    for (size_t r = 0; r < rows->count; r++) {
        size_t strings = 0;
        for (size_t i = 0; sock_survey_fields[i].name; i++)
            if (sock_survey_fields[i].type != IPCFS_UNSIGNED && rows->rows[r].values[i].known)
                rows->rows[r].values[i].string = rows->rows[r].strings[strings++];
    }
}

struct rows survey(void)
{
    struct rows rows = {0};
    assert_int_equal(sock_survey(keep_row, &rows), 0);
    point_to_strings(&rows);
    return rows;
}

const struct ipcfs_value *cell(const struct row *row, const char *field)
{
    return find_value(sock_survey_fields, row->values, field);
}

void cell_must_say(const struct row *row, const char *field, const char *expected)
{
    assert_int_equal(cell(row, field)->known, expected != NULL);
    if (expected)
        assert_string_equal(cell(row, field)->string, expected);
}

/* The row with that number in a field. */
static const struct row *row_with(const struct rows *rows, const char *field, uint64_t number)
{
    const struct row *found = NULL;
    for (size_t i = 0; i < rows->count; i++) {
        const struct ipcfs_value *value = cell(&rows->rows[i], field);
        if (!value->known || value->number != number)
            continue;
        assert_null(found);
        found = &rows->rows[i];
    }
    assert_non_null(found);
    return found;
}

const struct row *row_of(const struct rows *rows, int fd)
{
    return row_with(rows, "inode", inode_of(fd));
}

const struct row *row_named(const struct rows *rows, const char *name)
{
    const struct row *found = NULL;
    for (size_t i = 0; i < rows->count; i++) {
        const struct ipcfs_value *value = cell(&rows->rows[i], "name");
        if (!value->known || strcmp(value->string, name) != 0)
            continue;
        assert_null(found);
        found = &rows->rows[i];
    }
    return found;
}

/* ---- objects ---- */

struct ipcfs_created make_directory(const char *name)
{
    const struct ipcfs_wish wish = {.name = name, .type = S_IFDIR, .mode = 0600, .caller = &self};
    struct ipcfs_created object = {0};
    assert_int_equal(kind->create(&wish, &object), 0);
    return object;
}
