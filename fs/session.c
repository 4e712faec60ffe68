/* SPDX-License-Identifier: MIT */
#include "session.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

/* Interrupts a worker's read(2) so that it sees that the session has ended. */
#define WAKE_SIGNAL SIGUSR1

struct worker {
    pthread_t thread;
    struct ipcfs *fs;
    int ended_fd; /* eventfd that tells the main thread */
};

static void ignore_wake(int signal_number)
{
    (void)signal_number;
}

static void ending_signals(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGINT);
    (void)sigaddset(set, SIGHUP);
}

int session_block_signals(void)
{
    sigset_t set;
    ending_signals(&set);
    int error = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (error)
        return -error;
    struct sigaction wake = {.sa_handler = ignore_wake}; /* no SA_RESTART: read(2) shall end */
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    if (sigaction(WAKE_SIGNAL, &wake, NULL) < 0 || sigaction(SIGPIPE, &ignore, NULL) < 0)
        return -errno;
    return 0;
}

/* ---- FUSE_INIT ---- */

static unsigned read_sysctl(const char *path)
{
    unsigned value = 0;
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    if (fscanf(file, "%u", &value) != 1) // NOLINT(cert-err34-c): the kernel writes a number
        value = 0;
    (void)fclose(file);
    return value;
}

static void note_request_timeouts(struct ipcfs *fs)
{
    fs->default_request_timeout = read_sysctl("/proc/sys/fs/fuse/default_request_timeout");
    fs->max_request_timeout = read_sysctl("/proc/sys/fs/fuse/max_request_timeout");
    if (fs->default_request_timeout || fs->max_request_timeout)
        log_warning(
            "the kernel ends this mount when a request waits too long (fs.fuse.default_request_timeout %u s, "
            "fs.fuse.max_request_timeout %u s)",
            fs->default_request_timeout, fs->max_request_timeout);
}

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
    note_request_timeouts(fs);
    settle_passthrough(fs);
    return fs->passthrough || fs->passthrough_wanted != PASSTHROUGH_ON ? 0 : -EOPNOTSUPP;
}

/* ---- workers ---- */

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct fuse_session *session = worker->fs->session;
    struct fuse_buf buffer = {0};
    while (!fuse_session_exited(session)) {
        int count = fuse_session_receive_buf(session, &buffer);
        if (count > 0) {
            fuse_session_process_buf(session, &buffer);
        } else if (count < 0 && count != -EINTR && count != -EAGAIN) {
            log_error("/dev/fuse: %s", strerror(-count));
            fuse_session_exit(session);
        }
    }
    free(buffer.mem);
    uint64_t one = 1;
    (void)!write(worker->ended_fd, &one, sizeof one);
    return NULL;
}

/* Starts as many workers as can be had; returns how many. */
static unsigned start_workers(struct ipcfs *fs, struct worker *workers, int ended_fd)
{
    unsigned count = 0;
    while (count < fs->threads) {
        struct worker *worker = &workers[count];
        *worker = (struct worker){.fs = fs, .ended_fd = ended_fd};
        int error = pthread_create(&worker->thread, NULL, work, worker);
        if (error) {
            log_warning("%u threads instead of %u: %s", count, fs->threads, strerror(error));
            break;
        }
        count++;
    }
    return count;
}

/* A signal sent just before a worker enters read(2) would be lost, so it is sent again until the worker has ended. */
static void join_worker(const struct worker *worker)
{
    for (;;) {
        (void)pthread_kill(worker->thread, WAKE_SIGNAL);
        struct timespec limit;
        (void)clock_gettime(CLOCK_REALTIME, &limit);
        limit.tv_nsec += 10 * 1000 * 1000;
        if (limit.tv_nsec >= 1000 * 1000 * 1000) {
            limit.tv_nsec -= 1000 * 1000 * 1000;
            limit.tv_sec++;
        }
        if (pthread_timedjoin_np(worker->thread, NULL, &limit) != ETIMEDOUT)
            return;
    }
}

/* What the main thread waits for; the watches' descriptors follow. */
enum { SOURCE_SIGNAL, SOURCE_ENDED, SOURCE_PINS, SOURCE_WATCHES };

/* Waits once and does what is due. False when the session has to end. */
static bool wait_once(struct ipcfs *fs, struct pollfd *sources, size_t count)
{
    watches_poll_fill(&fs->watches, sources + SOURCE_WATCHES);
    if (poll(sources, count, -1) < 0)
        return errno == EINTR;
    struct signalfd_siginfo info;
    if (sources[SOURCE_SIGNAL].revents &&
        read(sources[SOURCE_SIGNAL].fd, &info, sizeof info) == sizeof info) {
        log_info("ending on signal %u", info.ssi_signo);
        return false;
    }
    if (sources[SOURCE_ENDED].revents)
        return false;
    if (sources[SOURCE_PINS].revents)
        pins_expire(&fs->pins);
    watches_polled(&fs->watches, fs->session, sources + SOURCE_WATCHES);
    return true;
}

/* Returns at a signal, or when a worker has ended because the mount has. */
static int wait_for_end(struct ipcfs *fs, int signal_fd, int ended_fd)
{
    size_t count = SOURCE_WATCHES + watches_poll_count(&fs->watches);
    AUTO_FREE struct pollfd *sources = calloc(count, sizeof *sources);
    if (!sources)
        return -ENOMEM;
    sources[SOURCE_SIGNAL] = (struct pollfd){.fd = signal_fd, .events = POLLIN};
    sources[SOURCE_ENDED] = (struct pollfd){.fd = ended_fd, .events = POLLIN};
    sources[SOURCE_PINS] = (struct pollfd){.fd = fs->pins.timer_fd, .events = POLLIN};
    while (wait_once(fs, sources, count))
        ;
    return 0;
}

int session_serve(struct ipcfs *fs)
{
    sigset_t set;
    ending_signals(&set);
    AUTO_FD signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
    AUTO_FD ended_fd = eventfd(0, EFD_CLOEXEC);
    if (signal_fd < 0 || ended_fd < 0)
        return -errno;
    AUTO_FREE struct worker *workers = calloc(fs->threads, sizeof *workers);
    if (!workers)
        return -ENOMEM;
    unsigned count = start_workers(fs, workers, ended_fd);
    int error = count > 0 ? wait_for_end(fs, signal_fd, ended_fd) : -EAGAIN;
    fuse_session_exit(fs->session);
    for (unsigned i = 0; i < count; i++)
        join_worker(&workers[i]);
    return error;
}
