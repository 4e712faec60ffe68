/* SPDX-License-Identifier: MIT */
/*
 * ctl/events and ctl/events.json: what happens to objects, a line each, to any number of readers.
 *
 * What it is to a reader. A regular file that begins when he opens it, grows with every event, and has no end: a read
 * behind the last line waits, or is EAGAIN with O_NONBLOCK. Its first line says from when on nothing is missed; open(2)
 * waits until that is so. stat(2) by the descriptor tells how much there is by now, and when it was last written to. That
 * is what tail -f needs: it seeks to the end, which must not be 0, reads back from there, and then asks for size and time
 * every second (tail_lines() and tail_forever() of the GNU coreutils). So, unlike all else here that waits, it has a
 * position, which the kernel keeps; the price is that those who share one descriptor read one after the other, and wait for
 * each other in the kernel as with any regular file (f_pos_lock, Linux fs/file.c).
 *
 * As two opens are two files, each lookup makes a node of its own (fs/node.h). All handles of one node, as /proc/self/fd/N
 * gives them, are one file, with places of their own.
 *
 * A reader is memory, no thread and no descriptor. All read one log (fs/events_log.h), and each has a line of the wait
 * engine, which is told when the log has grown (IPCFS_WAIT_TOLD).
 *
 * Where events come from: fs/events_watch.h. That costs something, so it runs while there are readers, in a thread of its
 * own: the first open starts it, after the last close it ends itself.
 */
#ifndef IPCFS_FS_EVENTS_H
#define IPCFS_FS_EVENTS_H

#include "events_log.h"
#include "events_notes.h"
#include "hash.h"
#include "poller.h"
#include "wait.h"

#include <pthread.h>

struct handle;
struct ipcfs;
struct reply;
struct statx;
struct target;

/* A node that is open. All is guarded by the lock of struct events. */
struct event_reader {
    UT_hash_handle hh;
    uint64_t number; /* the node's */
    unsigned handles;
    bool begun;
    struct event_view view;
    struct event_cursor cursor;
};

/* What a handle adds to its reader. */
struct event_use {
    struct events *events;
    struct handle *handle;
    struct wait_line *line; /* counted */
    struct poller poller;
    /* struct events: lock */
    struct event_reader *reader;
    struct event_use *next; /* in the order of `number` */
    struct event_use *prev;
    uint64_t number;   /* 0: in no list */
    uint64_t order;    /* its number, also after it has left the list */
    uint64_t position; /* behind what was read last */
    uint64_t round;    /* what happened before the open is told to others in an earlier one */
};

struct events {
    struct ipcfs *fs;
    int wake_fd; /* eventfd: the thread has something to look at */
    struct event_notes notes;
    struct wait_line *openers; /* counted; NULL before the first */
    struct lock lock;          /* guards what follows */
    struct event_log log;      /* of all, for root */
    struct event_log open_log; /* for others: without what they could not learn natively */
    struct event_reader *readers;
    struct event_use *uses;
    uint64_t next_number;
    unsigned users; /* handles, also those that wait for their open */
    pthread_t thread;
    bool has_thread; /* it has to be joined */
    bool alive;      /* it has not yet decided to end */
    bool ready;      /* nothing is missed */
    uint64_t rounds; /* how often the thread began to look for what is new */
    uint64_t done;   /* and the last that it has ended */
    bool quit;
    int error; /* why it ended */
};

/* 0 or −errno. events_stop() ends the thread, when no operation can begin any more; it may be called twice. */
int events_new(struct ipcfs *fs, struct events **out);
void events_stop(struct events *events);
void events_free(struct events *events);

/* A number for a node that a lookup makes. */
uint64_t events_new_number(struct events *events);
/* Size and time of the last change of the file that the node of that number is; nothing where it is not open. */
void events_stat(struct events *events, uint64_t number, struct statx *out);

/* Takes the target over, and answers the request, now or later. */
void events_open(struct ipcfs *fs, uid_t uid, struct target *target, int flags, struct reply *reply);
/* The same; `flags` are the descriptor's of this moment. */
void events_read(struct ipcfs *fs, struct reply *reply, struct handle *handle, size_t size, off_t offset,
                 int flags);
/* At RELEASE: ends what waits by the handle with −EBADF. */
void events_end(struct handle *handle);
/* NULL is harmless. */
void event_use_free(struct event_use *use);

/* Whoever is about to make, remove or change an object that bears the name, for the process of that caller. */
void events_note(struct events *events, const struct ipcfs_backend *kind, unsigned directory,
                 const char *name, const struct caller *caller);

/* ---- between its parts ---- */

/* With the lock held, which is released while an earlier thread ends: that takes the lock once more, and is soon done. Sees to
 * it that there is a thread. 0 or −errno. */
int events_start(struct events *events);
/* Has the thread look. */
void events_wake(struct events *events);

/* The log that a reader is shown. With the events' lock held. */
static inline const struct event_log *events_log_of(const struct events *events,
                                                    const struct event_reader *reader)
{
    return reader->view.uid == 0 ? &events->log : &events->open_log;
}

/* ---- for the thread (fs/events_watch.c) ---- */

void events_add(struct events *events, const struct event *event);
/* Has those who wait look at what was added. Without locks. */
void events_tell(struct events *events);
/* It begins to look for what is new; and it has told all that was there then: nothing is missed from the first on. */
void events_round_begin(struct events *events);
void events_round_end(struct events *events);
/* Whether anybody reads. Where nobody does, nothing is ready from now on. */
bool events_wanted(struct events *events);

#endif
