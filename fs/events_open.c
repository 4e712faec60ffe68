/* SPDX-License-Identifier: MIT */
/* Those who read: their open and their close. */
#include "events.h"

#include "ipcfs.h"
#include "opening.h"
#include "target.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <utlist.h>

/* ---- readers ---- */

static struct event_reader *find_reader(struct events *events, uint64_t number)
{
    struct event_reader *reader = NULL;
    HASH_FIND(hh, events->readers, &number, sizeof number, reader);
    return reader;
}

/* With the lock held. NULL without memory. */
static struct event_reader *join_reader(struct events *events, uint64_t number, const struct event_view *view)
{
    struct event_reader *reader = find_reader(events, number);
    if (!reader) {
        reader = calloc(1, sizeof *reader);
        if (!reader)
            return NULL;
        reader->number = number;
        reader->view = *view;
        HASH_ADD(hh, events->readers, number, sizeof reader->number, reader);
        if (!reader->hh.tbl) {
            free(reader);
            return NULL;
        }
    }
    reader->handles++;
    return reader;
}

/* With the lock held. */
static void leave_reader(struct events *events, struct event_reader *reader)
{
    if (--reader->handles)
        return;
    HASH_DELETE(hh, events->readers, reader);
    free(reader);
}

void events_stat(struct events *events, uint64_t number, struct statx *out)
{
    lock_take(&events->lock);
    struct event_reader *reader = find_reader(events, number);
    if (reader && reader->begun) {
        out->stx_size = event_cursor_size(&reader->cursor, events_log_of(events, reader));
        const struct timespec *begun = &reader->cursor.head.time;
        const struct timespec *changed = &events_log_of(events, reader)->changed;
        const struct timespec *last = changed->tv_sec > begun->tv_sec ? changed : begun;
        if (changed->tv_sec == begun->tv_sec && changed->tv_nsec > begun->tv_nsec)
            last = changed;
        out->stx_mtime.tv_sec = last->tv_sec;
        out->stx_mtime.tv_nsec = (uint32_t)last->tv_nsec;
        out->stx_ctime = out->stx_mtime;
    }
    lock_release(&events->lock);
}

/* ---- uses ---- */

static short possible(const struct handle *handle, struct ipcfs_wait *wait)
{
    struct event_use *use = handle->events;
    *wait = (struct ipcfs_wait){.source = IPCFS_WAIT_TOLD};
    lock_take(&use->events->lock);
    bool some =
        event_cursor_has(&use->reader->cursor, events_log_of(use->events, use->reader), use->position);
    lock_release(&use->events->lock);
    return some ? POLLIN | POLLRDNORM : 0;
}

static int get_lines(struct events *events, struct event_use *use)
{
    struct wait_key key = {.object.number = events_new_number(events), .lane = 1};
    int error = wait_line_get(events->fs->waits, &key, &use->line);
    key = (struct wait_key){0};
    struct wait_line *openers = NULL;
    if (!error)
        error = wait_line_get(events->fs->waits, &key, &openers);
    if (error)
        return error;
    lock_take(&events->lock);
    bool first = !events->openers;
    if (first)
        events->openers = openers;
    lock_release(&events->lock);
    if (!first)
        wait_line_put(openers); /* it is the same */
    return 0;
}

static int use_new(struct events *events, struct handle *handle)
{
    struct event_use *use = calloc(1, sizeof *use);
    if (!use)
        return -ENOMEM;
    use->events = events;
    use->handle = handle;
    int error = poller_init(&use->poller, events->fs->waits, handle, possible);
    if (error) {
        free(use);
        return error;
    }
    handle->events = use;
    return get_lines(events, use);
}

/* The handle is in the table. */
static int enter(struct event_use *use, uint64_t number, const struct event_view *view)
{
    struct events *events = use->events;
    lock_take(&events->lock);
    int error = events_start(events);
    if (!error)
        use->reader = join_reader(events, number, view);
    if (!error && !use->reader)
        error = -ENOMEM;
    if (!error) {
        use->order = use->number = events->next_number++;
        use->round = events->rounds + 1;
        DL_APPEND(events->uses, use);
        events->users++;
        atomic_store(&events->notes.wanted, true);
    }
    lock_release(&events->lock);
    events_wake(events);
    return error;
}

void events_end(struct handle *handle)
{
    struct event_use *use = handle->events;
    struct events *events = use->events;
    lock_take(&events->lock);
    bool entered = use->number;
    if (entered) {
        DL_DELETE(events->uses, use);
        use->number = 0;
        events->users--;
    }
    bool last = !events->users;
    if (last)
        atomic_store(&events->notes.wanted, false);
    lock_release(&events->lock);
    wait_end(use->line, handle, -EBADF);
    if (entered && last)
        events_wake(events);
}

void event_use_free(struct event_use *use)
{
    if (!use)
        return;
    poller_destroy(&use->poller);
    if (use->line)
        wait_line_put(use->line);
    lock_take(&use->events->lock);
    if (use->reader)
        leave_reader(use->events, use->reader);
    lock_release(&use->events->lock);
    free(use);
}

/* ---- open ---- */

/* With the lock held. */
static int begin(const struct events *events, const struct event_use *use)
{
    struct event_reader *reader = use->reader;
    if (!events->ready || events->done < use->round)
        return events->alive ? -EAGAIN : events->error ? events->error : -ENOTCONN;
    if (!reader->begun) {
        struct timespec now;
        (void)clock_gettime(CLOCK_REALTIME, &now);
        event_cursor_begin(&reader->cursor, events_log_of(events, reader), &reader->view, &now);
    }
    reader->begun = true;
    return 0;
}

static ssize_t attempt(struct waiter *waiter, struct ipcfs_wait *wait)
{
    struct event_use *use = ((struct opening *)waiter)->handle->events;
    wait->source = IPCFS_WAIT_TOLD;
    lock_take(&use->events->lock);
    int error = begin(use->events, use);
    lock_release(&use->events->lock);
    if (error != -EAGAIN)
        wait->source = IPCFS_WAIT_NONE;
    return error;
}

static const struct waiter_ops opening_ops = {.attempt = attempt, .finish = opening_finish};

static int prepare(struct ipcfs *fs, struct handle *handle, int flags)
{
    if ((flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC)
        return -EPERM;
    int error = use_new(fs->events, handle);
    return error ? error : handle_add(&fs->handles, handle);
}

void events_open(struct ipcfs *fs, uid_t uid, struct target *target, int flags, struct reply *reply)
{
    struct handle *handle = handle_new(HANDLE_EVENTS, uid);
    if (!handle) {
        reply_error(reply, -ENOMEM);
        return;
    }
    node_use_move(&target->use, &handle->node);
    int error = prepare(fs, handle, flags);
    if (error) {
        handle_free(handle);
        reply_error(reply, error);
        return;
    }
    const struct node_kin *kin = &handle->node.kin;
    const struct tree_entry *entry = tree_by_id(&fs->tree, (uint64_t)kin->number);
    struct event_view view = {.json = entry->file->events == CONTROL_EVENTS_JSON, .uid = uid};
    error = enter(handle->events, kin->object.number, &view);
    if (error) {
        opening_answer(fs, reply, handle, error);
        return;
    }
    struct opening opening = {
        .parked.waiter = {.ops = &opening_ops, .owner = handle, .uid = uid}, .fs = fs, .handle = handle};
    opening_run(&opening, fs->events->openers, true, reply);
}
