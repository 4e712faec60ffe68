/* SPDX-License-Identifier: MIT */
/* ctl/waits, waits.json: a row for each thread that waits. And ctl/deadlocks: a sentence for each. */
#include "control_views.h"

#include "control_waits.h"
#include "fields.h"
#include "inspect.h"
#include "ipcfs.h"
#include "wait_words.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

/* In the text so many of those who could end a wait are named, and so many in JSON. */
enum {
    FOR_MAX = 16,
    HOLDERS_MAX = 64,
    FOR_ROOM = FOR_MAX * 12 + 32,
    OFFSET_ROOM = sizeof "0xffffffffffffffff"
};
/* After so long a wait is looked at again, to be believed. */
enum { AGAIN_MS = 60 };

/* ---- the fields ---- */

enum { HOLDER_PID, HOLDER_TID };

static const struct ipcfs_field holder_fields[] = {
    [HOLDER_PID] = {"pid", IPCFS_UNSIGNED, "", "process"},
    [HOLDER_TID] = {"tid", IPCFS_UNSIGNED, "", "its thread, where only that one could"},
    {0},
};

enum {
    PID,
    TID,
    COMMAND,
    USER,
    SINCE,
    CALL,
    TIMEOUT,
    KIND,
    OBJECT,
    MEMBER,
    OFFSET,
    PURPOSE,
    FOR,
    EVIDENCE,
    HOLDERS,
};

static const struct ipcfs_field fields[] = {
    [PID] = {"pid", IPCFS_UNSIGNED, "", "process"},
    [TID] = {"tid", IPCFS_UNSIGNED, "", "thread that waits"},
    [COMMAND] = {"command", IPCFS_NAME, "", "the name of the process"},
    [USER] = {"uid", IPCFS_UNSIGNED, "", "its effective user"},
    [SINCE] = {"since", IPCFS_TIME, "", "when it began to wait"},
    [CALL] = {"call", IPCFS_STRING, "", "system call in which it waits"},
    [TIMEOUT] = {"timeout", IPCFS_STRING, "", "yes: the call ends by itself in time"},
    [KIND] = {"kind", IPCFS_STRING, "", "of the object"},
    [OBJECT] = {"object", IPCFS_NAME, "", "its name"},
    [MEMBER] = {"member", IPCFS_UNSIGNED, "", "semaphore of a set"},
    [OFFSET] = {"offset", IPCFS_STRING, "", "where in the object the futex or mutex is"},
    [PURPOSE] = {"how", IPCFS_STRING, "", "what is waited for: lock, mutex, data, room, any of several ..."},
    [FOR] = {"for", IPCFS_STRING, "", "processes that could end it"},
    [EVIDENCE] = {"evidence", IPCFS_STRING, "", "how that is known"},
    [HOLDERS] = {"holders", IPCFS_TABLE, "",
                 "the first 64 of these processes, and the thread where only one could"},
    {0},
};

/* ---- rows ---- */

struct row {
    struct ipcfs_value values[IPCFS_FIELDS_MAX];
    char waited_for[FOR_ROOM];
    char offset[OFFSET_ROOM];
};

static struct ipcfs_value known_string(const char *string)
{
    return (struct ipcfs_value){.known = string != NULL, .string = string};
}

/* "12,34", or "12,34,…,56+9" of nine more. */
static void list_holders(const struct waits *waits, const struct waited *waited, char text[FOR_ROOM])
{
    int length = 0;
    for (size_t i = 0; i < waited->count && i < FOR_MAX; i++) {
        size_t process = waits->holders[waited->first + i].process;
        length += snprintf(text + length, FOR_ROOM - (size_t)length, "%s%d", i ? "," : "",
                           waits->inspection->processes[process].pid);
    }
    if (waited->count > FOR_MAX)
        (void)snprintf(text + length, FOR_ROOM - (size_t)length, "+%zu", waited->count - FOR_MAX);
}

static struct ipcfs_table *table_of(const struct waits *waits, const struct waited *waited)
{
    size_t count = waited->count < HOLDERS_MAX ? waited->count : HOLDERS_MAX;
    struct ipcfs_table *table = ipcfs_table_new(holder_fields, count);
    for (size_t i = 0; table && i < count; i++) {
        const struct wait_holder *holder = &waits->holders[waited->first + i];
        struct ipcfs_value *cells = ipcfs_table_row(table, i);
        cells[HOLDER_PID] = ipcfs_number((uint64_t)waits->inspection->processes[holder->process].pid);
        cells[HOLDER_TID] = (struct ipcfs_value){.known = holder->tid > 0, .number = (uint64_t)holder->tid};
    }
    return table;
}

static void fill_who(const struct inspection *inspection, const struct wait *wait, struct row *row)
{
    const struct process *process = &inspection->processes[wait->process];
    const struct inspected_use *use = &inspection->uses[wait->use];
    row->values[PID] = ipcfs_number((uint64_t)process->pid);
    row->values[TID] = ipcfs_number((uint64_t)wait->tid);
    row->values[COMMAND] = ipcfs_string(process->command);
    row->values[USER] = ipcfs_number(process->uid);
    row->values[SINCE] = (struct ipcfs_value){.known = use->since_known, .time = use->since};
    row->values[CALL] = known_string(use->call);
    row->values[TIMEOUT] = ipcfs_string(use->timed ? "yes" : "no");
}

