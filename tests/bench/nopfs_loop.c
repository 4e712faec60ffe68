/* SPDX-License-Identifier: MIT */
#include "nopfs_loop.h"

#include "crew.h"
#include "wait.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

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
    static const char *const names[] = {[LOOP_MT] = "mt", [LOOP_CREW] = "crew"};
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
    return loop->kind == LOOP_CREW ? loop_crew(loop, se) : loop_mt(loop, se);
}
