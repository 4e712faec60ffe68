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

/* 0: without memory it is not known. */
static uint64_t length_of(const struct event_cursor *cursor, const struct event_log *log)
{
    struct event_entry *entry = cursor->in_head ? NULL : log->ring[cursor->next % EVENTS_KEPT];
    unsigned unkept = 0;
    unsigned *length = entry ? &entry->lengths[way_of(&entry->event, &cursor->view)] : &unkept;
    AUTO_TEXT line = {0};
    if (!*length && !line_of(cursor, log, &line))
        *length = (unsigned)line.length;
    return *length;
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
static void advance(struct event_cursor *cursor, const struct event_log *log, uint64_t length)
{
    cursor->at += length;
    if (cursor->in_head) {
        cursor->in_head = false;
        cursor->next = cursor->first;
    } else {
        cursor->next++;
    }
    if (cursor->next < log->begin)
        lose(cursor, log);
}

/* To the line before. 0 or −ENOMEM. */
static int retreat(struct event_cursor *cursor, const struct event_log *log)
{
    cursor->next--;
    uint64_t length = length_of(cursor, log);
    if (!length) {
        cursor->next++;
        return -ENOMEM;
    }
    cursor->at -= length;
    return 0;
}

/* To a line at or before `offset`, or to what stands in its place. 0 or −ENOMEM. */
static int step_back(struct event_cursor *cursor, const struct event_log *log, uint64_t offset)
{
    uint64_t oldest = cursor->first > log->begin ? cursor->first : log->begin;
    int error = 0;
    while (!error && cursor->at > offset && !cursor->in_head && cursor->next > oldest)
        error = retreat(cursor, log);
    if (error || cursor->at <= offset)
        return error;
    if (cursor->first < log->begin) {
        cursor->next = cursor->first;
        cursor->at = offset;
        lose(cursor, log);
        return 0;
    }
    /* What was before the head is gone. */
    if (cursor->head_at > offset)
        cursor->head_at = offset;
    cursor->in_head = true;
    cursor->at = cursor->head_at;
    return 0;
}

/* To the line that `offset` is in, or to the end. 0 or −ENOMEM. */
static int locate(struct event_cursor *cursor, const struct event_log *log, uint64_t offset)
{
    if (!cursor->in_head && cursor->next < log->begin)
        lose(cursor, log);
    int error = cursor->at > offset ? step_back(cursor, log, offset) : 0;
    while (!error && !at_end(cursor, log)) {
        uint64_t length = length_of(cursor, log);
        if (!length)
            return -ENOMEM;
        if (cursor->at + length > offset)
            return 0;
        advance(cursor, log, length);
    }
    return error;
}

/* ---- reading ---- */

/* What is left of the cursor's line from `offset` on, to `buffer`: all or, if it is the first, as much as fits. How much that
 * was, 0 where it does not fit; then the cursor stays. −ENOMEM. */
static ssize_t take_line(struct event_cursor *cursor, const struct event_log *log, uint64_t offset,
                         char *buffer, size_t size, bool first)
{
    AUTO_TEXT line = {0};
    int error = line_of(cursor, log, &line);
    if (error)
        return error;
    size_t skip = offset > cursor->at ? offset - cursor->at : 0;
    size_t left = line.length - skip;
    if (left > size && !first)
        return 0;
    size_t count = left < size ? left : size;
    memcpy(buffer, line.data + skip, count);
    if (count == left)
        advance(cursor, log, line.length);
    return (ssize_t)count;
}

ssize_t event_cursor_read(struct event_cursor *cursor, const struct event_log *log, uint64_t offset,
                          char *buffer, size_t size)
{
    size_t used = 0;
    ssize_t count = locate(cursor, log, offset);
    while (count >= 0 && used < size && !at_end(cursor, log)) {
        count = take_line(cursor, log, offset, buffer + used, size - used, used == 0);
        if (count <= 0)
            break;
        used += (size_t)count;
    }
    return used ? (ssize_t)used : count;
}

bool event_cursor_has(struct event_cursor *cursor, const struct event_log *log, uint64_t offset)
{
    return locate(cursor, log, offset) < 0 || !at_end(cursor, log);
}

uint64_t event_cursor_size(struct event_cursor *cursor, const struct event_log *log)
{
    if (!cursor->in_head && cursor->next < log->begin)
        lose(cursor, log);
    struct event_cursor end = *cursor;
    (void)locate(&end, log, UINT64_MAX);
    if (end.at > cursor->told)
        cursor->told = end.at;
    return cursor->told;
}
