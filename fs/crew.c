/* SPDX-License-Identifier: MIT */
#include "crew.h"

#include "creds.h"
#include "deliver.h"
#include "lookout.h"
#include "wait.h"

#include "ipcfs/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { WORKERS_MAX = 512, JOIN_MS = 2000 };

struct worker {
    pthread_t thread;
    struct crew *crew;
    struct lookout_place place;
    atomic_bool ended; /* and may be joined */
    bool started;      /* main thread only */
};

struct crew {
    struct crew_options options;
    struct lookout lookout;
    int ended_fd;        /* eventfd: the session has ended */
    int crowded_fd;      /* eventfd: all workers are busy */
    atomic_uint served;  /* requests answered, to see progress */
    atomic_bool crowded; /* crowded_fd was told, and the main thread has not yet seen the end of it */

    /* Main thread only. */
    bool watched;  /* all workers were busy when `served` was the count */
    bool helpless; /* and there was no other to be had: said once */
    unsigned served_then;
    struct worker workers[WORKERS_MAX];
};

static void tell(int event_fd)
{
    uint64_t one = 1;
    (void)!write(event_fd, &one, sizeof one);
}

static bool all_busy(const struct crew *crew)
{
    return atomic_load(&crew->lookout.busy) >= atomic_load(crew->options.count);
}

/* ---- workers ---- */

/* After every change of the busy upwards and of their number downwards. */
static void look_round(struct crew *crew)
{
    lookout_look_round(&crew->lookout);
    if (all_busy(crew) && !atomic_exchange(&crew->crowded, true))
        tell(crew->crowded_fd);
}

static void answer(struct crew *crew, const struct fuse_buf *buffer)
{
    atomic_fetch_add(&crew->lookout.busy, 1);
    look_round(crew);
    deliver(crew->options.session, buffer);
    atomic_fetch_add(&crew->served, 1);
    atomic_fetch_sub(&crew->lookout.busy, 1);
}

/* Whether this worker is one too many; if so it is no longer counted. */
static bool leave(struct crew *crew)
{
    unsigned threads = atomic_load(crew->options.count);
    if (threads <= crew->options.threads || atomic_load(&crew->lookout.busy) + 1 >= threads)
        return false;
    if (!atomic_compare_exchange_strong(crew->options.count, &threads, threads - 1))
        return false;
    look_round(crew); /* one that became busy in between compared with the old number */
    return true;
}

/* Receives and answers until the session ends or the worker is not needed. */
static void serve_requests(struct crew *crew, struct lookout_place *place, struct fuse_buf *buffer)
{
    struct fuse_session *session = crew->options.session;
    while (!fuse_session_exited(session)) {
        int count = lookout_receive(&crew->lookout, place, buffer);
        if (count > 0) {
            answer(crew, buffer);
            if (creds_lost())
                fuse_session_exit(session);
            else if (leave(crew))
                return;
        } else if (count == -ENOMEM) {
            deliver_wait_for_memory(session);
        } else if (count < 0 && count != -EINTR && count != -EAGAIN) {
            log_error("/dev/fuse: %s", strerror(-count));
            fuse_session_exit(session);
        }
    }
    tell(crew->ended_fd);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct fuse_buf buffer = {0};
    serve_requests(worker->crew, &worker->place, &buffer);
    free(buffer.mem);
    atomic_store(&worker->ended, true);
    return NULL;
}

/* ---- the main thread ---- */

/* A place for a new worker: one never used, or one whose worker has ended. NULL when all are taken. */
static struct worker *free_place(struct crew *crew)
{
    for (size_t i = 0; i < WORKERS_MAX; i++) {
        struct worker *worker = &crew->workers[i];
        if (worker->started && atomic_load(&worker->ended)) {
            pthread_join(worker->thread, NULL);
            worker->started = false;
        }
        if (!worker->started)
            return worker;
    }
    return NULL;
}

