/* SPDX-License-Identifier: MIT */
#include "cmocka_api.h"
#include "failing.h"

#include "fields.h"

#include <errno.h>
#include <json-c/json.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME, WORDS, NUMBER, MODE, TIME, FIELDS };

static const struct ipcfs_field table[] = {
    [NAME] = {"name", IPCFS_NAME, "", "any bytes"},
    [WORDS] = {"words", IPCFS_STRING, "", "our own"},
    [NUMBER] = {"number", IPCFS_UNSIGNED, "bytes", "a number"},
    [MODE] = {"mode", IPCFS_MODE, "", "permission bits"},
    [TIME] = {"time", IPCFS_TIME, "", "a moment"},
    {0},
};

/* 2026-11-23T01:02:03.123456789Z */
static const struct timespec moment = {.tv_sec = 1795395723, .tv_nsec = 123456789};

static void fill(struct ipcfs_value *values, const char *name)
{
    values[NAME] = (struct ipcfs_value){.known = true, .string = name};
    values[WORDS] = (struct ipcfs_value){.known = true, .string = "two words"};
    values[NUMBER] = (struct ipcfs_value){.known = true, .number = 1048576};
    values[MODE] = (struct ipcfs_value){.known = true, .number = 0644};
    values[TIME] = (struct ipcfs_value){.known = true, .time = moment};
}

static void assert_text(struct text *text, const char *expected)
{
    assert_int_equal(text_error(text), 0);
    text_bytes(text, "", 1);
    assert_string_equal(text->data, expected);
}

/* ---- text ---- */

static void test_text(void **state)
{
    (void)state;
    struct ipcfs_value values[FIELDS];
    fill(values, "a b\\\n\xFF\xC3\xA4");
    AUTO_TEXT text = {0};
    fields_text(&text, table, values);
    assert_text(&text, "name: a b\\134\\012\\377\xC3\xA4\n"
                       "words: two words\n"
                       "number: 1048576\n"
                       "mode: 0644\n"
                       "time: 2026-11-23T01:02:03.123456789Z\n");
}

static void test_unknown_values(void **state)
{
    (void)state;
    struct ipcfs_value values[FIELDS] = {0};
    AUTO_TEXT text = {0};
    fields_text(&text, table, values);
    assert_int_equal(text.length, 0);
    values[NUMBER] = (struct ipcfs_value){.known = true, .number = 0};
    fields_text(&text, table, values);
    assert_text(&text, "number: 0\n");

    AUTO_TEXT json = {0};
    assert_int_equal(fields_json(&json, table, values), 0);
    assert_text(&json, "{\"name\":null,\"words\":null,\"number\":0,\"mode\":null,\"time\":null}");

    AUTO_TEXT list = {0};
    struct fields_list *rows = fields_list_new(table);
    assert_non_null(rows);
    fields_list_row(rows, values);
    assert_int_equal(fields_list_finish(rows, &list), 0);
    assert_text(&list, "name words number mode time\n"
                       "-    -     0      -    -\n");
}

static const struct {
    enum ipcfs_field_type type;
    struct ipcfs_value value;
    const char *text;
} forms[] = {
    {IPCFS_UNSIGNED, {.known = true, .number = 0}, "0"},
    {IPCFS_UNSIGNED, {.known = true, .number = UINT64_MAX}, "18446744073709551615"},
    {IPCFS_TENTHS, {.known = true, .number = 7}, "0.7"},
    {IPCFS_TENTHS, {.known = true, .number = 66666}, "6666.6"},
    {IPCFS_MODE, {.known = true, .number = 0}, "0000"},
    {IPCFS_MODE, {.known = true, .number = 07}, "0007"},
    {IPCFS_MODE, {.known = true, .number = 0600}, "0600"},
    {IPCFS_MODE, {.known = true, .number = 06755}, "6755"},
    {IPCFS_TIME, {.known = true, .time = {0, 0}}, "1970-01-01T00:00:00.000000000Z"},
    {IPCFS_TIME, {.known = true, .time = {0, 999999999}}, "1970-01-01T00:00:00.999999999Z"},
    {IPCFS_TIME, {.known = true, .time = {-1, 5}}, "1969-12-31T23:59:59.000000005Z"},
    {IPCFS_TIME, {.known = true, .time = {951782400, 0}}, "2000-02-29T00:00:00.000000000Z"},
    {IPCFS_TIME, {.known = true, .time = {4294967296, 1}}, "2106-02-07T06:28:16.000000001Z"},
};

