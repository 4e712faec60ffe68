/* SPDX-License-Identifier: MIT */
/* What nobody tells of: System V objects, how full queues are, and who has ended. */
#include "events_watch.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

struct looking {
    struct event_watch *watch;
    struct watched_kind *kind;
    size_t rows; /* objects seen */
    size_t old;  /* of these, such as were known */
};

static const struct who nobody;

/* ---- how full ---- */

static void tell_fill(struct event_watch *watch, struct known *known, enum ipcfs_fill now)
{
    enum ipcfs_fill before = known->fill;
    known->fill = now;
    if (before == IPCFS_FILL_UNKNOWN || now == IPCFS_FILL_UNKNOWN || before == now)
        return;
    if (before == IPCFS_FILL_FULL)
        watch_tell(watch, known, EVENT_ROOM, &nobody);
    if (before == IPCFS_FILL_EMPTY)
        watch_tell(watch, known, EVENT_DATA, &nobody);
    if (now == IPCFS_FILL_FULL)
        watch_tell(watch, known, EVENT_FULL, &nobody);
    if (now == IPCFS_FILL_EMPTY)
        watch_tell(watch, known, EVENT_EMPTY, &nobody);
}

/* ---- owners ---- */

/* A process that the kernel does not know any more. A segment that the daemon created is nobody's. */
static void look_at_creator(struct event_watch *watch, struct known *known)
{
    if (!known->creator || known->creator_gone || known->creator == watch->self)
        return;
    if (kill(known->creator, 0) == 0 || errno != ESRCH)
        return;
    known->creator_gone = true;
    const struct who who = {.pid = known->creator, .open = true};
    watch_tell(watch, known, EVENT_OWNER_DIED, &who);
}

/* ---- objects that are in no directory ---- */

static struct who creator_of(struct event_watch *watch, const struct ipcfs_backend *kind,
                             const struct ipcfs_seen *seen)
{
    if (seen->creator && seen->creator != watch->self)
        return (struct who){.pid = seen->creator, .open = true};
    return watch_who(watch, kind, seen->name, seen->key, watch->self);
}

static struct known *meet(struct looking *looking, const struct ipcfs_seen *seen,
                          const struct object_state *now)
{
    struct event_watch *watch = looking->watch;
    const struct ipcfs_backend *kind = looking->kind->kind;
    struct known *known = known_get(&watch->known, kind, seen->name);
    if (!known)
        return NULL;
    watch_set(known, now);
    known->other = seen->key ? strdup(seen->key) : NULL;
    known->creator = seen->creator;
    known->fill = watch->silent ? IPCFS_FILL_UNKNOWN : IPCFS_FILL_EMPTY;
    struct who who = creator_of(watch, kind, seen);
    watch_tell(watch, known, EVENT_CREATED, &who);
    return known;
}

static struct known *look_at_object(struct looking *looking, const struct ipcfs_seen *seen)
{
    struct event_watch *watch = looking->watch;
    const struct ipcfs_backend *kind = looking->kind->kind;
    const struct object_state now = {.id = {.number = seen->number, .birth = 1},
                                     .sized = seen->sized,
                                     .size = seen->size,
                                     .mode = seen->mode,
                                     .uid = seen->uid,
                                     .gid = seen->gid};
    struct known *known = known_find(&watch->known, kind, seen->name);
    if (!known)
        return meet(looking, seen, &now);
    looking->old++;
    struct who who = {0};
    if (known->mode != now.mode || known->uid != now.uid || known->gid != now.gid)
        who = watch_who(watch, kind, seen->name, seen->key, watch->self);
    watch_differences(watch, known, &now, &who);
    return known;
}

static int on_row(void *data, const struct ipcfs_seen *seen)
{
    struct looking *looking = data;
    struct event_watch *watch = looking->watch;
    bool in_directory = looking->kind->directory >= 0;
    struct known *known = in_directory ? known_find(&watch->known, looking->kind->kind, seen->name)
                                       : look_at_object(looking, seen);
    looking->rows++;
    if (!known)
        return 0;
    known->look = watch->look;
    if (watch->silent && known->creator && kill(known->creator, 0) < 0 && errno == ESRCH)
        known->creator_gone = true;
    look_at_creator(watch, known);
    tell_fill(watch, known, seen->fill);
    return 0;
}

/* What this look has not seen. */
static void drop_unseen(struct event_watch *watch, const struct ipcfs_backend *kind)
{
    struct known *known = NULL;
    struct known *next = NULL;
    HASH_ITER(hh, watch->known.by_name, known, next) {
        if (known->kind != kind || known->look == watch->look)
            continue;
        struct who who = watch_who(watch, kind, known->name, known->other, watch->self);
        watch_tell(watch, known, EVENT_REMOVED, &who);
        known_drop(&watch->known, known);
    }
}

void watch_look(struct event_watch *watch)
{
    watch->look++;
    for (size_t i = 0; i < watch->kind_count; i++) {
        struct watched_kind *kind = &watch->kinds[i];
        struct looking looking = {.watch = watch, .kind = kind};
        if (kind->kind->look(on_row, &looking))
            continue;
        if (kind->directory < 0 && (looking.old < kind->rows || watch->known.full))
            drop_unseen(watch, kind->kind);
        kind->rows = looking.rows;
    }
}
