/* SPDX-License-Identifier: MIT */
/* The log of events: what each reader's file has in it. */
#include "cmocka_api.h"
#include "failing.h"

#include "events_known.h"
#include "events_log.h"
#include "events_notes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT_MOMENT                                                                                            \
    {                                                                                                        \
        .tv_sec = 1795395723, .tv_nsec = 123456789                                                           \
    }
static const struct timespec moment = AT_MOMENT;
#define MOMENT "2026-11-23T01:02:03.123456789Z"

static const struct event_view root_text;
static const struct event_view root_json = {.json = true};
static const struct event_view user_text = {.uid = 1000};

static struct event_log events;

static void add_number(unsigned number)
{
    char name[32];
    (void)snprintf(name, sizeof name, "object%u", number);
    const struct event event = {.what = EVENT_CREATED,
                                .time = moment,
                                .kind = "shm",
                                .name = name,
                                .pid = 7,
                                .sized = true,
                                .size = number};
    event_log_add(&events, &event);
}

static int empty_log(void **state)
{
    (void)state;
    event_log_clear(&events);
    return 0;
}

static void assert_shown(const struct event *event, const struct event_view *view, const char *expected)
{
    AUTO_TEXT text = {0};
    assert_int_equal(event_show(event, view, &text), 0);
    text_bytes(&text, "", 1);
    assert_string_equal(text.data, expected);
}

static const struct event full_event = {.what = EVENT_CHANGED,
                                        .time = AT_MOMENT,
                                        .kind = "sysv/shm",
                                        .name = "a b\n\xff",
                                        .key = "0x0000002a",
                                        .pid = 42,
                                        .pid_uid = 7,
                                        .owned = true,
                                        .mode = 0640,
                                        .uid = 1,
                                        .gid = 2};

static void test_shown(void **state)
{
    (void)state;
    struct event event = {.what = EVENT_RENAMED, .time = moment, .kind = "shm", .name = "a", .to = "b c"};
    assert_shown(&event, &root_text, MOMENT " renamed shm a to=b\\040c\n");
    event = (struct event){.what = EVENT_LOST, .time = moment, .count = 3};
    assert_shown(&event, &root_text, MOMENT " lost - - count=3\n");
    assert_shown(&full_event, &root_text,
                 MOMENT " changed sysv/shm a\\040b\\012\\377 key=0x0000002a pid=42 mode=0640 uid=1 gid=2\n");
    assert_shown(
        &full_event, &root_json,
        "{\"time\":1795395723.123456789,\"event\":\"changed\",\"kind\":\"sysv/shm\","
        "\"name\":\"a b\\n\xEF\xBF\xBD\",\"name_hex\":\"6120620aff\",\"key\":\"0x0000002a\",\"to\":null,"
        "\"pid\":42,\"size\":null,\"mode\":\"0640\",\"uid\":1,\"gid\":2,\"count\":null}\n");
}

static void test_whose_pid(void **state)
{
    (void)state;
    struct event event = {
        .what = EVENT_EMPTY, .time = moment, .kind = "mq", .name = "q", .pid = 42, .pid_uid = 7};
    const struct event_view owner = {.uid = 7};
    assert_shown(&event, &root_text, MOMENT " empty mq q pid=42\n");
    assert_shown(&event, &owner, MOMENT " empty mq q pid=42\n");
    assert_shown(&event, &user_text, MOMENT " empty mq q\n");
    event.pid_public = true;
    assert_shown(&event, &user_text, MOMENT " empty mq q pid=42\n");
}

/* ---- reading ---- */

/* A reader, and what his file has to be. */
struct model {
    struct event_cursor cursor;
    struct text text;
    uint64_t shown; /* entries that are in the text */
};

static void model_begin(struct model *model, const struct event_view *view)
{
    *model = (struct model){.shown = events.end};
    event_cursor_begin(&model->cursor, &events, view, &moment);
    const struct event begin = {.what = EVENT_BEGIN, .time = moment};
    assert_int_equal(event_show(&begin, view, &model->text), 0);
}

static void model_add(struct model *model, unsigned number)
{
    char name[32];
    (void)snprintf(name, sizeof name, "object%u", number);
    const struct event event = {.what = EVENT_CREATED,
                                .time = moment,
                                .kind = "shm",
                                .name = name,
                                .pid = 7,
                                .sized = true,
                                .size = number};
    assert_int_equal(event_show(&event, &model->cursor.view, &model->text), 0);
}

/* What a read has to give: whole lines, or a piece of the first. */
static size_t expected_count(const struct text *text, size_t offset, size_t size)
{
    size_t left = text->length - offset;
    if (left <= size)
        return left;
    const char *from = text->data + offset;
    const char *last = memrchr(from, '\n', size);
    return last ? (size_t)(last - from) + 1 : size;
}

static void check_read(struct model *model, size_t offset, size_t size)
{
    char buffer[1024];
    assert_true(size <= sizeof buffer);
    ssize_t count = event_cursor_read(&model->cursor, &events, offset, buffer, size);
    assert_int_equal(count, expected_count(&model->text, offset, size));
    assert_memory_equal(buffer, model->text.data + offset, (size_t)count);
}