static void test_forms_of_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(forms); i++) {
        const struct ipcfs_field field[] = {{"f", forms[i].type, "", ""}, {0}};
        char expected[64];
        (void)snprintf(expected, sizeof expected, "f: %s\n", forms[i].text);
        AUTO_TEXT text = {0};
        fields_text(&text, field, &forms[i].value);
        assert_text(&text, expected);
    }
}

/* A year that no struct tm holds must not end in nonsense or a crash. */
static void test_absurd_times(void **state)
{
    (void)state;
    static const struct ipcfs_field field[] = {{"f", IPCFS_TIME, "", ""}, {0}};
    const time_t seconds[] = {INT64_MAX, INT64_MIN, INT64_C(1) << 55, 253402300800};
    for (size_t i = 0; i < ARRAY_LENGTH(seconds); i++) {
        struct ipcfs_value value = {.known = true, .time = {.tv_sec = seconds[i]}};
        AUTO_TEXT text = {0};
        AUTO_TEXT json = {0};
        fields_text(&text, field, &value);
        assert_int_equal(text_error(&text), 0);
        assert_true(text.length > 5 && text.data[text.length - 1] == '\n');
        assert_int_equal(fields_json(&json, field, &value), 0);
    }
}

/* The times are UTC whatever the process thinks its zone is. */
static void test_time_zone(void **state)
{
    char *zone = getenv("TZ");
    (void)state;
    assert_int_equal(setenv("TZ", "XXX-5:30", 1), 0);
    tzset();
    test_text(NULL);
    assert_int_equal(zone ? setenv("TZ", zone, 1) : unsetenv("TZ"), 0);
    tzset();
}

/* ---- JSON ---- */

/* Parsed strictly: valid UTF-8, no extensions, nothing behind it. To be put back. */
static struct json_object *json_of(const struct ipcfs_field *fields, const struct ipcfs_value *values)
{
    AUTO_TEXT text = {0};
    assert_int_equal(fields_json(&text, fields, values), 0);
    assert_null(memchr(text.data, '\n', text.length));
    struct json_tokener *tokener = json_tokener_new();
    assert_non_null(tokener);
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    struct json_object *root = json_tokener_parse_ex(tokener, text.data, (int)text.length);
    enum json_tokener_error error = json_tokener_get_error(tokener);
    size_t end = json_tokener_get_parse_end(tokener);
    json_tokener_free(tokener);
    if (error != json_tokener_success || end != text.length)
        fail_msg("not JSON: %s in %.*s", json_tokener_error_desc(error), (int)text.length, text.data);
    return root;
}

/* The string of a member; NULL where there is none. */
static const char *member(struct json_object *root, const char *key)
{
    struct json_object *value = json_object_object_get(root, key);
    if (value)
        assert_true(json_object_is_type(value, json_type_string));
    return json_object_get_string(value);
}

static void test_json(void **state)
{
    (void)state;
    struct ipcfs_value values[FIELDS];
    fill(values, "a \"b\"\\\n\xC3\xA4/");
    struct json_object *root = json_of(table, values);
    assert_int_equal(json_object_object_length(root), FIELDS);
    assert_string_equal(member(root, "name"), "a \"b\"\\\n\xC3\xA4/");
    assert_string_equal(member(root, "words"), "two words");
    assert_int_equal(json_object_get_int64(json_object_object_get(root, "number")), 1048576);
    assert_string_equal(member(root, "mode"), "0644");
    struct json_object *time = json_object_object_get(root, "time");
    assert_true(json_object_is_type(time, json_type_double));
    assert_true(fabs(json_object_get_double(time) - 1795395723.123456789) < 1e-6);
    json_object_put(root);
}

