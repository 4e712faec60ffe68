/* SPDX-License-Identifier: MIT */
/* ctl/<object>/holders and waiters: the uses of one object, of all that a look at the processes finds (fs/inspect.h). */
#include "control_views.h"

#include "fields.h"
#include "inspect.h"
#include "ipcfs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* ---- the fields ---- */

enum { ADDRESS_ROOM = sizeof "0xffffffffffffffff" };

/* The values of a row: the numbers as text are in it. */
struct row {
    struct ipcfs_value values[IPCFS_FIELDS_MAX];
    char start[ADDRESS_ROOM], end[ADDRESS_ROOM], offset[ADDRESS_ROOM];
};

enum {
    HOLDER_PID,
    HOLDER_COMMAND,
    HOLDER_UID,
    HOLDER_HOW,
    HOLDER_FD,
    HOLDER_ACCESS,
    HOLDER_PART,
    HOLDER_START,
    HOLDER_END,
    HOLDER_OFFSET,
    HOLDER_TID,
    HOLDER_CALL,
    HOLDER_SINCE,
};

const struct ipcfs_field holders_fields[] = {
    [HOLDER_PID] = {"pid", IPCFS_UNSIGNED, "", "process"},
    [HOLDER_COMMAND] = {"command", IPCFS_NAME, "", "its name"},
    [HOLDER_UID] = {"uid", IPCFS_UNSIGNED, "", "its effective user"},
    [HOLDER_HOW] = {"how", IPCFS_STRING, "", "descriptor, mapping, attachment or waiting"},
    [HOLDER_FD] = {"fd", IPCFS_UNSIGNED, "", "descriptor"},
    [HOLDER_ACCESS] = {"access", IPCFS_STRING, "", "r, w or rw; waiting: what it waits for"},
    [HOLDER_PART] = {"part", IPCFS_STRING, "", "the file of the object in this mount by which"},
    [HOLDER_START] = {"start", IPCFS_STRING, "", "first address of a mapping or attachment"},
    [HOLDER_END] = {"end", IPCFS_STRING, "", "the address behind it"},
    [HOLDER_OFFSET] = {"offset", IPCFS_STRING, "",
                       "where in the object that begins, or the futex is that it waits for"},
    [HOLDER_TID] = {"tid", IPCFS_UNSIGNED, "", "thread that waits"},
    [HOLDER_CALL] = {"call", IPCFS_STRING, "", "system call in which it waits"},
    [HOLDER_SINCE] = {"since", IPCFS_TIME, "", "when it began to wait"},
    {0},
};

enum {
    WAITER_PID,
    WAITER_TID,
    WAITER_COMMAND,
    WAITER_UID,
    WAITER_CALL,
    WAITER_PART,
    WAITER_MEMBER,
    WAITER_SINCE,
    WAITER_PARKED,
};

const struct ipcfs_field waiters_fields[] = {
    [WAITER_PID] = {"pid", IPCFS_UNSIGNED, "", "process"},
    [WAITER_TID] = {"tid", IPCFS_UNSIGNED, "", "thread that waits"},
    [WAITER_COMMAND] = {"command", IPCFS_NAME, "", "its name"},
    [WAITER_UID] = {"uid", IPCFS_UNSIGNED, "", "its effective user"},
    [WAITER_CALL] = {"call", IPCFS_STRING, "", "system call in which it waits"},
    [WAITER_PART] = {"part", IPCFS_STRING, "", "the file of the object in this mount by which"},
    [WAITER_MEMBER] = {"member", IPCFS_UNSIGNED, "", "semaphore of a set"},
    [WAITER_SINCE] = {"since", IPCFS_TIME, "", "when it began to wait"},
    [WAITER_PARKED] = {"parked", IPCFS_STRING, "", "yes: it waits through this mount; no: natively"},
    {0},
};

/* ---- rows ---- */

static struct ipcfs_value known_string(const char *string)
{
    return (struct ipcfs_value){.known = string != NULL, .string = string};
}

static struct ipcfs_value known_number(int number)
{
    return (struct ipcfs_value){.known = number >= 0, .number = (uint64_t)number};
}

static struct ipcfs_value address(char room[ADDRESS_ROOM], uint64_t number)
{
    (void)snprintf(room, ADDRESS_ROOM, "0x%" PRIx64, number);
    return ipcfs_string(room);
}

static struct ipcfs_value since(const struct inspected_use *use)
{
    return (struct ipcfs_value){.known = use->since_known, .time = use->since};
}

static const char *access_word(const struct inspected_use *use)
{
    if (use->reads)
        return use->writes ? "rw" : "r";
    return use->writes ? "w" : NULL;
}

static void holder_row(const struct process *process, const struct inspected_use *use, struct row *row)
{
    struct ipcfs_value *values = row->values;
    values[HOLDER_PID] = known_number(process->pid);
    values[HOLDER_COMMAND] = ipcfs_string(process->command);
    values[HOLDER_UID] = ipcfs_number(process->uid);
    values[HOLDER_HOW] = ipcfs_string(inspected_how_word(use->how));
    values[HOLDER_FD] = known_number(use->fd);
    values[HOLDER_ACCESS] = known_string(access_word(use));
    values[HOLDER_PART] = known_string(use->part);
    if (use->how == USE_MAPPING || use->how == USE_ATTACHMENT) {
        values[HOLDER_START] = address(row->start, use->start);
        values[HOLDER_END] = address(row->end, use->end);
    }
    if (use->how != USE_DESCRIPTOR && (use->how != USE_WAITING || use->futex))
        values[HOLDER_OFFSET] = address(row->offset, use->offset);
    if (use->how == USE_WAITING) {
        values[HOLDER_TID] = known_number(use->tid);
        values[HOLDER_CALL] = known_string(use->call);
        values[HOLDER_SINCE] = since(use);
    }
}

