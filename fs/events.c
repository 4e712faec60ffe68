/* SPDX-License-Identifier: MIT */
/* Readers: their open, their close, and how they and the thread find each other. */
#include "events.h"

#include "events_watch.h"
#include "hash.h"
#include "ipcfs.h"
#include "ipcfs/cleanup.h"
#include "opening.h"
#include "target.h"
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utlist.h>

/* A node that is open. All is guarded by the lock of struct events. */
struct event_reader {
    UT_hash_handle hh;
    uint64_t number; /* the node's */
    unsigned handles;
    bool begun;
    struct event_view view;
    struct event_cursor cursor;
};

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

static void wake(struct events *events)
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
    wake(events);
    if (join)
        pthread_join(events->thread, NULL);
}

void events_free(struct events *events)
{
    if (events->openers)
        wait_line_put(events->openers);
    event_log_clear(&events->log);
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

/* With the lock held, but while an earlier thread ends: what that still does takes the lock, and is soon done. */
static int start_thread(struct events *events)
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
    }
    lock_release(&events->lock);
    return wanted;
}

void events_add(struct events *events, const struct event *event)
{
    lock_take(&events->lock);
    event_log_add(&events->log, event);
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
        wake(events);
}

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
        out->stx_size = event_cursor_size(&reader->cursor, &events->log);
        const struct timespec *begun = &reader->cursor.head.time;
        const struct timespec *changed = &events->log.changed;
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
    bool some = event_cursor_has(&use->reader->cursor, &use->events->log, use->position);
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
    int error = start_thread(events);
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
    wake(events);
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
        wake(events);
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
        event_cursor_begin(&reader->cursor, &events->log, &reader->view, &now);
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

/* ---- read ---- */

struct reading {
    struct parked parked;
    struct ipcfs *fs;
    struct handle *handle; /* parked: counted */
    uint64_t offset;
    size_t size;
    char *answer; /* owned: what was read */
};

static ssize_t attempt_read(struct waiter *waiter, struct ipcfs_wait *wait)
{
    struct reading *reading = (struct reading *)waiter;
    struct event_use *use = reading->handle->events;
    AUTO_FREE char *answer = malloc(reading->size);
    if (!answer)
        return -ENOMEM;
    lock_take(&use->events->lock);
    ssize_t count =
        event_cursor_read(&use->reader->cursor, &use->events->log, reading->offset, answer, reading->size);
    if (count > 0)
        use->position = reading->offset + (uint64_t)count;
    lock_release(&use->events->lock);
    if (count > 0)
        reading->answer = TAKE_PTR(answer);
    if (count)
        return count;
    wait->source = IPCFS_WAIT_TOLD;
    return -EAGAIN;
}

static void answer(struct reading *reading, struct reply *reply, ssize_t result)
{
    if (result < 0)
        reply_error(reply, (int)result);
    else
        reply_buffer(reply, reading->answer, (size_t)result);
    free(reading->answer);
}

static void finish_read(struct waiter *waiter, ssize_t result)
{
    struct reading *reading = (struct reading *)waiter;
    park_end(&reading->parked);
    answer(reading, &reading->parked.reply, result);
    handle_put(&reading->fs->handles, reading->handle);
    free(reading);
}

static const struct waiter_ops reading_ops = {.attempt = attempt_read, .finish = finish_read};

static void wait_to_read(struct reply *reply, struct reading *reading)
{
    struct reading *parked = malloc(sizeof *parked);
    if (!parked) {
        answer(reading, reply, -ENOMEM);
        return;
    }
    *parked = *reading;
    handle_use(&parked->fs->handles, parked->handle);
    park(&parked->parked, parked->handle->events->line, reply);
}

void events_read(struct ipcfs *fs, struct reply *reply, struct handle *handle, size_t size, off_t offset,
                 int flags)
{
    if (!size) {
        reply_buffer(reply, NULL, 0);
        return;
    }
    bool patient = !(flags & O_NONBLOCK);
    struct reading reading = {
        .parked.waiter = {.ops = &reading_ops, .owner = handle, .uid = handle->uid},
        .fs = fs,
        .handle = handle,
        .offset = (uint64_t)offset,
        .size = ipcfs_is_piece(fs, size) ? size - 1 : size,
    };
    ssize_t result = wait_try(handle->events->line, &reading.parked.waiter, !patient);
    if (result == -EAGAIN && patient)
        wait_to_read(reply, &reading);
    else
        answer(&reading, reply, result);
}
