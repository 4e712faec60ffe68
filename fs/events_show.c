/* SPDX-License-Identifier: MIT */
/* A line of ctl/events and of ctl/events.json. */
#include "events_log.h"

#include "fields.h"

static const char *const names[] = {
    [EVENT_BEGIN] = "begin",     [EVENT_LOST] = "lost",       [EVENT_CREATED] = "created",
    [EVENT_REMOVED] = "removed", [EVENT_RENAMED] = "renamed", [EVENT_RESIZED] = "resized",
    [EVENT_CHANGED] = "changed", [EVENT_FULL] = "full",       [EVENT_ROOM] = "room",
    [EVENT_EMPTY] = "empty",     [EVENT_DATA] = "data",       [EVENT_OWNER_DIED] = "owner-died",
};

enum {
    FIELD_TIME,
    FIELD_EVENT,
    FIELD_KIND,
    FIELD_NAME,
    FIELD_KEY,
    FIELD_TO,
    FIELD_PID,
    FIELD_SIZE,
    FIELD_MODE,
    FIELD_UID,
    FIELD_GID,
    FIELD_COUNT,
    FIELDS,
};

const struct ipcfs_field event_fields[] = {
    [FIELD_TIME] = {"time", IPCFS_TIME, "", "when it was noticed"},
    [FIELD_EVENT] =
        {"event", IPCFS_STRING, "",
         "begin, lost, created, removed, renamed, resized, changed (mode or owner), full, room (not full any "
         "more), empty, data (not empty any more), owner-died (the process that created it ended)"},
    [FIELD_KIND] = {"kind", IPCFS_STRING, "", "the kind's path"},
    [FIELD_NAME] = {"name", IPCFS_NAME, "", "the object's name"},
    [FIELD_KEY] = {"key", IPCFS_STRING, "", "its System V key"},
    [FIELD_TO] = {"to", IPCFS_NAME, "", "its new name"},
    [FIELD_PID] = {"pid", IPCFS_UNSIGNED, "", "the process that did it, or that died"},
    [FIELD_SIZE] = {"size", IPCFS_UNSIGNED, "bytes", "its length"},
    [FIELD_MODE] = {"mode", IPCFS_MODE, "", "permission bits"},
    [FIELD_UID] = {"uid", IPCFS_UNSIGNED, "", "owner"},
    [FIELD_GID] = {"gid", IPCFS_UNSIGNED, "", "owning group"},
    [FIELD_COUNT] = {"count", IPCFS_UNSIGNED, "",
                     "how many events were lost, because they were not read in time"},
    {0},
};

static struct ipcfs_value string_or_none(const char *string)
{
    return (struct ipcfs_value){.known = string, .string = string};
}

static struct ipcfs_value number_if(bool known, uint64_t number)
{
    return (struct ipcfs_value){.known = known, .number = number};
}

static bool shows_pid(const struct event *event, const struct event_view *view)
{
    return event->pid && (event->pid_public || view->uid == 0 || view->uid == event->pid_uid);
}

static void fill(const struct event *event, const struct event_view *view, struct ipcfs_value *values)
{
    values[FIELD_TIME] = (struct ipcfs_value){.known = true, .time = event->time};
    values[FIELD_EVENT] = ipcfs_string(names[event->what]);
    values[FIELD_KIND] = string_or_none(event->kind);
    values[FIELD_NAME] = string_or_none(event->name);
    values[FIELD_KEY] = string_or_none(event->key);
    values[FIELD_TO] = string_or_none(event->to);
    values[FIELD_PID] = number_if(shows_pid(event, view), (uint64_t)event->pid);
    values[FIELD_SIZE] = number_if(event->sized, event->size);
    values[FIELD_MODE] = number_if(event->owned, event->mode);
    values[FIELD_UID] = number_if(event->owned, event->uid);
    values[FIELD_GID] = number_if(event->owned, event->gid);
    values[FIELD_COUNT] = number_if(event->what == EVENT_LOST && event->count, event->count);
}

static void show_text(const struct ipcfs_value *values, struct text *out)
{
    for (unsigned i = 0; i < FIELDS; i++) {
        if (i > FIELD_NAME && !values[i].known)
            continue;
        if (i)
            text_string(out, " ");
        if (i > FIELD_NAME)
            text_printf(out, "%s=", event_fields[i].name);
        fields_word(out, &event_fields[i], &values[i]);
    }
}

int event_show(const struct event *event, const struct event_view *view, struct text *out)
{
    struct ipcfs_value values[FIELDS];
    fill(event, view, values);
    int error = 0;
    if (view->json)
        error = fields_json(out, event_fields, values);
    else
        show_text(values, out);
    text_string(out, "\n");
    return error ? error : text_error(out);
}
