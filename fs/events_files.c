/* SPDX-License-Identifier: MIT */
/* Objects that are files of a directory, which the kernel watches. */
#include "events_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* How far behind a name of a moment its end is looked for. */
enum { PASSING_WINDOW = 256 };

static bool is_none(struct ipcfs_objid id)
{
    return !id.number && !id.birth;
}

bool watch_find(const struct ipcfs_backend *kind, const char *name, struct object_state *out)
{
    struct ipcfs_found found;
    if (kind->find(0, name, &found, NULL))
        return false;
    const struct statx *stat = &found.stat;
    bool file = S_ISREG(stat->stx_mode);
    *out = (struct object_state){
        .id = found.id,
        .sized = file && !kind->messages,
        .size = stat->stx_size,
        .mode = stat->stx_mode & (S_ISDIR(stat->stx_mode) ? 0666 : 07777),
        .uid = stat->stx_uid,
        .gid = stat->stx_gid,
        .linked = file && stat->stx_nlink > 1,
    };
    return true;
}

/* ---- names ---- */

/* What a change is about, to one kind. */
struct about {
    const struct ipcfs_backend *kind;
    int directory;
    const struct watch_change *change;
    const char *name; /* NULL: none of its objects */
    const char *to;
    struct who who;
};

/* Of a file that is not an object of the kind, where there is one. */
static bool is_another_file(const struct about *about)
{
    struct stat stat;
    if (about->change->directory && !ipcfs_makes(about->kind, S_IFDIR))
        return true;
    return fstatat(about->directory, about->change->name, &stat, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A file is empty when it is made, whatever it is by now; but what is linked or moved (`moved`) was there before. */
static void tell_created(struct event_watch *watch, const struct about *about, const char *name,
                         const struct object_state *now, bool moved)
{
    struct known unknown = {.kind = about->kind, .name = name};
    struct known *known = known_get(&watch->known, about->kind, name);
    if (!known)
        known = &unknown;
    struct object_state made = now ? *now : (struct object_state){0};
    if (!made.linked && !moved)
        made.size = 0;
    watch_set(known, &made);
    known->fill = IPCFS_FILL_EMPTY;
    known->look = watch->look;
    watch_tell(watch, known, EVENT_CREATED, &about->who);
    if (now)
        watch_differences(watch, known, now, &about->who);
}

static void tell_removed(struct event_watch *watch, const struct about *about, const char *name)
{
    struct known *known = known_find(&watch->known, about->kind, name);
    watch_tell_name(watch, about->kind, name, EVENT_REMOVED, NULL, &about->who);
    if (known)
        known_drop(&watch->known, known);
}

/* The name means `now`; whatever it meant before is known, or was not there. */
static void on_created(struct event_watch *watch, const struct about *about, const char *name,
                       const struct object_state *now, bool moved)
{
    struct known *known = known_find(&watch->known, about->kind, name);
    if (known && is_none(known->id))
        watch_set(known, now);
    if (known && ipcfs_same_object(known->id, now->id))
        return; /* it has been told */
    if (known)
        tell_removed(watch, about, name);
    tell_created(watch, about, name, now, moved);
}

/* ---- changes ---- */

/* Made and removed, in an order that is known by what was there before and is there now. */
static void on_both(struct event_watch *watch, const struct about *about)
{
    struct object_state now;
    bool there = watch_find(about->kind, about->name, &now);
    bool before = known_find(&watch->known, about->kind, about->name) != NULL;
    if (!before && !there && is_another_file(about))
        return;
    if (before)
        tell_removed(watch, about, about->name);
    tell_created(watch, about, about->name, there && before ? &now : NULL, false);
    if (before && there)
        return;
    tell_removed(watch, about, about->name);
    if (there)
        tell_created(watch, about, about->name, &now, false);
}

static void on_made(struct event_watch *watch, const struct about *about)
{
    struct object_state now;
    if (watch_find(about->kind, about->name, &now))
        on_created(watch, about, about->name, &now, about->change->bits & WATCH_MOVED);
    else if (!known_find(&watch->known, about->kind, about->name) && !is_another_file(about))
        tell_created(watch, about, about->name, NULL, false); /* it is gone by now */
}

static void on_lost(struct event_watch *watch, const struct about *about)
{
    if (known_find(&watch->known, about->kind, about->name) || watch->known.full)
        tell_removed(watch, about, about->name);
}

/* What another object has by now is told when the kernel tells of the name. What was no object may have become one. */
static void on_content(struct event_watch *watch, const struct about *about)
{
    struct object_state now;
    if (!watch_find(about->kind, about->name, &now))
        return;
    struct known *known = known_find(&watch->known, about->kind, about->name);
    if (known && is_none(known->id))
        watch_set(known, &now);
    else if (known && ipcfs_same_object(known->id, now.id))
        watch_differences(watch, known, &now, &about->who);
    else if (!known && !watch->known.full)
        tell_created(watch, about, about->name, &now, true);
}

/* ---- renames ---- */

static void know_as(struct event_watch *watch, const struct ipcfs_backend *kind, const char *name,
                    const struct object_state *now, enum ipcfs_fill fill)
{
    struct known *known = known_get(&watch->known, kind, name);
    if (!known)
        return;
    watch_set(known, now);
    known->fill = fill;
}

static struct object_state state_of(const struct known *known)
{
    return (struct object_state){.id = known->id,
                                 .sized = known->sized,
                                 .size = known->size,
                                 .mode = known->mode,
                                 .uid = known->uid,
                                 .gid = known->gid};
}

/*
 * From `name` to `to`, both of them the kind's. An exchange is two renames: the first finds what was at `to` at `name`, and
 * the second finds that all is known already.
 */
static void on_renamed(struct event_watch *watch, const struct about *about)
{
    struct known *from = known_find(&watch->known, about->kind, about->name);
    struct known *to = known_find(&watch->known, about->kind, about->to);
    struct object_state now;
    bool there = watch_find(about->kind, about->to, &now);
    if (!from && !watch->known.full) {
        if (there)
            on_created(watch, about, about->to, &now, true);
        return;
    }
    watch_tell_name(watch, about->kind, about->name, EVENT_RENAMED, about->to, &about->who);
    if (!from || (to && there && ipcfs_same_object(now.id, to->id)))
        return;
    struct object_state moved = there ? now : state_of(from);
    struct object_state back;
    bool exchanged = to && watch_find(about->kind, about->name, &back) && ipcfs_same_object(back.id, to->id);
    know_as(watch, about->kind, about->to, &moved, from->fill);
    if (exchanged)
        watch_set(from, &back);
    else
        known_drop(&watch->known, from);
}

/* The kernel joins what is done to a name before and after it is renamed: what has it since then. */
static void settle(struct event_watch *watch, const struct about *about)
{
    struct object_state now;
    if (about->name && !watch->known.full && !known_find(&watch->known, about->kind, about->name) &&
        watch_find(about->kind, about->name, &now))
        tell_created(watch, about, about->name, &now, false);
}

/* ---- batches ---- */

static bool describe(struct event_watch *watch, const struct watched_kind *kind,
                     const struct watch_change *change, struct about *about, bool *passing)
{
    bool to_passing = false;
    *passing = false;
    *about = (struct about){.kind = kind->kind, .directory = kind->directory, .change = change};
    about->name = kind->kind->watched_name(change->name, passing);
    about->to = *change->to ? kind->kind->watched_name(change->to, &to_passing) : NULL;
    if (!about->name && !about->to)
        return false;
    about->who = watch_who(watch, kind->kind, about->name ? about->name : about->to, NULL, change->pid);
    return true;
}

static void apply(struct event_watch *watch, const struct about *about)
{
    unsigned bits = about->change->bits;
    unsigned names = bits & (WATCH_CREATED | WATCH_REMOVED);
    struct object_state now;
    if (bits & WATCH_RENAMED && about->name && about->to) {
        on_renamed(watch, about);
    } else if (bits & WATCH_RENAMED && about->name) {
        on_lost(watch, about);
    } else if (bits & WATCH_RENAMED) {
        if (watch_find(about->kind, about->to, &now))
            on_created(watch, about, about->to, &now, true);
    } else if (names == (WATCH_CREATED | WATCH_REMOVED)) {
        on_both(watch, about);
    } else if (names == WATCH_CREATED) {
        on_made(watch, about);
    }
    if (bits & (WATCH_WRITTEN | WATCH_CHANGED) && about->name)
        on_content(watch, about);
    if (names == WATCH_REMOVED)
        on_lost(watch, about);
}

/* Whether the name that the change makes is lost again in this batch. */
static bool is_lost_again(const struct change_batch *batch, size_t at)
{
    const char *name = batch->changes[at].name;
    for (size_t i = at; i < batch->count && i - at < PASSING_WINDOW; i++)
        if (batch->changes[i].bits & WATCH_REMOVED && strcmp(batch->changes[i].name, name) == 0)
            return true;
    return false;
}

/* From here on nothing of the name is told. */
static void hide(struct change_batch *batch, size_t at)
{
    char name[NAME_MAX + 1];
    memcpy(name, batch->changes[at].name, sizeof name);
    for (size_t i = at; i < batch->count && i - at < PASSING_WINDOW; i++) {
        struct watch_change *change = &batch->changes[i];
        if (strcmp(change->name, name) != 0)
            continue;
        bool last = change->bits & WATCH_REMOVED;
        change->bits = 0;
        if (last)
            return;
    }
}

/* A change is of as many kinds as are in the directory: it may rename what is of one to what is of another. */
static void apply_change(struct event_watch *watch, int directory, size_t at)
{
    struct change_batch *batch = &watch->batch;
    for (size_t i = 0; i < watch->kind_count; i++) {
        const struct watched_kind *kind = &watch->kinds[i];
        struct about about;
        bool passing = false;
        if (kind->in != directory || !batch->changes[at].bits ||
            !describe(watch, kind, &batch->changes[at], &about, &passing))
            continue;
        if (passing && batch->changes[at].bits & WATCH_CREATED && is_lost_again(batch, at))
            hide(batch, at);
        else
            apply(watch, &about);
    }
}

static void settle_change(struct event_watch *watch, int directory, const struct watch_change *change)
{
    for (size_t i = 0; i < watch->kind_count; i++) {
        struct about about;
        bool passing = false;
        if (watch->kinds[i].in == directory && describe(watch, &watch->kinds[i], change, &about, &passing))
            settle(watch, &about);
    }
}

void watch_rescan(struct event_watch *watch, int directory)
{
    for (size_t i = 0; i < watch->kind_count; i++)
        if (watch->kinds[i].in == directory)
            (void)watch_scan(watch, &watch->kinds[i]);
}

void watch_apply(struct event_watch *watch, int directory)
{
    struct change_batch *batch = &watch->batch;
    bool lost = false;
    for (size_t i = 0; i < batch->count; i++) {
        lost |= batch->changes[i].bits & WATCH_LOST;
        apply_change(watch, directory, i);
    }
    for (size_t i = 0; i < batch->count; i++)
        if (batch->changes[i].bits & WATCH_RENAMED)
            settle_change(watch, directory, &batch->changes[i]);
    batch->count = 0;
    if (lost)
        watch_rescan(watch, directory);
}

bool watch_is_passing(const struct event_watch *watch, int directory)
{
    const struct change_batch *batch = &watch->batch;
    for (size_t i = 0; i < batch->count; i++) {
        bool passing = false;
        for (size_t k = 0; batch->changes[i].bits & WATCH_CREATED && k < watch->kind_count; k++)
            if (watch->kinds[k].in == directory && !passing)
                (void)watch->kinds[k].kind->watched_name(batch->changes[i].name, &passing);
        if (passing && !is_lost_again(batch, i))
            return true;
    }
    return false;
}

/* ---- all of them ---- */

static void scan_one(struct event_watch *watch, const struct watched_kind *kind, const char *name)
{
    const struct about about = {.kind = kind->kind, .directory = kind->directory};
    struct object_state now;
    if (!watch_find(kind->kind, name, &now))
        return;
    struct known *known = known_find(&watch->known, kind->kind, name);
    if (known && (is_none(known->id) || ipcfs_same_object(known->id, now.id)))
        watch_differences(watch, known, &now, &about.who);
    else
        on_created(watch, &about, name, &now, true);
    known = known_find(&watch->known, kind->kind, name);
    if (known)
        known->look = watch->look;
    if (known && watch->silent)
        known->fill = IPCFS_FILL_UNKNOWN;
}

static void drop_unseen(struct event_watch *watch, const struct watched_kind *kind)
{
    const struct about about = {.kind = kind->kind};
    struct known *known = NULL;
    struct known *next = NULL;
    HASH_ITER(hh, watch->known.by_name, known, next) {
        if (known->kind == kind->kind && known->look != watch->look)
            tell_removed(watch, &about, known->name);
    }
}

int watch_scan(struct event_watch *watch, const struct watched_kind *kind)
{
    struct ipcfs_lister *lister = NULL;
    struct ipcfs_entry entry;
    watch->look++;
    int more = kind->kind->list_open(0, &lister);
    if (more)
        return more;
    while ((more = kind->kind->list_next(lister, &entry)) == 1)
        scan_one(watch, kind, entry.name);
    kind->kind->list_close(lister);
    if (!more)
        drop_unseen(watch, kind);
    return more;
}
