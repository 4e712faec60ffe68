/* SPDX-License-Identifier: MIT */
/* The log, its thread, and how that finds those who read. */
#include "events.h"

#include "events_watch.h"
#include "ipcfs.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* ---- life ---- */

int events_new(struct ipcfs *fs, struct events **out)
{
    AUTO_FREE struct events *events = calloc(1, sizeof *events);
    if (!events)
        return -ENOMEM;
    events->fs = fs;
    events->next_number = 1;
    events->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (events->wake_fd < 0)
        return -errno;
    int error = lock_init(&events->lock, LOCK_EVENTS);
    if (!error)
        error = lock_init(&events->notes.lock, LOCK_EVENTS);
    if (error)
        close(events->wake_fd);
    else
        *out = TAKE_PTR(events);
    return error;
}

void events_wake(struct events *events)
{
    uint64_t one = 1;
    (void)!write(events->wake_fd, &one, sizeof one);
}

void events_stop(struct events *events)
{
    lock_take(&events->lock);
    events->quit = true;
    bool join = events->has_thread;
    events->has_thread = false;
    lock_release(&events->lock);
    events_wake(events);
    if (join)
        pthread_join(events->thread, NULL);
}

void events_free(struct events *events)
{
    if (events->openers)
        wait_line_put(events->openers);
    event_log_clear(&events->log);
    event_log_clear(&events->open_log);
    lock_destroy(&events->notes.lock);
    lock_destroy(&events->lock);
    close(events->wake_fd);
    free(events);
}

uint64_t events_new_number(struct events *events)
{
    lock_take(&events->lock);
    uint64_t number = events->next_number++;
    lock_release(&events->lock);
    return number;
}

/* ---- the thread ---- */

static void *run(void *argument)
{
    struct events *events = argument;
    bool again = true;
    while (again) {
        int error = events_watch(events);
        lock_take(&events->lock);
        again = !error && !events->quit && events->users > 0; /* somebody came while it was ending */
        events->ready = false;
        events->alive = again;
        events->error = error;
        struct wait_line *openers = events->openers;
        lock_release(&events->lock);
        if (!again && openers)
            wait_told(openers);
    }
    return NULL;
}

int events_start(struct events *events)
{
    while (!events->alive && events->has_thread) {
        pthread_t ended = events->thread;
        events->has_thread = false;
        lock_release(&events->lock);
        pthread_join(ended, NULL);
        lock_take(&events->lock);
    }
    if (events->alive)
        return 0;
    if (events->quit)
        return -ENOTCONN;
    events->error = 0;
    events->has_thread = pthread_create(&events->thread, NULL, run, events) == 0;
    events->alive = events->has_thread;
    return events->alive ? 0 : -EAGAIN;
}

void events_round_begin(struct events *events)
{
    lock_take(&events->lock);
    events->rounds++;
    lock_release(&events->lock);
}

void events_round_end(struct events *events)
{
    lock_take(&events->lock);
    events->ready = true;
    events->done = events->rounds;
    struct wait_line *openers = events->openers;
    lock_release(&events->lock);
    wait_told(openers);
}

bool events_wanted(struct events *events)
{
    lock_take(&events->lock);
    bool wanted = events->users > 0 && !events->quit;
    if (!wanted) {
        events->ready = false;
        event_log_clear(&events->log);
        event_log_clear(&events->open_log);
    }
    lock_release(&events->lock);
    return wanted;
}

void events_add(struct events *events, const struct event *event)
{
    lock_take(&events->lock);
    event_log_add(&events->log, event);
    if (!event->closed)
        event_log_add(&events->open_log, event);
    lock_release(&events->lock);
}

/* The next in the list, whose handle is then counted; `use` may have left the list meanwhile. */
static struct event_use *next_use(struct events *events, const struct event_use *use)
{
    lock_take(&events->lock);
    struct event_use *next = use && use->number ? use->next : events->uses;
    uint64_t after = use ? use->order : 0;
    while (next && next->number <= after)
        next = next->next;
    if (next)
        handle_use(&events->fs->handles, next->handle);
    lock_release(&events->lock);
    return next;
}

void events_tell(struct events *events)
{
    struct event_use *use = next_use(events, NULL);
    while (use) {
        wait_told(use->line);
        poller_tell(&use->poller);
        struct event_use *next = next_use(events, use);
        handle_put(&events->fs->handles, use->handle);
        use = next;
    }
}

void events_note(struct events *events, const struct ipcfs_backend *kind, unsigned directory,
                 const char *name, const struct caller *caller)
{
    if (!atomic_load(&events->notes.wanted) || strlen(name) > NAME_MAX)
        return;
    struct event_note note = {
        .kind = kind, .directory = directory, .thread = caller->pid, .uid = caller->uid};
    (void)stpcpy(note.name, name);
    event_notes_add(&events->notes, &note);
    if (kind->watched() < 0)
        events_wake(events);
}