static void fill_what(const struct waits *waits, const struct wait *wait, struct row *row)
{
    const struct waited *waited = &waits->waited[wait->waited];
    const struct inspected_object *object = &waits->inspection->objects[waited->object];
    bool is_word = waited->purpose == WAITS_FOR_FUTEX || waited->purpose == WAITS_FOR_MUTEX;
    row->values[KIND] = known_string(inspected_kind_word(object));
    if (waited->purpose != WAITS_FOR_CHILD)
        row->values[OBJECT] = known_string(object->name);
    if (waited->member >= 0)
        row->values[MEMBER] = ipcfs_number((uint64_t)waited->member);
    if (is_word) {
        (void)snprintf(row->offset, sizeof row->offset, "0x%" PRIx64, waited->offset);
        row->values[OFFSET] = ipcfs_string(row->offset);
    }
    row->values[PURPOSE] = ipcfs_string(wait_purpose_word(waited->purpose));
    row->values[EVIDENCE] = known_string(wait_evidence_words(waited->evidence));
    if (waited->count) {
        list_holders(waits, waited, row->waited_for);
        row->values[FOR] = ipcfs_string(row->waited_for);
    }
}

static void fill(const struct waits *waits, const struct wait *wait, struct row *row)
{
    fill_who(waits->inspection, wait, row);
    fill_what(waits, wait, row);
}

static int list(const struct waits *waits, const bool *shown, struct text *out)
{
    struct fields_list *list = fields_list_new(fields);
    if (!list)
        return -ENOMEM;
    for (size_t i = 0; i < waits->count; i++) {
        struct row row = {0};
        if (!shown[i])
            continue;
        fill(waits, &waits->waits[i], &row);
        fields_list_row(list, row.values);
    }
    return fields_list_finish(list, out);
}

static int json_row(const struct waits *waits, const struct wait *wait, struct fields_rows *rows)
{
    struct row row = {0};
    fill(waits, wait, &row);
    struct ipcfs_table *table = table_of(waits, &waits->waited[wait->waited]);
    if (!table)
        return -ENOMEM;
    row.values[HOLDERS] = (struct ipcfs_value){.known = true, .table = table};
    fields_rows_add(rows, row.values);
    ipcfs_values_release(fields, row.values);
    return 0;
}

static int json(const struct waits *waits, const bool *shown, struct text *out)
{
    int error = 0;
    struct fields_rows rows = fields_rows_begin(fields, out);
    for (size_t i = 0; !error && i < waits->count; i++)
        if (shown[i])
            error = json_row(waits, &waits->waits[i], &rows);
    fields_rows_end(&rows);
    text_string(out, "\n");
    return error ? error : text_error(out);
}

/* ---- looks ---- */

int waits_look(struct ipcfs *fs, const struct caller *caller, struct waits_seen *out)
{
    int error = inspect(fs, caller, INSPECT_WAITERS, &out->inspected);
    if (!error)
        error = waits_make(inspected(out->inspected), &out->waits);
    return error;
}

void waits_seen_release(struct waits_seen *look)
{
    deadlocks_free(look->deadlocks);
    waits_free(look->waits);
    inspected_put(&look->inspected);
    *look = (struct waits_seen){0};
}

int waits_look_for_deadlocks(struct ipcfs *fs, const struct caller *caller, struct waits_seen *out)
{
    const struct timespec pause = {.tv_nsec = AGAIN_MS * 1000000};
    AUTO_WAITS_SEEN first = {0};
    int error = waits_look(fs, caller, &first);
    if (!error)
        error = deadlocks_find(first.waits, &first.deadlocks);
    if (error || !first.deadlocks->count) {
        *out = first;
        first = (struct waits_seen){0};
        return error;
    }
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    error = waits_look(fs, caller, out);
    if (!error)
        error = deadlocks_find(out->waits, &out->deadlocks);
    if (!error)
        deadlocks_confirm(out->deadlocks, out->waits, first.deadlocks, first.waits);
    return error;
}

/* ---- files ---- */

static int show(struct ipcfs *fs, const struct caller *caller,
                int (*write)(const struct waits *waits, const bool *shown, struct text *out),
                struct text *out)
{
    AUTO_WAITS_SEEN look = {0};
    AUTO_FREE bool *shown = NULL;
    int error = waits_look(fs, caller, &look);
    if (!error)
        error = deadlocks_find(look.waits, &look.deadlocks);
    if (!error)
        error = waits_choose(&look, false, &shown);
    return error ? error : write(look.waits, shown, out);
}

int control_waits(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                  struct text *out)
{
    (void)kind;
    return show(fs, caller, list, out);
}

int control_waits_json(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                       struct text *out)
{
    (void)kind;
    return show(fs, caller, json, out);
}

int control_deadlocks(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                      struct text *out)
{
    (void)kind;
    AUTO_WAITS_SEEN look = {0};
    int error = waits_look_for_deadlocks(fs, caller, &look);
    for (size_t i = 0; !error && i < look.deadlocks->count; i++)
        deadlock_words(out, look.waits, look.deadlocks, &look.deadlocks->all[i]);
    return error ? error : text_error(out);
}
