/* SPDX-License-Identifier: MIT */
#include "session.h"

#include "crew.h"
#include "deliver.h"
#include "ipcfs/cleanup.h"
#include "ipcfs/log.h"
#include "wait.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
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
        deliver(fs->session, &buffer);
    free(buffer.mem);
    if (count <= 0)
        return count < 0 ? count : -ENODEV;
    if (fs->protocol_major == 0)
        return deliver_had_no_memory() ? -ENOMEM : -EPROTO;
    settle_passthrough(fs);
    return fs->passthrough || fs->passthrough_wanted != PASSTHROUGH_ON ? 0 : -EOPNOTSUPP;
}

/* ---- the main thread ---- */

/* What it waits for. */
enum { SOURCE_SIGNAL, SOURCE_ENDED, SOURCE_CROWDED, SOURCE_PINS, SOURCE_COUNT };

/* After poll(2) has failed: it may want for memory. */
static bool may_wait_again(struct ipcfs *fs, int *error)
{
    if (errno == ENOMEM || errno == EAGAIN)
        deliver_wait_for_memory(fs->session);
    else if (errno != EINTR)
        *error = -errno;
    return !*error;
}

/* Waits once and does what is due. False when the session has to end; `error` is why, where it is none's wish. */
static bool wait_once(struct ipcfs *fs, struct crew *crew, struct pollfd *sources, int *error)
{
    int ready = poll(sources, SOURCE_COUNT, crew_is_crowded(crew) ? CREW_BUSY_MS : -1);
    if (ready < 0)
        return may_wait_again(fs, error);
    struct signalfd_siginfo info;
    if (sources[SOURCE_SIGNAL].revents &&
        read(sources[SOURCE_SIGNAL].fd, &info, sizeof info) == sizeof info) {
        log_info("ending on signal %u", info.ssi_signo);
        return false;
    }
    if (sources[SOURCE_ENDED].revents)
        return false;
    if (ready == 0)
        crew_help(crew);
    else if (sources[SOURCE_CROWDED].revents)
        crew_told(crew);
    if (sources[SOURCE_PINS].revents)
        pins_expire(&fs->pins);
    return true;
}

/* Returns at a signal, or when a worker has ended because the mount has: 0, or −errno. */
static int keep_house(struct ipcfs *fs, struct crew *crew, int signal_fd)
{
    struct pollfd sources[] = {
        [SOURCE_SIGNAL] = {.fd = signal_fd, .events = POLLIN},
        [SOURCE_ENDED] = {.fd = crew_ended_fd(crew), .events = POLLIN},
        [SOURCE_CROWDED] = {.fd = crew_crowded_fd(crew), .events = POLLIN},
        [SOURCE_PINS] = {.fd = fs->pins.timer_fd, .events = POLLIN},
    };
    int error = 0;
    while (wait_once(fs, crew, sources, &error))
        ;
    return error;
}

int session_serve(struct ipcfs *fs, void (*ready)(void *), void *data)
{
    sigset_t set;
    ending_signals(&set);
    AUTO_FD signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
    if (signal_fd < 0)
        return -errno;
    const struct crew_options options = {.session = fs->session,
                                         .threads = fs->threads_wanted,
                                         .poll_percent = fs->poll_percent,
                                         .count = &fs->threads};
    struct crew *crew = NULL;
    int error = crew_start(&options, &crew);
    if (error)
        return error;
    ready(data);
    error = keep_house(fs, crew, signal_fd);
    return crew_end(crew) && ipcfs_end_waits(fs) ? error : -ETIMEDOUT;
}
