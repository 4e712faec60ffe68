/* SPDX-License-Identifier: MIT */
/*
 * The engine's thread. It sleeps in epoll until a descriptor is ready or a list has something for it, and looks at the
 * clock only while somebody depends on that: a keeper that has to let go, lines without descriptor and keeper, watches
 * without descriptor, a limit on the length of waits.
 */
#include "wait_line.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/monotonic.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <utlist.h>

/* Sweeping takes about one part in SWEEP_SHARE of a processor at most; trying those who may be passed over, one in DOUBT_SHARE. */
enum { NUDGE_MS = 1, LIMIT_MS = 100, SWEEP_MS = 20, SWEEP_SHARE = 10, EVENTS = 64, WAKE_ID = 0 };
enum { DOUBT_MIN_MS = 16, DOUBT_MAX_MS = 4096, DOUBT_SHARE = 200 };

void wait_engine_wake(struct wait_engine *engine)
{
    uint64_t one = 1;
    (void)!write(engine->wake_fd, &one, sizeof one);
}

int wait_arm_descriptor(struct wait_engine *engine, uint64_t id, int *own, int fd, short events)
{
    struct epoll_event event = {.events = EPOLLONESHOT, .data.u64 = id};
    event.events |= (events & POLLIN ? EPOLLIN : 0U) | (events & POLLOUT ? EPOLLOUT : 0U) |
                    (events & POLLRDHUP ? EPOLLRDHUP : 0U);
    bool known = *own >= 0;
    if (!known)
        *own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (*own < 0)
        return -errno;
    if (epoll_ctl(engine->epoll_fd, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, *own, &event) == 0)
        return 0;
    int error = -errno;
    wait_forget_descriptor(engine, own);
    return error;
}

void wait_forget_descriptor(struct wait_engine *engine, int *own)
{
    if (*own < 0)
        return;
    (void)epoll_ctl(engine->epoll_fd, EPOLL_CTL_DEL, *own, NULL);
    close(*own);
    *own = -1;
}

void wait_engine_hand_over(struct wait_engine *engine, struct wait_done *done)
{
    lock_take(&engine->lock);
    done->last->next = engine->ended;
    engine->ended = done->first;
    lock_release(&engine->lock);
    wait_engine_wake(engine);
}

void wait_engine_sweep(struct wait_line *line)
{
    struct wait_engine *engine = line->engine;
    lock_take(&engine->lock);
    if (!line->swept) {
        line->swept = true;
        line->users++;
        line->next_swept = engine->swept;
        engine->swept = line;
    }
    lock_release(&engine->lock);
    wait_engine_wake(engine);
}

/* The thread is only woken where it would sleep for longer: with many new waits, once in DOUBT_MIN_MS. */
void wait_engine_doubt(struct wait_line *line, bool soon)
{
    struct wait_engine *engine = line->engine;
    int64_t when = monotonic_ms() + DOUBT_MIN_MS;
    lock_take(&engine->lock);
    bool empty = !engine->doubted;
    if (!line->doubted)
        DL_APPEND(engine->doubted, line);
    line->doubted = true;
    if (when < engine->doubt_floor)
        when = engine->doubt_floor;
    bool earlier = soon && (empty || engine->next_doubt > when);
    if (soon)
        engine->doubt_ms = DOUBT_MIN_MS;
    if (earlier)
        engine->next_doubt = when;
    lock_release(&engine->lock);
    if (earlier)
        wait_engine_wake(engine);
}

static void add_nudged(struct wait_line *line)
{
    struct wait_engine *engine = line->engine;
    lock_take(&engine->lock);
    if (!line->nudged) {
        line->nudged = true;
        line->users++;
        line->next_nudged = engine->nudged;
        engine->nudged = line;
    }
    lock_release(&engine->lock);
}

void wait_engine_nudge(struct wait_line *line)
{
    add_nudged(line);
    wait_engine_wake(line->engine);
}

struct wait_line **wait_engine_lines(struct wait_engine *engine)
{
    size_t count = 0;
    lock_take(&engine->lock);
    struct wait_line **lines = calloc(HASH_CNT(by_key, engine->lines) + 1, sizeof *lines);
    struct wait_line *line = NULL;
    struct wait_line *next = NULL;
    HASH_ITER(by_key, engine->lines, line, next) {
        if (!lines)
            break;
        line->users++;
        lines[count++] = line;
    }
    lock_release(&engine->lock);
    return lines;
}

/* ---- what the thread does for lines ---- */

static void finish_ended(struct wait_engine *engine)
{
    struct wait_done done = {0};
    lock_take(&engine->lock);
    done.first = TAKE_PTR(engine->ended);
    lock_release(&engine->lock);
    wait_finish(&done);
}

/* Whether the keeper still has to let go of somebody; it is told so again. */
static bool nudge_again(struct wait_line *line)
{
    lock_take(&line->lock);
    bool again = line->in_service && line->in_service->verdict;
    if (again)
        (void)pthread_kill(line->keeper, WAKE_SIGNAL);
    lock_release(&line->lock);
    return again;
}

