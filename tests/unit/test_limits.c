/* SPDX-License-Identifier: MIT */
/* ctl/limits and ctl/list.json of kinds that are made up: one that answers, and one that can not be asked. */
#include "cmocka_api.h"
#include "failing.h"

#include "control_views.h"
#include "ipcfs.h"
#include "kind_limits.h"
#include "object_count.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>

/* ---- kinds ---- */

enum { MOST, COUNT, LONGEST, NONE, LENGTH };

static const struct ipcfs_field limit_fields[] = {
    [MOST] = {"most", IPCFS_UNSIGNED, "", "so many"},
    [COUNT] = {"count", IPCFS_UNSIGNED, "", "there are"},
    [LONGEST] = {"longest", IPCFS_UNSIGNED, "bytes", "so long"},
    [NONE] = {"none", IPCFS_UNSIGNED, "bytes", "0 is no limit"},
    [LENGTH] = {"length", IPCFS_UNSIGNED, "bytes", "of all"},
    {0},
};

static const struct ipcfs_limit limit_rows[] = {
    {"sysctl most", MOST, COUNT, .scope = IPCFS_LIMITS_NAMESPACE},
    {"compiled in", LONGEST, IPCFS_NO_USE, .scope = IPCFS_LIMITS_OBJECT},
    {"sysctl none", NONE, LENGTH, .scope = IPCFS_LIMITS_USER, .zero_is_none = true},
    {0},
};

static const struct ipcfs_total totals[] = {{IPCFS_TOTAL_OBJECTS, COUNT}, {0}};

static int limits(const struct caller *caller, struct ipcfs_value *values)
{
    values[MOST] = ipcfs_number(3);
    values[COUNT] = ipcfs_number(caller->uid == 7 ? 2 : 9);
    values[LONGEST] = ipcfs_number(255);
    values[NONE] = ipcfs_number(0);
    values[LENGTH] = ipcfs_number(100);
    return 0;
}

/* Not without having said something first. */
static int no_limits(const struct caller *caller, struct ipcfs_value *values)
{
    (void)caller;
    values[MOST] = ipcfs_number(3);
    return -EIO;
}

static const struct ipcfs_field row_fields[] = {{"name", IPCFS_NAME, "", ""}, {0}};

static int three_rows(ipcfs_survey_row *row, void *data)
{
    static const char *const names[] = {"a", "b\"\n", "c\xFF"};
    int error = 0;
    for (int i = 0; !error && i < 3; i++) {
        const struct ipcfs_value value = ipcfs_string(names[i]);
        error = row(data, &value);
    }
    return error;
}

static int no_rows(ipcfs_survey_row *row, void *data)
{
    (void)row;
    (void)data;
    return 0;
}

static int broken_rows(ipcfs_survey_row *row, void *data)
{
    int error = three_rows(row, data);
    return error ? error : -EACCES;
}

#define KIND(name, survey_function, limits_function)                                                         \
    {                                                                                                        \
        .kind = (name), .survey_fields = row_fields, .survey = (survey_function),                            \
        .limit_fields = limit_fields, .limit_rows = limit_rows, .totals = totals,                            \
        .limits = (limits_function)                                                                          \
    }
static const struct ipcfs_backend good = KIND("good", three_rows, limits);
static const struct ipcfs_backend bad = KIND("bad", broken_rows, no_limits);
static const struct ipcfs_backend empty = KIND("sysv/empty", no_rows, limits);

static const struct ipcfs_backend *kinds[] = {&good, &bad, &empty, NULL};
static struct ipcfs fs = {.tree = {.kinds = kinds}};
static const struct caller caller = {.uid = 7};

static void assert_begins(struct text *text, const char *expected)
{
    assert_int_equal(text_error(text), 0);
    text_bytes(text, "", 1);
    if (strlen(text->data) > strlen(expected))
        text->data[strlen(expected)] = '\0';
    assert_string_equal(text->data, expected);
}

static struct json_object *parse(struct text *text)
{
    text_bytes(text, "", 1);
    struct json_object *root = json_tokener_parse(text->data);
    assert_non_null(root);
    return root;
}

/* ---- limits ---- */

static void test_limits(void **state)
{
    (void)state;
    AUTO_TEXT text = {0};
    assert_int_equal(control_limits(&fs, NULL, &caller, &text), 0);
    assert_begins(&text, "kind       limit        percent used ");
    AUTO_TEXT json = {0};
    assert_int_equal(control_limits_json(&fs, NULL, &caller, &json), 0);
    assert_begins(&json,
                  "[\n"
                  "{\"kind\":\"good\",\"limit\":\"most\",\"percent\":66.6,\"used\":2,\"value\":3,"
                  "\"unit\":null,\"scope\":\"namespace\",\"where\":\"sysctl most\"},\n"
                  "{\"kind\":\"good\",\"limit\":\"longest\",\"percent\":null,\"used\":null,"
                  "\"value\":255,\"unit\":\"bytes\",\"scope\":\"object\",\"where\":\"compiled in\"},\n"
                  "{\"kind\":\"good\",\"limit\":\"none\",\"percent\":null,\"used\":100,"
                  "\"value\":null,\"unit\":\"bytes\",\"scope\":\"user\",\"where\":\"sysctl none\"},\n"
                  "{\"kind\":\"bad\",\"limit\":\"most\",\"percent\":null,\"used\":null,"
                  "\"value\":null,\"unit\":null,\"scope\":\"namespace\",\"where\":\"sysctl most\"},\n");
}

