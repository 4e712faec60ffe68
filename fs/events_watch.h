/* SPDX-License-Identifier: MIT */
/*
 * Where events come from. Of all kinds alike, by what each offers (watched() and look() of its table):
 *
 * Files in a directory (POSIX shared memory, semaphores and queues, pipes, sockets): the kernel tells what is done to them
 * (backends/watch.h). It is read WATCH_BATCH_MS after the first thing there is: storms of writes are one look then, and
 * the C library's names of a moment are known by their end. What one process does to one name in that time the kernel
 * joins; it is told in the order created, resized, changed, removed. Each name is looked at again, and what is told is the
 * difference to what was known before, so that nothing is told twice.
 *
 * What lies in no file system (System V), and how full a queue is: nobody tells. There it is looked every LOOK_MS, or less
 * often where that would take more than one part in LOOK_SHARE of a processor; and soon after anything was done through the
 * mount. What is there for a shorter time is not seen.
 *
 * Pipes are not looked at: to ask one how full it is may wait for its lock (backends/pipe_ask.h).
 *
 * Who did it. fanotify tells the process, but of what was done through the mount it tells of the daemon: then it is whose
 * request it was (fs/events_notes.h). Natively it takes a right to learn who did something to whose file; so other users
 * than root are shown the pids of their own processes only. A System V segment's creator is public.
 */
#ifndef IPCFS_FS_EVENTS_WATCH_H
#define IPCFS_FS_EVENTS_WATCH_H

#include "events.h"
#include "events_known.h"

#include "watch.h"

enum { WATCH_BATCH_MS = 10, WATCH_PASSING_TRIES = 5, LOOK_MS = 100, LOOK_SHARE = 64, WATCH_KINDS_MAX = 32 };

/* What a kind is to the watch. */
struct watched_kind {
    const struct ipcfs_backend *kind;
    int directory; /* in which its objects are files: a descriptor, borrowed; −1: there is none */
    int in;        /* which of the watched directories that is */
    size_t rows;   /* how many objects the last look saw */
};

struct watched_directory {
    ino_t ino;
    dev_t device;
    struct watch *watch; /* owned */
};

/* Changes that were read and not yet told. */
struct change_batch {
    struct watch_change *changes; /* owned */
    size_t count;
    size_t room;
};

/* Who did something. */
struct who {
    pid_t pid; /* 0: not known */
    bool open; /* anybody may know */
    uid_t uid; /* whose process it is; NO_UID: it was gone */
};
#define NO_UID ((uid_t)-1)

struct event_watch {
    struct events *events;
    pid_t self;
    struct known_table known;
    bool silent; /* what is seen was there before: it is not told */
    bool told;   /* something has been told that readers do not know of yet */
    struct watched_kind kinds[WATCH_KINDS_MAX];
    size_t kind_count;
    struct watched_directory directories[WATCH_KINDS_MAX];
    size_t directory_count;
    struct change_batch batch;
    uint64_t look;   /* number of the present look */
    struct who last; /* whose uid was looked up last */
};

/* Tells what happens until nobody reads any more: 0, or −errno where it can not begin. */
int events_watch(struct events *events);

/* ---- fs/events_tell.c ---- */

/* An object as it is now. */
struct object_state {
    struct ipcfs_objid id;
    bool sized;
    uint64_t size;
    mode_t mode;
    uid_t uid;
    gid_t gid;
    bool linked; /* it has more than one name */
};

void watch_tell(struct event_watch *watch, const struct known *known, enum event_what what,
                const struct who *who);
/* That something has happened that nobody will know of. */
void watch_tell_lost(struct event_watch *watch);
void watch_tell_name(struct event_watch *watch, const struct ipcfs_backend *kind, const char *name,
                     enum event_what what, const char *to, const struct who *who);
/* Its size, mode and owner where they differ from what was known. */
void watch_differences(struct event_watch *watch, struct known *known, const struct object_state *now,
                       const struct who *who);
void watch_set(struct known *known, const struct object_state *now);
/* Who `pid` is, which did something to that object; `key`: its name in the second directory, or NULL. */
struct who watch_who(struct event_watch *watch, const struct ipcfs_backend *kind, const char *name,
                     const char *key, pid_t pid);

/* ---- fs/events_files.c ---- */

/* What a name means now; false where it means no object. */
bool watch_find(const struct ipcfs_backend *kind, const char *name, struct object_state *out);
/* Tells of what is in the batch, and empties it. */
void watch_apply(struct event_watch *watch, int directory);
/* Whether a name in it may be one of a moment. */
bool watch_is_passing(const struct event_watch *watch, int directory);
/* Looks at all objects of a kind that are files: when it begins, and, of all kinds of a directory, where changes were lost. */
int watch_scan(struct event_watch *watch, const struct watched_kind *kind);
void watch_rescan(struct event_watch *watch, int directory);

/* ---- fs/events_looks.c ---- */

/* Looks at all kinds of which nobody tells. */
void watch_look(struct event_watch *watch);

#endif