static void nudge_all(struct wait_engine *engine)
{
    lock_take(&engine->lock);
    struct wait_line *line = TAKE_PTR(engine->nudged);
    lock_release(&engine->lock);
    while (line) {
        struct wait_line *next = line->next_nudged;
        lock_take(&engine->lock);
        line->nudged = false;
        lock_release(&engine->lock);
        if (nudge_again(line))
            add_nudged(line); /* without a wake-up: the next time is NUDGE_MS from now */
        wait_line_put(line);
        line = next;
    }
}

static void sweep_lines(struct wait_engine *engine)
{
    lock_take(&engine->lock);
    struct wait_line *line = TAKE_PTR(engine->swept);
    lock_release(&engine->lock);
    while (line) {
        struct wait_line *next = line->next_swept;
        lock_take(&engine->lock);
        line->swept = false;
        lock_release(&engine->lock);
        wait_serve_line(line, false);
        wait_line_put(line);
        line = next;
    }
}

/* The error with which a wait has to end by now, or 0. */
static int overdue(const struct wait_engine *engine, const struct waiter *waiter, int64_t now)
{
    int stop = atomic_load(&engine->stop_error);
    if (stop)
        return stop;
    if (waiter->limit_ms && now - waiter->since >= waiter->limit_ms)
        return -EAGAIN;
    return engine->time_max_ms && now - waiter->since >= engine->time_max_ms ? -EINTR : 0;
}

static void end_overdue_of(struct wait_line *line, int64_t now)
{
    struct wait_done done = {0};
    struct waiter *waiter = NULL;
    struct waiter *next = NULL;
    lock_take(&line->lock);
    DL_FOREACH_SAFE(line->first, waiter, next) {
        int error = overdue(line->engine, waiter, now);
        if (error)
            wait_dismiss(line, waiter, error, &done);
    }
    pthread_cond_broadcast(&line->keeper_wanted); /* it looks whether the engine stops */
    lock_release(&line->lock);
    wait_finish(&done);
}

static void end_all_overdue(struct wait_engine *engine)
{
    int64_t now = monotonic_ms();
    AUTO_FREE struct wait_line **lines = wait_engine_lines(engine);
    for (size_t i = 0; lines && lines[i]; i++) {
        end_overdue_of(lines[i], now);
        wait_line_put(lines[i]);
    }
}

/* ---- the thread ---- */

static void on_event(struct wait_engine *engine, uint64_t id)
{
    if (id == WAKE_ID) {
        uint64_t count = 0;
        (void)!read(engine->wake_fd, &count, sizeof count);
        return;
    }
    struct wait_source *source = NULL;
    struct wait_line *line = NULL;
    lock_take(&engine->lock);
    HASH_FIND(by_id, engine->sources, &id, sizeof id, source);
    if (source && source->is_line) {
        line = (struct wait_line *)source;
        line->users++;
    } else if (source) {
        wait_watch_ready(engine, (struct wait_watch *)source);
    }
    lock_release(&engine->lock);
    if (!line)
        return;
    wait_serve_line(line, true);
    wait_line_put(line);
}

/* What the thread has to look at the clock for. */
struct agenda {
    int64_t next_sweep;
    bool looking; /* a sweep is under way: watches are still to be asked */
    int64_t next_end;
};

/* Whether somebody's wait has to end at some time. */
static bool has_limits(struct wait_engine *engine)
{
    return atomic_load(&engine->limited) || (engine->time_max_ms && atomic_load(&engine->parked));
}

static int earlier(int timeout, int64_t when, int64_t now)
{
    int left = when > now ? (int)(when - now) : 0;
    return timeout < 0 || left < timeout ? left : timeout;
}

static int next_timeout(struct wait_engine *engine, const struct agenda *agenda)
{
    int64_t now = monotonic_ms();
    int timeout = -1;
    lock_take(&engine->lock);
    if (engine->nudged)
        timeout = NUDGE_MS;
    if (engine->swept || engine->looking || engine->unseen)
        timeout = earlier(timeout, agenda->next_sweep, now);
    if (engine->doubted)
        timeout = earlier(timeout, engine->next_doubt, now);
    lock_release(&engine->lock);
    if (has_limits(engine))
        timeout = earlier(timeout, agenda->next_end, now);
    return timeout;
}

