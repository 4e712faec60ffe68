/* SPDX-License-Identifier: MIT */
/*
 * For whom the daemon does something to an object. Who watches natively sees the daemon do it; the events are to tell of
 * the process that asked for it. So whatever makes, removes or changes an object notes that first, by its name, and what
 * was done by the daemon is looked for here. It decides about nothing but the pid that is shown.
 */
#ifndef IPCFS_FS_EVENTS_NOTES_H
#define IPCFS_FS_EVENTS_NOTES_H

#include "lock.h"

#include "ipcfs/backend.h"

#include <limits.h>
#include <stdatomic.h>

enum { NOTES_KEPT = 512 };

struct event_note {
    const struct ipcfs_backend *kind; /* NULL: none yet */
    unsigned directory;
    pid_t thread;
    uid_t uid;
    char name[NAME_MAX + 1];
};

struct event_notes {
    atomic_bool wanted; /* somebody reads */
    struct lock lock;   /* guards what follows */
    struct event_note ring[NOTES_KEPT];
    uint64_t count;
};

void event_notes_add(struct event_notes *notes, const struct event_note *note);
/* The latest for that name. */
bool event_notes_find(struct event_notes *notes, const struct ipcfs_backend *kind, unsigned directory,
                      const char *name, struct event_note *out);

#endif
