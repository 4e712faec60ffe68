/* SPDX-License-Identifier: MIT */
/*
 * What ctl/events shows: a log of the last EVENTS_KEPT events, and readers' places in it. Not guarded: by its owner.
 *
 * To each reader the log is a file that begins when he opens it and grows. Its first line, `begin`, is his alone, and so is
 * `lost`, which stands in place of what was overwritten before he read it. A line is shown as he may see it, so that every
 * reader's file has offsets of its own: a cursor knows one line and where it is, and any other is found by walking from
 * there. Programs read forwards, and step back a few lines at most (a shell's `read` gives back what it read too much).
 * What was read counts as read, and not as lost, also if it was given back.
 */
#ifndef IPCFS_FS_EVENTS_LOG_H
#define IPCFS_FS_EVENTS_LOG_H

#include "ipcfs/fields.h"
#include "ipcfs/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { EVENTS_KEPT = 8192 };

enum event_what {
    EVENT_BEGIN, /* nothing is missed from here on */
    EVENT_LOST,  /* `count` events, which were overwritten */
    EVENT_CREATED,
    EVENT_REMOVED,
    EVENT_RENAMED,
    EVENT_RESIZED,
    EVENT_CHANGED, /* mode or owner */
    EVENT_FULL,
    EVENT_ROOM, /* not full any more */
    EVENT_EMPTY,
    EVENT_DATA,       /* not empty any more */
    EVENT_OWNER_DIED, /* the process that created it */
};

/* Strings are borrowed for the call; NULL: there is none. */
struct event {
    enum event_what what;
    struct timespec time;
    const char *kind;
    const char *name;
    const char *key;
    const char *to;
    pid_t pid;       /* 0: not known */
    bool pid_public; /* anybody may see it; otherwise only root, and who has this uid: */
    uid_t pid_uid;
    bool closed; /* only root may know of it */
    bool sized;
    uint64_t size;
    bool owned; /* the next three are told */
    mode_t mode;
    uid_t uid;
    gid_t gid;
    uint64_t count;
};

/* The fields of a line, the first four of which stand in every line of the text, without their names. */
extern const struct ipcfs_field event_fields[];

/* Who reads, and how. */
struct event_view {
    bool json;
    uid_t uid;
};
/* Appends its line. 0 or −ENOMEM. */
int event_show(const struct event *event, const struct event_view *view, struct text *out);

struct event_entry;

/* Zeros: empty. */
struct event_log {
    struct event_entry *ring[EVENTS_KEPT]; /* owned; NULL: there was no memory for it */
    uint64_t begin;                        /* number of the oldest that is kept */
    uint64_t end;                          /* and of the next */
    struct timespec changed;               /* when the last was added */
};

/* Without memory it is lost to all readers, and they are told so. */
void event_log_add(struct event_log *log, const struct event *event);
void event_log_clear(struct event_log *log);

struct event_cursor {
    struct event_view view;
    /* What is told to this reader alone, and which entry follows it. */
    struct event head;
    uint64_t head_at;
    uint64_t first;
    /* A line, the head or an entry, and its offset. */
    bool in_head;
    uint64_t next;
    uint64_t at;
    uint64_t told; /* the largest size that was told: a file that shrinks was truncated, to tail(1) */
};

/* From the log's present end. */
void event_cursor_begin(struct event_cursor *cursor, const struct event_log *log,
                        const struct event_view *view, const struct timespec *now);
/* Whole lines, as many as fit, or as much as fits of one that is longer. 0 where there is nothing yet; −ENOMEM. */
ssize_t event_cursor_read(struct event_cursor *cursor, const struct event_log *log, uint64_t offset,
                          char *buffer, size_t size);
/* Whether there is something to read there. */
bool event_cursor_has(struct event_cursor *cursor, const struct event_log *log, uint64_t offset);
/* The size of the reader's file by now. */
uint64_t event_cursor_size(struct event_cursor *cursor, const struct event_log *log);

#endif
