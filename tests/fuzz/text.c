/* SPDX-License-Identifier: MIT */
/* Names in words and lines, and back; and the forms of fields with such names, of which json-c reads the JSON. */
#include "fuzz.h"

#include "fields.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- escapes ---- */

static void check_unescaped(const struct text *escaped, const char *name)
{
    AUTO_TEXT back = {0};
    MUST(text_unescape(&back, escaped->data, escaped->length) == 0);
    MUST(back.length == strlen(name) && (!back.length || memcmp(back.data, name, back.length) == 0));
}

/* Valid UTF-8 without a control character; a space only where one may be. */
static void check_harmless(const struct text *escaped, bool keep_space)
{
    AUTO_TEXT copy = {0};
    text_bytes(&copy, escaped->data, escaped->length);
    text_bytes(&copy, "", 1);
    for (size_t at = 0; at < escaped->length;) {
        size_t sequence = utf8_sequence(copy.data + at);
        unsigned char byte = (unsigned char)copy.data[at];
        MUST(sequence > 0);
        MUST(sequence > 1 || (byte != 0x7F && (byte > ' ' || (byte == ' ' && keep_space))));
        MUST(byte != 0xC2 || (unsigned char)copy.data[at + 1] >= 0xA0);
        at += sequence;
    }
}

static void check_escapes(const char *name)
{
    AUTO_TEXT word = {0};
    AUTO_TEXT line = {0};
    text_escape_word(&word, name);
    text_escape_line(&line, name);
    check_unescaped(&word, name);
    check_unescaped(&line, name);
    check_harmless(&word, false);
    check_harmless(&line, true);
}

/* What is unescaped is a name, unless the input had a NUL byte as it is. */
static void check_unescape(const struct input *input)
{
    AUTO_TEXT name = {0};
    char *exact = input_copy(input);
    if (text_unescape(&name, exact, input->size) == 0 && !memchr(exact, '\0', input->size)) {
        MUST(!name.length || !memchr(name.data, '\0', name.length));
        text_bytes(&name, "", 1);
        check_escapes(name.data);
    }
    free(exact);
}

/* ---- fields ---- */

static const struct ipcfs_field row_fields[] = {
    {"pid", IPCFS_UNSIGNED, "", ""}, {"word", IPCFS_STRING, "", ""}, {"when", IPCFS_TIME, "", ""}, {0}};

enum { NAME, KEY, MODE, TENTHS, TIME, WORD, COUNT, TABLE, FIELDS };
static const struct ipcfs_field fields[] = {
    [NAME] = {"name", IPCFS_NAME, "", ""},
    [KEY] = {"key", IPCFS_KEY, "", ""},
    [MODE] = {"mode", IPCFS_MODE, "", ""},
    [TENTHS] = {"use", IPCFS_TENTHS, "", ""},
    [TIME] = {"time", IPCFS_TIME, "", ""},
    [WORD] = {"word", IPCFS_STRING, "", ""},
    [COUNT] = {"count", IPCFS_UNSIGNED, "", ""},
    [TABLE] = {"rows", IPCFS_TABLE, "", ""},
    [FIELDS] = {0},
};

static struct ipcfs_value time_of(struct input *input)
{
    return (struct ipcfs_value){.known = true,
                                .time = {.tv_sec = (time_t)input_number(input, 8),
                                         .tv_nsec = (long)(input_number(input, 4) % 1000000000)}};
}

