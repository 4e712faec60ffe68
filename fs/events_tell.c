/* SPDX-License-Identifier: MIT */
/* From what was seen to events. */
#include "events_watch.h"

#include "as_caller.h"
#include "thread_process.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void add(struct event_watch *watch, struct event *event, const struct who *who)
{
    if (watch->silent)
        return;
    (void)clock_gettime(CLOCK_REALTIME, &event->time);
    if (who && who->pid) {
        event->pid = who->pid;
        event->pid_public = who->open;
        event->pid_uid = who->uid;
    }
    events_add(watch->events, event);
    watch->told = true;
}

void watch_tell_name(struct event_watch *watch, const struct ipcfs_backend *kind, const char *name,
                     enum event_what what, const char *to, const struct who *who)
{
    struct event event = {.what = what, .kind = kind->kind, .name = name, .to = to};
    add(watch, &event, who);
}

void watch_tell_lost(struct event_watch *watch)
{
    struct event event = {.what = EVENT_LOST};
    add(watch, &event, NULL);
}

static bool tells_state(enum event_what what)
{
    return what == EVENT_CREATED || what == EVENT_CHANGED;
}

static bool tells_fill(enum event_what what)
{
    return what == EVENT_FULL || what == EVENT_ROOM || what == EVENT_EMPTY || what == EVENT_DATA;
}

/* How full a queue is that is a file, natively only those are told who may read it. */
static bool is_closed(const struct known *known, enum event_what what)
{
    return tells_fill(what) && known->kind->watched() >= 0 && !(known->mode & S_IROTH);
}

void watch_tell(struct event_watch *watch, const struct known *known, enum event_what what,
                const struct who *who)
{
    bool looked_at = known->id.number || known->id.birth;
    struct event event = {
        .what = what,
        .kind = known->kind->kind,
        .name = known->name,
        .key = known->other,
        .sized = known->sized && (what == EVENT_CREATED || what == EVENT_RESIZED),
        .size = known->size,
        .closed = is_closed(known, what),
        .owned = looked_at && tells_state(what),
        .mode = known->mode,
        .uid = known->uid,
        .gid = known->gid,
    };
    /* Who makes something owns it: so it is known whose process that was also where it has ended. */
    struct who maker = who ? *who : (struct who){0};
    if (what == EVENT_CREATED && maker.uid == NO_UID && looked_at)
        maker.uid = known->uid;
    add(watch, &event, &maker);
}

void watch_set(struct known *known, const struct object_state *now)
{
    known->id = now->id;
    known->sized = now->sized;
    known->size = now->size;
    known->mode = now->mode;
    known->uid = now->uid;
    known->gid = now->gid;
}

void watch_differences(struct event_watch *watch, struct known *known, const struct object_state *now,
                       const struct who *who)
{
    bool resized = now->sized && known->sized && now->size != known->size;
    bool changed = now->mode != known->mode || now->uid != known->uid || now->gid != known->gid;
    watch_set(known, now);
    if (resized)
        watch_tell(watch, known, EVENT_RESIZED, who);
    if (changed)
        watch_tell(watch, known, EVENT_CHANGED, who);
}

/* ---- who ---- */

/* Where it has ended nobody can tell: most programs have one thread, whose number is the process's. */
static pid_t process_of(pid_t thread)
{
    pid_t process = thread_process(thread);
    return process ? process : thread;
}

static uid_t owner_of(pid_t pid)
{
    char path[64];
    struct stat stat;
    (void)snprintf(path, sizeof path, "/proc/%d", (int)pid);
    return lstat(path, &stat) < 0 ? NO_UID : stat.st_uid;
}

struct who watch_who(struct event_watch *watch, const struct ipcfs_backend *kind, const char *name,
                     const char *key, pid_t pid)
{
    struct event_note note;
    struct event_notes *notes = &watch->events->notes;
    if (!pid)
        return (struct who){0};
    if (pid == watch->self || as_caller_was_child(pid)) {
        bool noted = event_notes_find(notes, kind, 0, name, &note) ||
                     (key && event_notes_find(notes, kind, 1, key, &note));
        return noted ? (struct who){.pid = process_of(note.thread), .uid = note.uid} : (struct who){0};
    }
    if (watch->last.pid != pid || watch->last.uid == NO_UID)
        watch->last = (struct who){.pid = pid, .uid = owner_of(pid)};
    return watch->last;
}