static int start_worker(struct crew *crew)
{
    struct worker *worker = free_place(crew);
    if (!worker)
        return -EAGAIN;
    worker->crew = crew;
    atomic_store(&worker->ended, false);
    atomic_fetch_add(crew->options.count, 1);
    int error = pthread_create(&worker->thread, NULL, work, worker);
    if (error)
        atomic_fetch_sub(crew->options.count, 1);
    else
        worker->started = true;
    return -error;
}

int crew_ended_fd(const struct crew *crew)
{
    return crew->ended_fd;
}

int crew_crowded_fd(const struct crew *crew)
{
    return crew->crowded_fd;
}

bool crew_is_crowded(const struct crew *crew)
{
    return crew->watched;
}

void crew_told(struct crew *crew)
{
    uint64_t count = 0;
    (void)!read(crew->crowded_fd, &count, sizeof count);
    crew->watched = true;
    crew->served_then = atomic_load(&crew->served);
}

static void call_for_help(struct crew *crew)
{
    int error = start_worker(crew);
    if (error && !crew->helpless)
        log_warning("all %u threads are stuck, and there is no other: %s", atomic_load(crew->options.count),
                    strerror(-error));
    crew->helpless = error != 0;
}

void crew_help(struct crew *crew)
{
    unsigned served = atomic_load(&crew->served);
    if (all_busy(crew) && served == crew->served_then)
        call_for_help(crew);
    crew->served_then = served;
    crew->watched = all_busy(crew);
    if (crew->watched)
        return;
    /* From here on the next worker to find all busy tells again. One that did so a moment ago, and told nobody because
     * `crowded` was still set, is seen here. */
    atomic_store(&crew->crowded, false);
    crew->watched = all_busy(crew);
}

/* A signal sent just before a worker enters read(2) is lost, so all are sent it again and again. False where a worker
 * has not ended in time: it is stuck in a native call. */
static bool join_workers(struct crew *crew)
{
    for (long waited = 0; waited <= JOIN_MS; waited++) {
        bool all_ended = true;
        for (size_t i = 0; i < WORKERS_MAX; i++) {
            struct worker *worker = &crew->workers[i];
            if (!worker->started)
                continue;
            if (atomic_load(&worker->ended)) {
                pthread_join(worker->thread, NULL);
                worker->started = false;
                continue;
            }
            (void)pthread_kill(worker->thread, WAKE_SIGNAL);
            all_ended = false;
        }
        if (all_ended)
            return true;
        (void)poll(NULL, 0, 1);
    }
    return false;
}

/* ---- start and end ---- */

static void release(struct crew *crew)
{
    if (crew->ended_fd >= 0)
        close(crew->ended_fd);
    if (crew->crowded_fd >= 0)
        close(crew->crowded_fd);
    free(crew);
}

/* NULL with errno set where it cannot be made. */
static struct crew *make(const struct crew_options *options)
{
    struct crew *crew = calloc(1, sizeof *crew);
    if (!crew)
        return NULL;
    crew->options = *options;
    crew->ended_fd = eventfd(0, EFD_CLOEXEC);
    crew->crowded_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int error = crew->ended_fd < 0 || crew->crowded_fd < 0 ? -errno : 0;
    if (!error)
        error = lookout_init(&crew->lookout, options->session, options->count, options->poll_percent);
    if (!error)
        return crew;
    release(crew);
    errno = -error;
    return NULL;
}

static void destroy(struct crew *crew)
{
    lookout_destroy(&crew->lookout);
    release(crew);
}

int crew_start(const struct crew_options *options, struct crew **out)
{
    struct crew *crew = make(options);
    if (!crew)
        return -errno;
    int error = 0;
    while (!error && atomic_load(options->count) < options->threads)
        error = start_worker(crew);
    unsigned threads = atomic_load(options->count);
    if (threads == 0) {
        destroy(crew);
        return error;
    }
    if (error)
        log_warning("%u threads instead of %u: %s", threads, options->threads, strerror(-error));
    *out = crew;
    return 0;
}

bool crew_end(struct crew *crew)
{
    fuse_session_exit(crew->options.session);
    if (!join_workers(crew))
        return false;
    destroy(crew);
    return true;
}