static void fill(struct input *input, const char *name, struct ipcfs_value *values)
{
    unsigned known = input_byte(input);
    values[NAME] = ipcfs_string(name);
    values[KEY] = ipcfs_number(input_number(input, 4));
    values[MODE] = ipcfs_number(input_number(input, 2) & 07777);
    values[TENTHS] = ipcfs_number(input_number(input, 8));
    values[TIME] = time_of(input);
    values[WORD] = ipcfs_string("word");
    values[COUNT] = ipcfs_number(input_number(input, 8));
    values[TABLE] = (struct ipcfs_value){.table = ipcfs_table_new(row_fields, known % 4)};
    MUST(values[TABLE].table);
    for (size_t i = 0; i < values[TABLE].table->rows; i++) {
        struct ipcfs_value *row = ipcfs_table_row(values[TABLE].table, i);
        row[0] = ipcfs_number(input_number(input, 8));
        row[1].known = false;
        row[2] = time_of(input);
    }
    values[TABLE].known = true;
    for (size_t i = NAME + 1; i < TABLE; i++)
        values[i].known = !(known >> i & 1);
}

/* The name again, by its hexadecimal digits where it could not be written as it is. */
static void check_name(struct json_object *object, const char *name)
{
    struct json_object *hex = NULL;
    struct json_object *told = json_object_object_get(object, "name");
    MUST(told);
    if (!json_object_object_get_ex(object, "name_hex", &hex)) {
        MUST(strcmp(json_object_get_string(told), name) == 0);
        return;
    }
    const char *digits = json_object_get_string(hex);
    MUST(strlen(digits) == 2 * strlen(name));
    for (size_t i = 0; name[i]; i++) {
        char wanted[3];
        (void)snprintf(wanted, sizeof wanted, "%02x", (unsigned char)name[i]);
        MUST(memcmp(wanted, digits + 2 * i, 2) == 0);
    }
}

static void check_json(const char *name, const struct ipcfs_value *values)
{
    AUTO_TEXT out = {0};
    enum json_tokener_error error = json_tokener_success;
    MUST(fields_json(&out, fields, values) == 0);
    MUST(!memchr(out.data, '\0', out.length) && !memchr(out.data, '\n', out.length));
    text_bytes(&out, "", 1);
    struct json_object *object = json_tokener_parse_verbose(out.data, &error);
    MUST(object && error == json_tokener_success);
    check_name(object, name);
    struct json_object *rows = json_object_object_get(object, "rows");
    MUST(json_object_array_length(rows) == values[TABLE].table->rows);
    for (size_t i = NAME + 1; i < TABLE; i++)
        MUST(!json_object_object_get(object, fields[i].name) == !values[i].known);
    json_object_put(object);
}

static size_t count_byte(const struct text *text, char byte)
{
    size_t count = 0;
    for (size_t i = 0; i < text->length; i++)
        count += text->data[i] == byte;
    return count;
}

/* A line for each value, and for each row of the table. */
static void check_text(const struct ipcfs_value *values)
{
    AUTO_TEXT out = {0};
    size_t lines = values[TABLE].table->rows;
    for (size_t i = 0; i < TABLE; i++)
        lines += values[i].known;
    fields_text(&out, fields, values);
    MUST(text_error(&out) == 0);
    MUST(count_byte(&out, '\n') == lines);
}

/* As many words in each line of a list as there are columns; a name may be empty, and then is none. */
static void check_list(const char *name, const struct ipcfs_value *values)
{
    AUTO_TEXT out = {0};
    size_t words = 0;
    struct fields_list *list = fields_list_new(fields);
    MUST(list);
    fields_list_row(list, values);
    fields_list_row(list, values);
    MUST(fields_list_finish(list, &out) == 0);
    MUST(count_byte(&out, '\n') == 3);
    for (size_t i = 0; i < out.length; i++)
        words += out.data[i] != ' ' && out.data[i] != '\n' &&
                 (i + 1 == out.length || out.data[i + 1] == ' ' || out.data[i + 1] == '\n');
    MUST(words == 3 * TABLE - (*name ? 0 : 2));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    check_unescape(&input);
    struct input part = input_until(&input, '\0');
    char *name = input_string(&part);
    struct ipcfs_value values[FIELDS] = {0};
    check_escapes(name);
    fill(&input, name, values);
    check_json(name, values);
    check_text(values);
    check_list(name, values);
    ipcfs_values_release(fields, values);
    free(name);
    return 0;
}
