/* SPDX-License-Identifier: MIT */
/* The thread: what it waits for, and when it looks. */
#include "events_watch.h"

#include "ipcfs.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/monotonic.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- start and end ---- */

/* The watched directory that the descriptor is of; several kinds may be in one. */
static int join_directory(struct event_watch *watch, int fd)
{
    struct stat stat;
    if (fstat(fd, &stat) < 0)
        return -errno;
    size_t i = 0;
    while (i < watch->directory_count &&
           (watch->directories[i].ino != stat.st_ino || watch->directories[i].device != stat.st_dev))
        i++;
    if (i < watch->directory_count)
        return (int)i;
    struct watched_directory *directory = &watch->directories[i];
    *directory = (struct watched_directory){.ino = stat.st_ino, .device = stat.st_dev};
    int error = watch_open(fd, &directory->watch);
    if (error)
        return error;
    watch->directory_count++;
    return (int)i;
}

static int add_kind(struct event_watch *watch, const struct ipcfs_backend *kind)
{
    if (watch->kind_count == WATCH_KINDS_MAX)
        return -ENOSPC;
    int fd = kind->watched();
    struct watched_kind *added = &watch->kinds[watch->kind_count];
    *added = (struct watched_kind){.kind = kind, .directory = fd < 0 ? -1 : fd, .in = -1};
    if (fd >= 0)
        added->in = join_directory(watch, fd);
    if (fd >= 0 && added->in < 0)
        return added->in;
    watch->kind_count++;
    return 0;
}

/* Directories are watched before it is looked what is in them: what happens in between is seen twice, and told once. */
static int begin(struct event_watch *watch)
{
    int error = 0;
    const struct ipcfs_backend **kinds = watch->events->fs->tree.kinds;
    for (size_t i = 0; !error && kinds[i]; i++)
        error = add_kind(watch, kinds[i]);
    watch->silent = true;
    for (size_t i = 0; !error && i < watch->kind_count; i++)
        if (watch->kinds[i].directory >= 0)
            error = watch_scan(watch, &watch->kinds[i]);
    if (!error)
        watch_look(watch);
    watch->silent = false;
    return error;
}

static void end(struct event_watch *watch)
{
    for (size_t i = 0; i < watch->directory_count; i++)
        watch_close(watch->directories[i].watch);
    known_clear(&watch->known);
    free(watch->batch.changes);
    free(watch);
}

/* ---- directories ---- */

static int keep_change(void *data, const struct watch_change *change)
{
    struct change_batch *batch = data;
    if (batch->count == batch->room) {
        size_t room = batch->room ? 2 * batch->room : 16;
        struct watch_change *larger = realloc(batch->changes, room * sizeof *larger);
        if (!larger)
            return -ENOMEM;
        batch->changes = larger;
        batch->room = room;
    }
    batch->changes[batch->count++] = *change;
    return 0;
}

static void pause_ms(long milliseconds)
{
    struct timespec time = {.tv_nsec = milliseconds * 1000000};
    (void)nanosleep(&time, NULL);
}

/* Without memory changes are lost, also what came and went since: then all is looked at. */
static void read_directory(struct event_watch *watch, int directory)
{
    struct watch *source = watch->directories[directory].watch;
    bool lost = false;
    for (int tries = 0; tries <= WATCH_PASSING_TRIES; tries++) {
        if (tries)
            pause_ms(WATCH_BATCH_MS);
        lost |= watch_read(source, keep_change, &watch->batch) != 0;
        if (!watch_is_passing(watch, directory))
            break;
    }
    watch_apply(watch, directory);
    if (lost) {
        watch_tell_lost(watch);
        watch_rescan(watch, directory);
    }
}

/* ---- the thread ---- */

static int64_t processor_us(void)
{
    struct timespec time = {0}; /* what is filtered away takes no time */
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

/* When it is looked again. */
struct agenda {
    int64_t last;  /* when it was looked */
    int64_t least; /* milliseconds until it may be again */
    bool soon;     /* something was done through the mount */
};

static void look(struct event_watch *watch, struct agenda *agenda)
{
    int64_t before = processor_us();
    watch_look(watch);
    agenda->least = (processor_us() - before) * LOOK_SHARE / 1000;
    agenda->last = monotonic_ms();
    agenda->soon = false;
}

static int64_t longer(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Milliseconds until the next look. */
static int until_look(const struct agenda *agenda)
{
    int64_t due = agenda->last + longer(agenda->least, agenda->soon ? WATCH_BATCH_MS : LOOK_MS);
    return (int)longer(due - monotonic_ms(), 0);
}

static void drain(int event_fd)
{
    uint64_t count = 0;
    (void)!read(event_fd, &count, sizeof count);
}

/* Waits for the next thing to do, and does it. */
static void step(struct event_watch *watch, struct agenda *agenda)
{
    struct pollfd sources[WATCH_KINDS_MAX + 1] = {{.fd = watch->events->wake_fd, .events = POLLIN}};
    for (size_t i = 0; i < watch->directory_count; i++)
        sources[i + 1] = (struct pollfd){.fd = watch_fd(watch->directories[i].watch), .events = POLLIN};
    int ready = poll(sources, watch->directory_count + 1, until_look(agenda));
    if (ready < 0) { /* a signal, or no memory: then a moment later */
        pause_ms(WATCH_BATCH_MS);
        return;
    }
    if (sources[0].revents) {
        drain(sources[0].fd);
        agenda->soon = true;
        ready--;
    }
    events_round_begin(watch->events); /* who comes from here on wakes it again */
    if (ready)
        pause_ms(WATCH_BATCH_MS);
    for (size_t i = 0; i < watch->directory_count; i++)
        if (sources[i + 1].revents)
            read_directory(watch, (int)i);
    if (until_look(agenda) == 0)
        look(watch, agenda);
    if (watch->told)
        events_tell(watch->events);
    watch->told = false;
    events_round_end(watch->events);
}

int events_watch(struct events *events)
{
    struct event_watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return -ENOMEM;
    watch->events = events;
    watch->self = getpid();
    events_round_begin(events);
    int error = begin(watch);
    if (!error)
        events_round_end(events);
    struct agenda agenda = {.last = monotonic_ms()};
    while (!error && events_wanted(events))
        step(watch, &agenda);
    end(watch);
    return error;
}