static void test_percent(void **state)
{
    (void)state;
    static const struct {
        uint64_t used, limit, tenths;
    } cases[] = {{0, 1, 0},
                 {1, 1, 1000},
                 {999, 1000, 999},
                 {9999, 10000, 999},
                 {3, 2, 1500},
                 {1, 3000, 0},
                 {UINT64_MAX, UINT64_MAX, 1000},
                 {UINT64_MAX - 1, UINT64_MAX, 999}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct ipcfs_value percent =
            limits_percent(ipcfs_number(cases[i].used), ipcfs_number(cases[i].limit));
        assert_true(percent.known);
        assert_int_equal(percent.number, cases[i].tenths);
    }
    const struct ipcfs_value unknown = {.known = false};
    assert_false(limits_percent(unknown, ipcfs_number(1)).known);
    assert_false(limits_percent(ipcfs_number(1), unknown).known);
    assert_false(limits_percent(ipcfs_number(1), ipcfs_number(0)).known);
}

/* ---- list.json ---- */

static void test_list(void **state)
{
    (void)state;
    AUTO_TEXT text = {0};
    assert_int_equal(control_list_json(&fs, NULL, &caller, &text), 0);
    struct json_object *root = parse(&text);
    assert_string_equal(text.data, "{\"good\":[\n{\"name\":\"a\"},\n{\"name\":\"b\\\"\\n\"},\n"
                                   "{\"name\":\"c\xEF\xBF\xBD\",\"name_hex\":\"63ff\"}\n],\n"
                                   "\"bad\":{\"error\":\"EACCES\"},\n\"sysv/empty\":[]}\n");
    assert_int_equal(json_object_object_length(root), 3);
    json_object_put(root);
}

/* The rows of a kind are letter by letter those of its own list. */
static void test_lists_agree(void **state)
{
    (void)state;
    AUTO_TEXT all = {0};
    AUTO_TEXT one = {0};
    assert_int_equal(control_list_json(&fs, NULL, &caller, &all), 0);
    assert_int_equal(control_kind_list_json(&fs, &good, &caller, &one), 0);
    assert_memory_equal(all.data + strlen("{\"good\":"), one.data, one.length - 1);
    AUTO_TEXT none = {0};
    assert_int_equal(control_kind_list_json(&fs, &bad, &caller, &none), -EACCES);
}

/* ---- counting ---- */

struct ipcfs_lister {
    uint64_t left;
};

static struct ipcfs_lister lister;
static int list_error;
static bool is_closed;

static int list_open(unsigned directory, struct ipcfs_lister **out)
{
    assert_int_equal(directory, 0);
    is_closed = list_error != 0;
    *out = &lister;
    return list_error;
}

static int list_next(struct ipcfs_lister *from, struct ipcfs_entry *out)
{
    *out = (struct ipcfs_entry){.name = "x"};
    return from->left-- ? 1 : 0;
}

static int broken_next(struct ipcfs_lister *from, struct ipcfs_entry *out)
{
    int more = list_next(from, out);
    return more ? more : -EIO;
}

static void list_close(struct ipcfs_lister *from)
{
    assert_ptr_equal(from, &lister);
    is_closed = true;
}

static void test_count(void **state)
{
    (void)state;
    static const struct ipcfs_backend kind = {
        .list_open = list_open, .list_next = list_next, .list_close = list_close};
    static const struct ipcfs_backend broken = {
        .list_open = list_open, .list_next = broken_next, .list_close = list_close};
    static const uint64_t counts[] = {0, 1, 1000, OBJECT_COUNT_MAX, OBJECT_COUNT_MAX + 1, UINT64_MAX};
    struct ipcfs_value count;
    list_error = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(counts); i++) {
        lister.left = counts[i];
        assert_int_equal(object_count(&kind, &count), 0);
        assert_true(is_closed);
        assert_int_equal(count.known, counts[i] <= OBJECT_COUNT_MAX);
        assert_true(!count.known || count.number == counts[i]);
    }
    lister.left = 5;
    assert_int_equal(object_count(&broken, &count), -EIO);
    assert_true(is_closed && !count.known);
    list_error = -EACCES;
    assert_int_equal(object_count(&kind, &count), 0);
    assert_false(count.known);
    list_error = -EMFILE;
    assert_int_equal(object_count(&kind, &count), -EMFILE);
    assert_false(count.known);
}

/* ---- out of memory ---- */

static void out_of_memory(int (*render)(struct ipcfs *, const struct ipcfs_backend *, const struct caller *,
                                        struct text *))
{
    long before = failing_live();
    for (unsigned number = 1;; number++) {
        struct text text = {0};
        failing_arm(number);
        int error = render(&fs, NULL, &caller, &text);
        error = error ? error : text_error(&text);
        bool failed = failing_disarm();
        assert_int_equal(error, failed ? -ENOMEM : 0);
        text_reset(&text);
        assert_int_equal(failing_live(), before);
        if (!failed)
            break;
    }
}

static void test_out_of_memory(void **state)
{
    (void)state;
    out_of_memory(control_limits);
    out_of_memory(control_limits_json);
    out_of_memory(control_list_json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits), cmocka_unit_test(test_percent),
        cmocka_unit_test(test_list),   cmocka_unit_test(test_lists_agree),
        cmocka_unit_test(test_count),  cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