static void test_any_offset(void **state)
{
    (void)state;
    static const struct event_view *const views[] = {&root_text, &root_json, &user_text};
    struct model models[ARRAY_LENGTH(views)];
    add_number(0); /* before they begin */
    for (size_t i = 0; i < ARRAY_LENGTH(views); i++)
        model_begin(&models[i], views[i]);
    srandom(1);
    for (unsigned step = 0; step < 20000; step++) {
        struct model *model = &models[(unsigned)random() % ARRAY_LENGTH(views)];
        if (step % 20 == 0) {
            add_number(step);
            for (size_t i = 0; i < ARRAY_LENGTH(views); i++)
                model_add(&models[i], step);
        }
        assert_int_equal(event_cursor_size(&model->cursor, &events), model->text.length);
        size_t offset = (size_t)random() % (model->text.length + 1);
        assert_int_equal(event_cursor_has(&model->cursor, &events, offset), offset < model->text.length);
        check_read(model, offset, 1 + (size_t)random() % 400);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(views); i++)
        text_reset(&models[i].text);
}

static void test_behind_the_end(void **state)
{
    (void)state;
    struct model model;
    char byte = 0;
    model_begin(&model, &root_text);
    size_t end = model.text.length;
    assert_int_equal(event_cursor_read(&model.cursor, &events, end, &byte, 1), 0);
    assert_int_equal(event_cursor_read(&model.cursor, &events, end + 3, &byte, 1), 0);
    add_number(1);
    model_add(&model, 1);
    check_read(&model, end + 3, 100);
    check_read(&model, 0, 1000);
    text_reset(&model.text);
}

/* ---- what is lost ---- */

static uint64_t number_behind(const char *line, const char *word)
{
    const char *at = strstr(line, word);
    assert_non_null(at);
    return strtoull(at + strlen(word), NULL, 10);
}

/* Reads a line. */
static uint64_t next_line(struct event_cursor *cursor, uint64_t offset, char *line, size_t room)
{
    ssize_t count = event_cursor_read(cursor, &events, offset, line, room - 1);
    assert_true(count > 0);
    char *end = memchr(line, '\n', (size_t)count);
    assert_non_null(end);
    end[1] = '\0';
    return offset + strlen(line);
}

/* What a reader has been told. */
struct tally {
    struct event_cursor cursor;
    uint64_t offset;
    uint64_t seen; /* events told or lost */
};

static void take_lines(struct tally *tally, size_t room)
{
    char text[4096];
    ssize_t count = event_cursor_read(&tally->cursor, &events, tally->offset, text, room);
    assert_true(count > 0 && text[count - 1] == '\n');
    tally->offset += (uint64_t)count;
    text[count] = '\0';
    for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
        bool lost = strncmp(line + strlen(MOMENT), " lost ", 6) == 0;
        uint64_t number = number_behind(line, lost ? "count=" : "object");
        if (!lost)
            assert_int_equal(number, tally->seen);
        tally->seen += lost ? number : 1;
    }
}

/* Every event is told once, or counted as lost, however far behind the reader is. */
static void test_lost(void **state)
{
    (void)state;
    struct tally tally = {0};
    char line[1024];
    event_cursor_begin(&tally.cursor, &events, &root_text, &moment);
    tally.offset = next_line(&tally.cursor, 0, line, sizeof line);
    unsigned added = 0;
    srandom(2);
    for (unsigned round = 0; round < 200; round++) {
        unsigned more = (unsigned)random() % (round % 3 ? 100 : 3 * EVENTS_KEPT);
        for (unsigned i = 0; i < more; i++)
            add_number(added++);
        for (unsigned i = 0; i < 20 && tally.seen < added; i++) {
            if (random() % 2)
                assert_true(event_cursor_size(&tally.cursor, &events) > tally.offset);
            take_lines(&tally, 200 + (size_t)random() % 2000);
        }
    }
    while (tally.seen < added)
        take_lines(&tally, 2000);
    assert_int_equal(event_cursor_read(&tally.cursor, &events, tally.offset, line, 1), 0);
}

/* Who has read it all, and goes back to where nothing is kept any more, is told so. */
static void test_back_to_what_is_gone(void **state)
{
    (void)state;
    struct event_cursor cursor;
    char line[1024];
    event_cursor_begin(&cursor, &events, &root_text, &moment);
    uint64_t offset = next_line(&cursor, 0, line, sizeof line);
    for (unsigned i = 0; i < EVENTS_KEPT + 10; i++) {
        add_number(i);
        offset = next_line(&cursor, offset, line, sizeof line);
        assert_int_equal(number_behind(line, "object"), i);
    }
    uint64_t told = event_cursor_size(&cursor, &events);
    assert_int_equal(told, offset);
    offset = next_line(&cursor, 0, line, sizeof line);
    assert_int_equal(number_behind(line, " lost - - count="), 10);
    (void)next_line(&cursor, offset, line, sizeof line);
    assert_int_equal(number_behind(line, "object"), 10);
    assert_true(event_cursor_size(&cursor, &events) >= told);
}