static void waiter_row(const struct process *process, const struct inspected_use *use, struct row *row)
{
    struct ipcfs_value *values = row->values;
    values[WAITER_PID] = known_number(process->pid);
    values[WAITER_TID] = known_number(use->tid);
    values[WAITER_COMMAND] = ipcfs_string(process->command);
    values[WAITER_UID] = ipcfs_number(process->uid);
    values[WAITER_CALL] = known_string(use->call);
    values[WAITER_PART] = known_string(use->part);
    values[WAITER_MEMBER] = known_number(use->member);
    values[WAITER_SINCE] = since(use);
    values[WAITER_PARKED] = ipcfs_string(use->parked ? "yes" : "no");
}

struct view {
    const struct ipcfs_field *fields;
    bool waiting; /* only those who wait */
    void (*fill)(const struct process *process, const struct inspected_use *use, struct row *row);
};

static const struct view holders = {holders_fields, false, holder_row};
static const struct view waiters = {waiters_fields, true, waiter_row};

/* ---- the object ---- */

/* The number of what bears the name now. */
static int number_of(const struct node_kin *kin, const struct ipcfs_ref *ref, uint64_t *number)
{
    struct ipcfs_found found;
    int error = kin->backend->find(ref->directory, ref->name, &found, NULL);
    if (!error)
        *number = ipcfs_stat_number(&found.stat);
    return error;
}

struct looked {
    struct inspected *inspected;
    const struct inspected_object *object; /* NULL: nobody uses it */
};

static int look_at(struct ipcfs *fs, const struct caller *caller, const struct node_kin *kin,
                   const struct ipcfs_ref *ref, struct looked *out)
{
    uint64_t number = 0;
    int error = number_of(kin, ref, &number);
    if (!error)
        error = inspect_object(fs, caller, kin->backend, number, &out->inspected);
    if (!error)
        out->object = inspection_object(inspected(out->inspected), kin->backend, number);
    return error;
}

/* Calls `show` with the values of each use that the view shows. */
static int for_each_use(const struct looked *looked, const struct view *view,
                        int (*show)(void *data, const struct ipcfs_value *values), void *data)
{
    const struct inspection *inspection = inspected(looked->inspected);
    int error = 0;
    for (size_t i = 0; !error && looked->object && i < looked->object->user_count; i++) {
        const struct inspected_use *use = &inspection->uses[looked->object->users[i]];
        if (view->waiting && use->how != USE_WAITING)
            continue;
        struct row row = {0};
        view->fill(&inspection->processes[use->process], use, &row);
        error = show(data, row.values);
    }
    return error;
}

/* ---- text ---- */

static int list_row(void *data, const struct ipcfs_value *values)
{
    fields_list_row(data, values);
    return 0;
}

static int show_text(struct ipcfs *fs, const struct caller *caller, const struct node_kin *kin,
                     const struct ipcfs_ref *ref, const struct view *view, struct text *out)
{
    struct looked looked = {0};
    int error = look_at(fs, caller, kin, ref, &looked);
    if (error)
        return error;
    struct fields_list *list = fields_list_new(view->fields);
    if (list) {
        (void)for_each_use(&looked, view, list_row, list);
        error = fields_list_finish(list, out);
    }
    inspected_put(&looked.inspected);
    return list ? error : -ENOMEM;
}

int holders_text(struct ipcfs *fs, const struct caller *caller, const struct node_kin *kin,
                 const struct ipcfs_ref *ref, struct text *out)
{
    return show_text(fs, caller, kin, ref, &holders, out);
}

int waiters_text(struct ipcfs *fs, const struct caller *caller, const struct node_kin *kin,
                 const struct ipcfs_ref *ref, struct text *out)
{
    return show_text(fs, caller, kin, ref, &waiters, out);
}

/* ---- JSON ---- */

static int json_row(void *rows, const struct ipcfs_value *values)
{
    fields_rows_add(rows, values);
    return 0;
}

static int show_json(struct ipcfs *fs, const struct caller *caller, const struct node_kin *kin,
                     const struct ipcfs_ref *ref, const struct view *view, struct text *out)
{
    struct looked looked = {0};
    int error = look_at(fs, caller, kin, ref, &looked);
    if (error)
        return error;
    struct fields_rows rows = fields_rows_begin(view->fields, out);
    error = for_each_use(&looked, view, json_row, &rows);
    fields_rows_end(&rows);
    text_string(out, "\n");
    inspected_put(&looked.inspected);
    return error;
}

int holders_json(struct ipcfs *fs, const struct caller *caller, const struct node_kin *kin,
                 const struct ipcfs_ref *ref, struct text *out)
{
    return show_json(fs, caller, kin, ref, &holders, out);
}

int waiters_json(struct ipcfs *fs, const struct caller *caller, const struct node_kin *kin,
                 const struct ipcfs_ref *ref, struct text *out)
{
    return show_json(fs, caller, kin, ref, &waiters, out);
}