/* As it is written: the members are in the order of the table, numbers have all their digits. */
static void test_json_letter_by_letter(void **state)
{
    (void)state;
    struct ipcfs_value values[FIELDS];
    AUTO_TEXT text = {0};
    fill(values, "x/y");
    assert_int_equal(fields_json(&text, table, values), 0);
    assert_text(&text, "{\"name\":\"x/y\",\"words\":\"two words\",\"number\":1048576,\"mode\":\"0644\","
                       "\"time\":1795395723.123456789}");
}

static const struct {
    const char *name;
    const char *shown;
    const char *hex; /* NULL: the name is UTF-8 and needs none */
} names[] = {
    {"plain", "plain", NULL},
    {"", "", NULL},
    {"\001\x7F", "\001\x7F", NULL},
    {"\xF0\x9F\x92\xA9", "\xF0\x9F\x92\xA9", NULL},
    {"\xEF\xBF\xBD", "\xEF\xBF\xBD", NULL}, /* U+FFFD itself is no replacement */
    {"\xFF", "\xEF\xBF\xBD", "ff"},
    {"a\xC3", "a\xEF\xBF\xBD", "61c3"},
    {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD", "eda080"},
    {"\xC0\x80z", "\xEF\xBF\xBD\xEF\xBF\xBDz", "c0807a"},
    {"\xF4\x90\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD", "f4908080"},
    {"\x80\xC3\xA4\x0A", "\xEF\xBF\xBD\xC3\xA4\n", "80c3a40a"},
};

static void test_json_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        struct ipcfs_value values[FIELDS];
        fill(values, names[i].name);
        struct json_object *root = json_of(table, values);
        assert_string_equal(member(root, "name"), names[i].shown);
        if (names[i].hex)
            assert_string_equal(member(root, "name_hex"), names[i].hex);
        else
            assert_false(json_object_object_get_ex(root, "name_hex", NULL));
        json_object_put(root);
    }
}

/* Every byte that a name may have comes back as it was, alone and among others. */
static void test_json_bytes(void **state)
{
    (void)state;
    for (unsigned byte = 1; byte < 0x80; byte++) {
        const char name[] = {'x', (char)byte, (char)byte, '\0'};
        struct ipcfs_value values[FIELDS];
        fill(values, name);
        values[WORDS].string = name + 1;
        struct json_object *root = json_of(table, values);
        assert_string_equal(member(root, "name"), name);
        assert_string_equal(member(root, "words"), name + 1);
        json_object_put(root);
    }
}

static void test_json_escapes(void **state)
{
    (void)state;
    static const struct ipcfs_field field[] = {{"f", IPCFS_STRING, "", ""}, {0}};
    const struct ipcfs_value value = ipcfs_string("\b\t\n\f\r\001\x1F\x7F/\"\\");
    AUTO_TEXT text = {0};
    assert_int_equal(fields_json(&text, field, &value), 0);
    assert_text(&text, "{\"f\":\"\\b\\t\\n\\f\\r\\u0001\\u001f\x7F/\\\"\\\\\"}");
}

static void test_json_rows(void **state)
{
    (void)state;
    static const struct ipcfs_field field[] = {{"n", IPCFS_UNSIGNED, "", ""}, {0}};
    AUTO_TEXT text = {0};
    struct fields_rows rows = fields_rows_begin(field, &text);
    fields_rows_end(&rows);
    rows = fields_rows_begin(field, &text);
    for (uint64_t i = 8; i < 11; i++) {
        const struct ipcfs_value value = ipcfs_number(i);
        fields_rows_add(&rows, &value);
    }
    fields_rows_end(&rows);
    assert_text(&text, "[][\n{\"n\":8},\n{\"n\":9},\n{\"n\":10}\n]");
}

