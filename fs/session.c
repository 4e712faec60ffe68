/* SPDX-License-Identifier: MIT */
#include "session.h"

#include "creds.h"
#include "ipcfs/cleanup.h"
#include "ipcfs/log.h"
#include "wait.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

/* WAKE_SIGNAL interrupts a worker's read(2), so that it sees that the session has ended, and a keeper's wait. */
static void ignore_wake(int signal_number)
{
    (void)signal_number;
}

/* SIGTERM, SIGINT and SIGHUP, but for those that the starter wants ignored (nohup(1), a shell's `&`). */
static void ending_signals(sigset_t *set)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
    (void)sigemptyset(set);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction action;
        if (sigaction(signals[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
            (void)sigaddset(set, signals[i]);
    }
}

int session_block_signals(void)
{
    sigset_t set;
    ending_signals(&set);
    int error = pthread_sigmask(SIG_BLOCK, &set, NULL);
    sigset_t wake_set;
    (void)sigemptyset(&wake_set);
    (void)sigaddset(&wake_set, WAKE_SIGNAL);
    if (!error)
        error = pthread_sigmask(SIG_UNBLOCK, &wake_set, NULL); /* the starter may have it blocked */
    if (error)
        return -error;
    struct sigaction wake = {.sa_handler = ignore_wake}; /* no SA_RESTART: read(2) shall end */
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    /* SIGXFSZ: a limit on the size of files (RLIMIT_FSIZE) shall end a call with EFBIG, not the daemon. */
    if (sigaction(WAKE_SIGNAL, &wake, NULL) < 0 || sigaction(SIGPIPE, &ignore, NULL) < 0 ||
        sigaction(SIGXFSZ, &ignore, NULL) < 0)
        return -errno;
    return 0;
}

/* ---- FUSE_INIT ---- */

static void settle_passthrough(struct ipcfs *fs)
{
    if (fs->passthrough) {
        int error = passthrough_probe(fuse_session_fd(fs->session));
        fs->passthrough = !error;
        (void)snprintf(fs->passthrough_reason, sizeof fs->passthrough_reason, "%s%s",
                       error ? "the kernel does not accept a backing file from this process: "
                             : "the kernel carries the data of shared memory",
                       error ? strerror(-error) : "");
    }
}

int session_first_request(struct ipcfs *fs)
{
    struct fuse_buf buffer = {0};
    int count = 0;
    do
        count = fuse_session_receive_buf(fs->session, &buffer);
    while (count == -EINTR);
    if (count > 0)
        fuse_session_process_buf(fs->session, &buffer);
    free(buffer.mem);
    if (count <= 0)
        return count < 0 ? count : -ENODEV;
    if (fs->protocol_major == 0)
        return -EPROTO;
    settle_passthrough(fs);
    return fs->passthrough || fs->passthrough_wanted != PASSTHROUGH_ON ? 0 : -EOPNOTSUPP;
}

/* ---- workers ---- */

/*
 * How many workers there are. A request is answered in microseconds, so a few do. But a native call may have to wait
 * for the lock of an inode that another process holds for as long as it likes (a write(2) whose data do not come), so
 * that in the end every worker could be stuck. Therefore, when all are busy and for BUSY_MS none has finished, the main
 * thread starts one more; one that has nothing to do ends itself again.
 */
enum { BUSY_MS = 20, WORKERS_MAX = 512, NO_MEMORY_PAUSE_MS = 10, JOIN_MS = 2000 };

struct crew {
    struct ipcfs *fs;
    int ended_fd;   /* eventfd: the session has ended */
    int crowded_fd; /* eventfd: all workers are busy */
    atomic_uint busy;
    atomic_uint served;  /* requests answered, to see progress */
    atomic_bool crowded; /* crowded_fd was told, and the main thread has not yet seen the end of it */
    struct worker {
        pthread_t thread;
        struct crew *crew;
        atomic_bool ended; /* and may be joined */
        bool started;      /* main thread only */
    } workers[WORKERS_MAX];
};

static void tell(int event_fd)
{
    uint64_t one = 1;
    (void)!write(event_fd, &one, sizeof one);
}

static void pause_ms(long milliseconds)
{
    struct timespec time = {.tv_nsec = milliseconds * 1000000};
    (void)nanosleep(&time, NULL);
}

/* After every change of `busy` upwards and of `threads` downwards. */
static void tell_if_crowded(struct crew *crew)
{
    if (atomic_load(&crew->busy) >= atomic_load(&crew->fs->threads) && !atomic_exchange(&crew->crowded, true))
        tell(crew->crowded_fd);
}

static void answer(struct crew *crew, const struct fuse_buf *buffer)
{
    atomic_fetch_add(&crew->busy, 1);
    tell_if_crowded(crew);
    fuse_session_process_buf(crew->fs->session, buffer);
    atomic_fetch_add(&crew->served, 1);
    atomic_fetch_sub(&crew->busy, 1);
}

/* Whether this worker is one too many; if so it is no longer counted. */
static bool leave(struct crew *crew)
{
    unsigned threads = atomic_load(&crew->fs->threads);
    if (threads <= crew->fs->threads_wanted || atomic_load(&crew->busy) + 1 >= threads)
        return false;
    if (!atomic_compare_exchange_strong(&crew->fs->threads, &threads, threads - 1))
        return false;
    tell_if_crowded(crew); /* one that became busy in between compared with the old number */
    return true;
}

/* Without memory for a buffer nothing is read, so that the end of the mount would not be noticed either. */
static void wait_for_memory(struct fuse_session *session)
{
    struct pollfd device = {.fd = fuse_session_fd(session)};
    if (poll(&device, 1, NO_MEMORY_PAUSE_MS) > 0 && device.revents & POLLERR)
        fuse_session_exit(session);
}

/* Receives and answers until the session ends or the worker is not needed. */
static void serve_requests(struct crew *crew, struct fuse_buf *buffer)
{
    struct fuse_session *session = crew->fs->session;
    while (!fuse_session_exited(session)) {
        int count = fuse_session_receive_buf(session, buffer);
        if (count > 0) {
            answer(crew, buffer);
            if (creds_lost())
                fuse_session_exit(session);
            else if (leave(crew))
                return;
        } else if (count == -ENOMEM) {
            wait_for_memory(session);
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
    serve_requests(worker->crew, &buffer);
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
    atomic_fetch_add(&crew->fs->threads, 1);
    int error = pthread_create(&worker->thread, NULL, work, worker);
    if (error)
        atomic_fetch_sub(&crew->fs->threads, 1);
    else
        worker->started = true;
    return -error;
}

/* What the main thread waits for. */
enum { SOURCE_SIGNAL, SOURCE_ENDED, SOURCE_CROWDED, SOURCE_PINS, SOURCE_COUNT };

struct housekeeping {
    struct crew *crew;
    struct pollfd sources[SOURCE_COUNT];
    bool crowded;  /* all workers were busy when `served` was the count */
    bool helpless; /* and there was no other to be had: said once */
    unsigned served;
};

static bool all_busy(const struct crew *crew)
{
    return atomic_load(&crew->busy) >= atomic_load(&crew->fs->threads);
}

static void call_for_help(struct housekeeping *keeping)
{
    int error = start_worker(keeping->crew);
    if (error && !keeping->helpless)
        log_warning("all %u threads are stuck, and there is no other: %s",
                    atomic_load(&keeping->crew->fs->threads), strerror(-error));
    keeping->helpless = error != 0;
}

static void look_at_crowd(struct housekeeping *keeping)
{
    struct crew *crew = keeping->crew;
    unsigned served = atomic_load(&crew->served);
    if (all_busy(crew) && served == keeping->served)
        call_for_help(keeping);
    keeping->served = served;
    keeping->crowded = all_busy(crew);
    if (keeping->crowded)
        return;
    /* From here on the next worker to find all busy tells again. One that did so a moment ago, and told nobody because
     * `crowded` was still set, is seen here. */
    atomic_store(&crew->crowded, false);
    keeping->crowded = all_busy(crew);
}

static void drain_event(int event_fd)
{
    uint64_t count = 0;
    (void)!read(event_fd, &count, sizeof count);
}

/* Waits once and does what is due. False when the session has to end. */
static bool wait_once(struct housekeeping *keeping)
{
    struct ipcfs *fs = keeping->crew->fs;
    struct pollfd *sources = keeping->sources;
    int ready = poll(sources, SOURCE_COUNT, keeping->crowded ? BUSY_MS : -1);
    if (ready < 0)
        return errno == EINTR;
    struct signalfd_siginfo info;
    if (sources[SOURCE_SIGNAL].revents &&
        read(sources[SOURCE_SIGNAL].fd, &info, sizeof info) == sizeof info) {
        log_info("ending on signal %u", info.ssi_signo);
        return false;
    }
    if (sources[SOURCE_ENDED].revents)
        return false;
    if (ready == 0) {
        look_at_crowd(keeping);
    } else if (sources[SOURCE_CROWDED].revents) {
        drain_event(sources[SOURCE_CROWDED].fd);
        keeping->crowded = true;
        keeping->served = atomic_load(&keeping->crew->served);
    }
    if (sources[SOURCE_PINS].revents)
        pins_expire(&fs->pins);
    return true;
}

/* Returns at a signal, or when a worker has ended because the mount has. */
static void keep_house(struct crew *crew, int signal_fd)
{
    struct housekeeping keeping = {
        .crew = crew,
        .sources =
            {
                [SOURCE_SIGNAL] = {.fd = signal_fd, .events = POLLIN},
                [SOURCE_ENDED] = {.fd = crew->ended_fd, .events = POLLIN},
                [SOURCE_CROWDED] = {.fd = crew->crowded_fd, .events = POLLIN},
                [SOURCE_PINS] = {.fd = crew->fs->pins.timer_fd, .events = POLLIN},
            },
    };
    while (wait_once(&keeping))
        ;
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
        pause_ms(1);
    }
    return false;
}

static int start_crew(struct crew *crew)
{
    int error = 0;
    while (!error && atomic_load(&crew->fs->threads) < crew->fs->threads_wanted)
        error = start_worker(crew);
    unsigned threads = atomic_load(&crew->fs->threads);
    if (threads == 0)
        return error;
    if (error)
        log_warning("%u threads instead of %u: %s", threads, crew->fs->threads_wanted, strerror(-error));
    return 0;
}

int session_serve(struct ipcfs *fs, void (*ready)(void *), void *data)
{
    sigset_t set;
    ending_signals(&set);
    AUTO_FD signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
    AUTO_FD ended_fd = eventfd(0, EFD_CLOEXEC);
    AUTO_FD crowded_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (signal_fd < 0 || ended_fd < 0 || crowded_fd < 0)
        return -errno;
    AUTO_FREE struct crew *crew = calloc(1, sizeof *crew);
    if (!crew)
        return -ENOMEM;
    crew->fs = fs;
    crew->ended_fd = ended_fd;
    crew->crowded_fd = crowded_fd;
    int error = start_crew(crew);
    if (!error) {
        ready(data);
        keep_house(crew, signal_fd);
    }
    fuse_session_exit(fs->session);
    if (join_workers(crew))
        return ipcfs_end_waits(fs) ? error : -ETIMEDOUT;
    /* The stuck worker still uses all of this. */
    (void)TAKE_PTR(crew);
    (void)TAKE_FD(ended_fd);
    (void)TAKE_FD(crowded_fd);
    return -ETIMEDOUT;
}
