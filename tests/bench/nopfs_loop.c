/* SPDX-License-Identifier: MIT */
#include "nopfs_loop.h"

#include "crew.h"
#include "wait.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

/* One thread that reads and answers until the session ends; the descriptor blocks. */
static void *read_and_answer(void *arg)
{
    struct fuse_session *se = arg;
    struct fuse_buf buf = {0};
    while (!fuse_session_exited(se)) {
        int n = fuse_session_receive_buf(se, &buf);
        if (n == -EINTR)
            continue;
        if (n <= 0)
            break;
        fuse_session_process_buf(se, &buf);
    }
    fuse_session_exit(se);
    free(buf.mem);
    return NULL;
}

/* A fixed number of threads, all asleep in read. */
static int loop_fixed(const struct loop *loop, struct fuse_session *se)
{
    pthread_t threads[LOOP_THREADS_MAX];
    unsigned started = 0;
    while (started + 1 < loop->threads && pthread_create(&threads[started], NULL, read_and_answer, se) == 0)
        started++;
    read_and_answer(se);
    for (unsigned i = 0; i < started; i++) {
        pthread_cancel(threads[i]);
        pthread_join(threads[i], NULL);
    }
    return 0;
}

/* One thread that asks again and again for up to poll_us after the last request, and only then sleeps. */
static int loop_poll(const struct loop *loop, struct fuse_session *se)
{
    int fd = fuse_session_fd(se);
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == -1)
        return -errno;
    struct fuse_buf buf = {0};
    int64_t busy = now_us();
    while (!fuse_session_exited(se)) {
        int n = fuse_session_receive_buf(se, &buf);
        if (n > 0) {
            fuse_session_process_buf(se, &buf);
            busy = now_us();
        } else if (n == -EAGAIN && now_us() - busy < loop->poll_us) {
            sched_yield();
        } else if (n == -EAGAIN) {
            struct pollfd p = {.fd = fd, .events = POLLIN};
            poll(&p, 1, -1);
            busy = now_us();
        } else if (n != -EINTR) {
            break;
        }
    }
    free(buf.mem);
    return 0;
}

static void ignore(int signal_number)
{
    (void)signal_number;
}

/* The loop of ipcfs itself. */
static int loop_crew(const struct loop *loop, struct fuse_session *se)
{
    const struct sigaction wake = {.sa_handler = ignore};
    if (sigaction(WAKE_SIGNAL, &wake, NULL) < 0)
        return -errno;
    atomic_uint count = 0;
    struct crew *crew = NULL;
    const struct crew_options options = {
        .session = se, .threads = loop->threads, .poll_percent = loop->percent, .count = &count};
    int error = crew_start(&options, &crew);
    if (error)
        return error;
    struct pollfd ended = {.fd = crew_ended_fd(crew), .events = POLLIN};
    while (!fuse_session_exited(se) && poll(&ended, 1, 100) <= 0)
        ; /* a signal may end the session in any thread */
    return crew_end(crew) ? 0 : -ETIMEDOUT;
}

static int loop_mt(const struct loop *loop, struct fuse_session *se)
{
    struct fuse_loop_config *lc = fuse_loop_cfg_create();
    if (!lc)
        return -ENOMEM;
    if (loop->threads)
        fuse_loop_cfg_set_max_threads(lc, loop->threads);
    int rc = fuse_session_loop_mt(se, lc);
    fuse_loop_cfg_destroy(lc);
    return rc;
}

bool loop_parse(struct loop *loop, const char *name)
{
    static const char *const names[] = {
        [LOOP_MT] = "mt", [LOOP_FIXED] = "fixed", [LOOP_POLL] = "poll", [LOOP_CREW] = "crew"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) != 0)
            continue;
        loop->kind = (enum loop_kind)i;
        return true;
    }
    return false;
}

int loop_run(const struct loop *loop, struct fuse_session *se)
{
    switch (loop->kind) {
    case LOOP_FIXED:
        return loop_fixed(loop, se);
    case LOOP_CREW:
        return loop_crew(loop, se);
    case LOOP_POLL:
        return loop_poll(loop, se);
    default:
        return loop_mt(loop, se);
    }
}