/* Milliseconds of a processor that this thread has used. */
static int64_t time_used(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static void sweep(struct wait_engine *engine, struct agenda *agenda)
{
    if (monotonic_ms() < agenda->next_sweep)
        return;
    int64_t before = time_used();
    if (!agenda->looking)
        sweep_lines(engine);
    agenda->looking = !wait_watch_look(engine);
    agenda->next_sweep =
        monotonic_ms() + (agenda->looking ? 0 : SWEEP_MS) + (time_used() - before) * SWEEP_SHARE;
}

/* All doubted lines, counted, when it is time for them, or NULL. No memory: the next time. */
static struct wait_line **take_doubted(struct wait_engine *engine)
{
    size_t count = 0;
    struct wait_line *line = NULL;
    struct wait_line *next = NULL;
    struct wait_line **lines = NULL;
    lock_take(&engine->lock);
    if (engine->doubted && monotonic_ms() >= engine->next_doubt) {
        engine->next_doubt = monotonic_ms() + engine->doubt_ms;
        DL_COUNT(engine->doubted, line, count);
        lines = calloc(count + 1, sizeof *lines);
    }
    if (lines) {
        count = 0;
        DL_FOREACH_SAFE(engine->doubted, line, next) {
            line->users++;
            line->doubted = false;
            lines[count++] = line;
        }
        engine->doubted = NULL;
        engine->doubt_ms = engine->doubt_ms < DOUBT_MAX_MS ? 2 * engine->doubt_ms : DOUBT_MAX_MS;
    }
    lock_release(&engine->lock);
    return lines;
}

/* What still waits comes back to the list. */
static void try_doubted(struct wait_engine *engine)
{
    int64_t before = time_used();
    AUTO_FREE struct wait_line **lines = take_doubted(engine);
    for (size_t i = 0; lines && lines[i]; i++) {
        wait_serve_line(lines[i], false);
        wait_line_put(lines[i]);
    }
    if (!lines)
        return;
    int64_t floor = monotonic_ms() + (time_used() - before) * DOUBT_SHARE;
    lock_take(&engine->lock);
    engine->doubt_floor = floor;
    if (engine->next_doubt < floor)
        engine->next_doubt = floor;
    lock_release(&engine->lock);
}

static void end_waits(struct wait_engine *engine, struct agenda *agenda)
{
    int64_t now = monotonic_ms();
    if (!has_limits(engine) || now < agenda->next_end)
        return;
    end_all_overdue(engine);
    agenda->next_end = now + LIMIT_MS;
}

static void *run(void *argument)
{
    struct wait_engine *engine = argument;
    struct agenda agenda = {0};
    while (!atomic_load(&engine->quit)) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(engine->epoll_fd, events, EVENTS, next_timeout(engine, &agenda));
        for (int i = 0; i < count; i++)
            on_event(engine, events[i].data.u64);
        finish_ended(engine);
        nudge_all(engine);
        sweep(engine, &agenda);
        try_doubted(engine);
        end_waits(engine, &agenda);
    }
    finish_ended(engine);
    nudge_all(engine); /* nobody waits any more, but lines are counted by these lists */
    sweep_lines(engine);
    return NULL;
}

/* ---- start and stop ---- */

static int prepare(struct wait_engine *engine)
{
    engine->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (engine->epoll_fd < 0)
        return -errno;
    engine->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (engine->wake_fd < 0)
        return -errno;
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = WAKE_ID};
    if (epoll_ctl(engine->epoll_fd, EPOLL_CTL_ADD, engine->wake_fd, &event) < 0)
        return -errno;
    int error = lock_init(&engine->lock, LOCK_ENGINE);
    return error ? error : -pthread_cond_init(&engine->changed, NULL);
}

static void discard(struct wait_engine *engine)
{
    if (engine->wake_fd >= 0)
        close(engine->wake_fd);
    if (engine->epoll_fd >= 0)
        close(engine->epoll_fd);
    free(engine);
}

int wait_engine_start(struct wait_engine **out, unsigned time_max_ms)
{
    struct wait_engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return -ENOMEM;
    *engine = (struct wait_engine){.epoll_fd = -1,
                                   .wake_fd = -1,
                                   .time_max_ms = time_max_ms,
                                   .next_id = WAKE_ID + 1,
                                   .keeper_shares.max = KEEPERS_SHARE};
    int error = prepare(engine);
    if (!error)
        error = -pthread_create(&engine->thread, NULL, run, engine);
    if (error)
        discard(engine);
    else
        *out = engine;
    return error;
}

void wait_engine_stop(struct wait_engine *engine, int error)
{
    atomic_store(&engine->stop_error, error);
    for (;;) {
        end_all_overdue(engine);
        if (!atomic_load(&engine->parked) && !atomic_load(&engine->keepers))
            break;
        struct timespec pause = {.tv_nsec = NUDGE_MS * 1000000L};
        (void)nanosleep(&pause, NULL);
    }
    atomic_store(&engine->quit, true);
    wait_engine_wake(engine);
    pthread_join(engine->thread, NULL);
}

void wait_engine_free(struct wait_engine *engine)
{
    pthread_cond_destroy(&engine->changed);
    lock_destroy(&engine->lock);
    discard(engine);
}

void wait_stats(struct wait_engine *engine, struct wait_stats *out)
{
    lock_take(&engine->lock);
    *out = (struct wait_stats){
        .lines = HASH_CNT(by_key, engine->lines),
        .parked = atomic_load(&engine->parked),
        .keepers = atomic_load(&engine->keepers),
    };
    lock_release(&engine->lock);
}