/* Text and JSON tell the same number, also one above INT64_MAX: kernel.shmmax is one by default. */
static void test_json_forms(void **state)
{
    (void)state;
    static const struct {
        enum ipcfs_field_type type;
        struct ipcfs_value value;
        const char *json;
    } cases[] = {
        {IPCFS_UNSIGNED, {.known = true, .number = INT64_MAX}, "9223372036854775807"},
        {IPCFS_UNSIGNED, {.known = true, .number = (uint64_t)INT64_MAX + 1}, "9223372036854775808"},
        {IPCFS_UNSIGNED, {.known = true, .number = UINT64_MAX}, "18446744073709551615"},
        {IPCFS_UNSIGNED, {.known = true, .number = 18446744073692774399U}, "18446744073692774399"},
        {IPCFS_TENTHS, {.known = true, .number = 0}, "0.0"},
        {IPCFS_TENTHS, {.known = true, .number = 1005}, "100.5"},
        {IPCFS_TENTHS, {.known = true, .number = UINT64_MAX}, "1844674407370955161.5"},
        {IPCFS_KEY, {.known = true, .number = 0}, "\"0x00000000\""},
        {IPCFS_KEY, {.known = true, .number = 0xABCDEF01}, "\"0xabcdef01\""},
        {IPCFS_MODE, {.known = true, .number = 0}, "\"0000\""},
        {IPCFS_MODE, {.known = true, .number = 06755}, "\"6755\""},
        {IPCFS_TIME, {.known = true, .time = {0, 0}}, "0.000000000"},
        {IPCFS_TIME, {.known = true, .time = {0, 1}}, "0.000000001"},
        {IPCFS_TIME, {.known = true, .time = {-1, 0}}, "-1.000000000"},
        {IPCFS_TIME, {.known = true, .time = {-1, 750000000}}, "-0.250000000"},
        {IPCFS_TIME, {.known = true, .time = {-2, 750000000}}, "-1.250000000"},
        {IPCFS_TIME, {.known = true, .time = {4294967296, 999999999}}, "4294967296.999999999"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const struct ipcfs_field field[] = {{"f", cases[i].type, "", ""}, {0}};
        char expected[64];
        AUTO_TEXT text = {0};
        (void)snprintf(expected, sizeof expected, "{\"f\":%s}", cases[i].json);
        assert_int_equal(fields_json(&text, field, &cases[i].value), 0);
        assert_text(&text, expected);
        json_object_put(json_of(field, &cases[i].value));
    }
}

/* ---- list ---- */

static void test_list(void **state)
{
    (void)state;
    struct ipcfs_value values[FIELDS];
    AUTO_TEXT text = {0};
    struct fields_list *list = fields_list_new(table);
    assert_non_null(list);
    fill(values, "a b\n");
    values[WORDS].string = "w";
    fields_list_row(list, values);
    fill(values, "\xC3\xA4\xC3\xB6\xC3\xBC"); /* three columns wide, six bytes */
    values[WORDS].string = "w";
    values[NUMBER].number = 7;
    values[TIME].known = false;
    fields_list_row(list, values);
    assert_int_equal(fields_list_finish(list, &text), 0);
    assert_text(&text, "name       words number  mode time\n"
                       "a\\040b\\012 w     1048576 0644 2026-11-23T01:02:03.123456789Z\n"
                       "\xC3\xA4\xC3\xB6\xC3\xBC        w     7       0644 -\n");
}

static void test_empty_list(void **state)
{
    (void)state;
    AUTO_TEXT text = {0};
    struct fields_list *list = fields_list_new(table);
    assert_non_null(list);
    assert_int_equal(fields_list_finish(list, &text), 0);
    assert_text(&text, "name words number mode time\n");
}

static void test_count(void **state)
{
    (void)state;
    static const struct ipcfs_field none[] = {{0}};
    assert_int_equal(fields_count(table), FIELDS);
    assert_int_equal(fields_count(none), 0);
}

/* ---- tables ---- */

enum { COUNT, MEMBERS, OTHERS, TABLED };

static const struct ipcfs_field row_fields[] = {{"value", IPCFS_UNSIGNED, "", "a number"},
                                                {"mode", IPCFS_MODE, "", "bits"},
                                                {"who", IPCFS_STRING, "", "words"},
                                                {0}};
static const struct ipcfs_field tabled[] = {
    [COUNT] = {"count", IPCFS_UNSIGNED, "", "how many"},
    [MEMBERS] = {"members", IPCFS_TABLE, "", "a row each"},
    [OTHERS] = {"others", IPCFS_TABLE, "", "no rows"},
    {0},
};

/* Two rows, with what is not known in each; and a table without rows. False without memory. */
static bool fill_tables(struct ipcfs_value *values)
{
    memset(values, 0, TABLED * sizeof *values);
    values[COUNT] = ipcfs_number(2);
    values[MEMBERS].table = ipcfs_table_new(row_fields, 2);
    values[MEMBERS].known = values[MEMBERS].table;
    values[OTHERS].table = ipcfs_table_new(row_fields, 0);
    values[OTHERS].known = values[OTHERS].table;
    if (!values[MEMBERS].known || !values[OTHERS].known)
        return false;
    struct ipcfs_value *row = ipcfs_table_row(values[MEMBERS].table, 0);
    row[0] = ipcfs_number(7);
    row[2] = ipcfs_string("a b");
    row = ipcfs_table_row(values[MEMBERS].table, 1);
    row[0] = ipcfs_number(UINT64_MAX);
    row[1] = ipcfs_number(0640);
    return true;
}

static void test_new_table(void **state)
{
    (void)state;
    struct ipcfs_table *rows = ipcfs_table_new(row_fields, 100);
    assert_non_null(rows);
    assert_true(rows->fields == row_fields && rows->columns == 3 && rows->rows == 100);
    assert_ptr_equal(ipcfs_table_row(rows, 99), rows->cells + 297);
    for (size_t i = 0; i < 300; i++)
        assert_false(rows->cells[i].known);
    free(rows);
}

static void test_table_as_text(void **state)
{
    (void)state;
    long before = failing_live();
    struct ipcfs_value values[TABLED];
    AUTO_TEXT text = {0};
    assert_true(fill_tables(values));
    fields_text(&text, tabled, values);
    assert_text(&text, "count: 2\n"
                       "members.0: value=7 mode=- who=a b\n"
                       "members.1: value=18446744073709551615 mode=0640 who=-\n");
    ipcfs_values_release(tabled, values);
    assert_false(values[MEMBERS].known || values[OTHERS].known);
    assert_true(values[COUNT].known);
    text_reset(&text);
    assert_int_equal(failing_live(), before);
    ipcfs_values_release(tabled, values); /* once more does nothing */
    fields_text(&text, tabled, values);
    assert_text(&text, "count: 2\n");
}

static void test_table_as_json(void **state)
{
    (void)state;
    struct ipcfs_value values[TABLED];
    AUTO_TEXT text = {0};
    assert_true(fill_tables(values));
    assert_int_equal(fields_json(&text, tabled, values), 0);
    assert_text(&text, "{\"count\":2,\"members\":["
                       "{\"value\":7,\"mode\":null,\"who\":\"a b\"},"
                       "{\"value\":18446744073709551615,\"mode\":\"0640\",\"who\":null}],"
                       "\"others\":[]}");
    json_object_put(json_of(tabled, values));
    ipcfs_values_release(tabled, values);
    text_reset(&text);
    assert_int_equal(fields_json(&text, tabled, values), 0);
    assert_text(&text, "{\"count\":2}"); /* as lists have it, where nobody fills them */
}

static void test_table_in_lists(void **state)
{
    (void)state;
    struct ipcfs_value values[TABLED];
    AUTO_TEXT text = {0};
    struct fields_list *list = fields_list_new(tabled);
    assert_non_null(list);
    assert_true(fill_tables(values));
    fields_list_row(list, values);
    ipcfs_values_release(tabled, values);
    fields_list_row(list, values);
    assert_int_equal(fields_list_finish(list, &text), 0);
    assert_text(&text, "count\n2\n2\n");
}

/* ---- out of memory ---- */

/* json-c is a shared library, whose allocations can not be made to fail: its calls are. The linker's names. */
// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
#define MAY_FAIL(type, name, parameters, arguments)                                                          \
    type __real_##name parameters;                                                                           \
    type __wrap_##name parameters;                                                                           \
    type __wrap_##name parameters                                                                            \
    {                                                                                                        \
        return failing_shall_fail() ? NULL : __real_##name arguments;                                        \
    }
MAY_FAIL(struct json_object *, json_object_new_string_len, (const char *string, int length), (string, length))
MAY_FAIL(const char *, json_object_to_json_string_length,
         (struct json_object * object, int flags, size_t *length), (object, flags, length))
// NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)

static int make_list(struct text *out)
{
    struct ipcfs_value values[FIELDS];
    fill(values,
         "a name that is long enough for the cells to grow several times over, as a long list would make it");
    struct fields_list *list = fields_list_new(table);
    if (!list)
        return -ENOMEM;
    for (int i = 0; i < 20; i++)
        fields_list_row(list, values);
    return fields_list_finish(list, out);
}

static int make_json(struct text *out)
{
    struct ipcfs_value values[FIELDS];
    char name[2000]; /* so that the text has to grow, and in every part of a name */
    memset(name, '\xFF', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    fill(values, name);
    values[NUMBER].known = false;
    return fields_json(out, table, values);
}

/* Both forms of a state with tables. */
static int make_tables(struct text *out)
{
    struct ipcfs_value values[TABLED];
    int error = fill_tables(values) ? 0 : -ENOMEM;
    if (!error) {
        fields_text(out, tabled, values);
        error = fields_json(out, tabled, values);
    }
    ipcfs_values_release(tabled, values);
    return error;
}

static int make_text(struct text *out)
{
    struct ipcfs_value values[FIELDS];
    fill(values, "x");
    fields_text(out, table, values);
    return text_error(out);
}

/* Each allocation fails in turn: ENOMEM, and nothing is left behind. */
static void out_of_memory(int (*make)(struct text *), unsigned at_least)
{
    long before = failing_live();
    for (unsigned number = 1;; number++) {
        struct text text = {0};
        failing_arm(number);
        int error = make(&text);
        bool failed = failing_disarm();
        assert_int_equal(error, failed ? -ENOMEM : 0);
        text_reset(&text);
        assert_int_equal(failing_live(), before);
        if (!failed) {
            assert_true(number > at_least);
            return;
        }
    }
}

static void test_list_out_of_memory(void **state)
{
    (void)state;
    out_of_memory(make_list, 4);
}

static void test_json_out_of_memory(void **state)
{
    (void)state;
    out_of_memory(make_json, 5);
}

static void test_tables_out_of_memory(void **state)
{
    (void)state;
    out_of_memory(make_tables, 3);
}

static void test_text_out_of_memory(void **state)
{
    (void)state;
    out_of_memory(make_text, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_unknown_values),
        cmocka_unit_test(test_forms_of_values),
        cmocka_unit_test(test_absurd_times),
        cmocka_unit_test(test_time_zone),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_json_letter_by_letter),
        cmocka_unit_test(test_json_names),
        cmocka_unit_test(test_json_forms),
        cmocka_unit_test(test_json_bytes),
        cmocka_unit_test(test_json_escapes),
        cmocka_unit_test(test_json_rows),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_empty_list),
        cmocka_unit_test(test_count),
        cmocka_unit_test(test_new_table),
        cmocka_unit_test(test_table_as_text),
        cmocka_unit_test(test_table_as_json),
        cmocka_unit_test(test_table_in_lists),
        cmocka_unit_test(test_tables_out_of_memory),
        cmocka_unit_test(test_list_out_of_memory),
        cmocka_unit_test(test_json_out_of_memory),
        cmocka_unit_test(test_text_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
