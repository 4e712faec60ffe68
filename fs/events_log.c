/* SPDX-License-Identifier: MIT */
#include "events_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Lines are written when they are read. How long they are is kept, for each way in which they can be seen: as text or
 * JSON, with the pid or without. 0: not written yet. */
struct event_entry {
    struct event event;
    unsigned lengths[4];
    char strings[];
};

/* What the entry of an event that there was no memory for shows. */
static const struct event not_kept = {.what = EVENT_LOST, .count = 1};

/* ---- the ring ---- */

static size_t room_of(const char *string)
{
    return string ? strlen(string) + 1 : 0;
}

static const char *put(char **to, const char *string)
{
    size_t room = room_of(string);
    const char *copy = *to;
    if (!room)
        return NULL;
    memcpy(*to, string, room);
    *to += room;
    return copy;
}

static struct event_entry *entry_new(const struct event *event)
{
    size_t room = room_of(event->name) + room_of(event->key) + room_of(event->to);
    struct event_entry *entry = calloc(1, sizeof *entry + room);
    if (!entry)
        return NULL;
    char *to = entry->strings;
    entry->event = *event;
    entry->event.name = put(&to, event->name);
    entry->event.key = put(&to, event->key);
    entry->event.to = put(&to, event->to);
    return entry;
}

void event_log_add(struct event_log *log, const struct event *event)
{
    struct event_entry **place = &log->ring[log->end % EVENTS_KEPT];
    free(*place);
    *place = entry_new(event);
    log->end++;
    if (log->end - log->begin > EVENTS_KEPT)
        log->begin++;
    log->changed = event->time;
}

void event_log_clear(struct event_log *log)
{
    for (size_t i = 0; i < EVENTS_KEPT; i++)
        free(log->ring[i]);
    *log = (struct event_log){0};
}

/* ---- lines ---- */

/* In which of the four ways it is seen. */
static unsigned way_of(const struct event *event, const struct event_view *view)
{
    bool pid = event->pid_public || view->uid == 0 || view->uid == event->pid_uid;
    return (view->json ? 2U : 0U) + (pid ? 1U : 0U);
}

/* The line that the cursor is at; 0 or −ENOMEM. */
static int line_of(const struct event_cursor *cursor, const struct event_log *log, struct text *out)
{
    const struct event_entry *entry = log->ring[cursor->next % EVENTS_KEPT];
    struct event lost = not_kept;
    lost.time = log->changed;
    const struct event *event = cursor->in_head ? &cursor->head : entry ? &entry->event : &lost;
    return event_show(event, &cursor->view, out);
}

static uint64_t length_of(const struct event_cursor *cursor, struct event_log *log)
{
    struct event_entry *entry = cursor->in_head ? NULL : log->ring[cursor->next % EVENTS_KEPT];
    unsigned *kept = entry ? &entry->lengths[way_of(&entry->event, &cursor->view)] : NULL;
    if (kept && *kept)
        return *kept;
    AUTO_TEXT line = {0};
    if (line_of(cursor, log, &line))
        return 0;
    if (kept)
        *kept = (unsigned)line.length;
    return line.length;
}

/* ---- places ---- */

void event_cursor_begin(struct event_cursor *cursor, const struct event_log *log,
                        const struct event_view *view, const struct timespec *now)
{
    *cursor = (struct event_cursor){.view = *view,
                                    .head = {.what = EVENT_BEGIN, .time = *now},
                                    .first = log->end,
                                    .in_head = true,
                                    .next = log->end};
}

/* Entries from `next` on have been overwritten: the head is to say so, at the cursor's place. */
static void lose(struct event_cursor *cursor, const struct event_log *log)
{
    cursor->head =
        (struct event){.what = EVENT_LOST, .time = log->changed, .count = log->begin - cursor->next};
    cursor->head_at = cursor->at;
    cursor->first = log->begin;
    cursor->next = log->begin;
    cursor->in_head = true;
}

static bool at_end(const struct event_cursor *cursor, const struct event_log *log)
{
    return !cursor->in_head && cursor->next == log->end;
}

/* To the next line. */
static void advance(struct event_cursor *cursor, struct event_log *log)
{
    cursor->at += length_of(cursor, log);
    if (cursor->in_head) {
        cursor->in_head = false;
        cursor->next = cursor->first;
    } else {
        cursor->next++;
    }
    if (cursor->next < log->begin)
        lose(cursor, log);
}

/* To a line at or before `offset`, or to what stands in its place. */
static void step_back(struct event_cursor *cursor, struct event_log *log, uint64_t offset)
{
    uint64_t oldest = cursor->first > log->begin ? cursor->first : log->begin;
    while (cursor->at > offset && !cursor->in_head && cursor->next > oldest) {
        cursor->next--;
        cursor->at -= length_of(cursor, log);
    }
    if (cursor->at <= offset)
        return;
    if (cursor->first < log->begin) {
        cursor->next = cursor->first;
        cursor->at = offset;
        lose(cursor, log);
        return;
    }
    /* What was before the head is gone. */
    if (cursor->head_at > offset)
        cursor->head_at = offset;
    cursor->in_head = true;
    cursor->at = cursor->head_at;
}

static void locate(struct event_cursor *cursor, struct event_log *log, uint64_t offset)
{
    if (!cursor->in_head && cursor->next < log->begin)
        lose(cursor, log);
    if (cursor->at > offset)
        step_back(cursor, log, offset);
    while (!at_end(cursor, log) && cursor->at + length_of(cursor, log) <= offset)
        advance(cursor, log);
}

/* ---- reading ---- */

ssize_t event_cursor_read(struct event_cursor *cursor, struct event_log *log, uint64_t offset, char *buffer,
                          size_t size)
{
    size_t used = 0;
    locate(cursor, log, offset);
    while (!at_end(cursor, log) && used < size) {
        AUTO_TEXT line = {0};
        int error = line_of(cursor, log, &line);
        size_t skip = offset > cursor->at ? offset - cursor->at : 0;
        if (error || skip >= line.length)
            return used ? (ssize_t)used : error;
        size_t left = line.length - skip;
        if (left > size - used && used)
            break;
        size_t count = left < size ? left : size;
        memcpy(buffer + used, line.data + skip, count);
        used += count;
        if (count < left)
            break;
        advance(cursor, log);
    }
    return (ssize_t)used;
}

bool event_cursor_has(struct event_cursor *cursor, struct event_log *log, uint64_t offset)
{
    locate(cursor, log, offset);
    return !at_end(cursor, log);
}

uint64_t event_cursor_size(struct event_cursor *cursor, struct event_log *log)
{
    if (!cursor->in_head && cursor->next < log->begin)
        lose(cursor, log);
    struct event_cursor end = *cursor;
    while (!at_end(&end, log))
        advance(&end, log);
    if (end.at > cursor->told)
        cursor->told = end.at;
    return cursor->told;
}