/* ---- without memory ---- */

static void test_event_without_memory(void **state)
{
    (void)state;
    struct event_cursor cursor;
    char line[1024];
    event_cursor_begin(&cursor, &events, &root_text, &moment);
    uint64_t offset = next_line(&cursor, 0, line, sizeof line);
    failing_arm(1);
    add_number(1);
    assert_true(failing_disarm());
    add_number(2);
    offset = next_line(&cursor, offset, line, sizeof line);
    assert_non_null(strstr(line, " lost - - count=1\n"));
    (void)next_line(&cursor, offset, line, sizeof line);
    assert_int_equal(number_behind(line, "object"), 2);
}

static void test_reading_without_memory(void **state)
{
    (void)state;
    struct model model;
    char buffer[1024];
    model_begin(&model, &root_text);
    for (unsigned i = 0; i < 20; i++) {
        add_number(i);
        model_add(&model, i);
    }
    srandom(3);
    for (unsigned step = 0; step < 2000; step++) {
        size_t offset = (size_t)random() % model.text.length;
        failing_arm(1 + (unsigned)random() % 8);
        ssize_t count = event_cursor_read(&model.cursor, &events, offset, buffer, 200);
        (void)event_cursor_size(&model.cursor, &events);
        (void)failing_disarm();
        assert_true(count > 0 || count == -ENOMEM);
        if (count > 0)
            assert_memory_equal(buffer, model.text.data + offset, (size_t)count);
        check_read(&model, offset, 200);
    }
    assert_int_equal(event_cursor_size(&model.cursor, &events), model.text.length);
    text_reset(&model.text);
}

/* ---- what is known, and for whom ---- */

static const struct ipcfs_backend kinds[2];

static void test_known(void **state)
{
    (void)state;
    struct known_table table = {0};
    long live = failing_live();
    struct known *first = known_get(&table, &kinds[0], "name");
    struct known *second = known_get(&table, &kinds[1], "name");
    assert_true(first && second && first != second);
    assert_ptr_equal(known_get(&table, &kinds[0], "name"), first);
    assert_ptr_equal(known_find(&table, &kinds[1], "name"), second);
    assert_null(known_find(&table, &kinds[0], "nam"));
    assert_string_equal(first->name, "name");
    known_drop(&table, first);
    assert_null(known_find(&table, &kinds[0], "name"));
    failing_arm(1);
    assert_null(known_get(&table, &kinds[0], "other"));
    assert_true(failing_disarm() && table.full);
    known_clear(&table);
    assert_int_equal(failing_live(), live);
}

static void test_known_is_bounded(void **state)
{
    (void)state;
    struct known_table table = {0};
    char name[32];
    for (unsigned i = 0; i < KNOWN_MAX; i++) {
        (void)snprintf(name, sizeof name, "%u", i);
        assert_non_null(known_get(&table, &kinds[0], name));
    }
    assert_false(table.full);
    assert_null(known_get(&table, &kinds[0], "more"));
    assert_true(table.full);
    known_clear(&table);
}

static void add_note(struct event_notes *notes, const char *name, pid_t thread)
{
    struct event_note note = {.kind = &kinds[0], .directory = 1, .thread = thread};
    (void)stpcpy(note.name, name);
    event_notes_add(notes, &note);
}

static void test_notes(void **state)
{
    (void)state;
    struct event_notes *notes = calloc(1, sizeof *notes);
    struct event_note found;
    assert_non_null(notes);
    assert_int_equal(lock_init(&notes->lock, LOCK_EVENTS), 0);
    assert_false(event_notes_find(notes, &kinds[0], 1, "a", &found));
    add_note(notes, "a", 1);
    add_note(notes, "b", 2);
    add_note(notes, "a", 3);
    assert_true(event_notes_find(notes, &kinds[0], 1, "a", &found));
    assert_int_equal(found.thread, 3);
    assert_true(event_notes_find(notes, &kinds[0], 1, "b", &found));
    assert_false(event_notes_find(notes, &kinds[0], 0, "a", &found));
    assert_false(event_notes_find(notes, &kinds[1], 1, "a", &found));
    for (unsigned i = 0; i < NOTES_KEPT; i++)
        add_note(notes, "c", 4);
    assert_false(event_notes_find(notes, &kinds[0], 1, "a", &found));
    lock_destroy(&notes->lock);
    free(notes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shown),
        cmocka_unit_test(test_whose_pid),
        cmocka_unit_test_setup_teardown(test_any_offset, empty_log, empty_log),
        cmocka_unit_test_setup_teardown(test_behind_the_end, empty_log, empty_log),
        cmocka_unit_test_setup_teardown(test_lost, empty_log, empty_log),
        cmocka_unit_test_setup_teardown(test_back_to_what_is_gone, empty_log, empty_log),
        cmocka_unit_test_setup_teardown(test_event_without_memory, empty_log, empty_log),
        cmocka_unit_test_setup_teardown(test_reading_without_memory, empty_log, empty_log),
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_known_is_bounded),
        cmocka_unit_test(test_notes),
    };
    return hash_init() ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
