/* SPDX-License-Identifier: MIT */
/* Clients that wait for what never comes, and end by a signal, or are killed: at once, and nothing of them stays. */
#include "soak.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CROWD = 4 };

/* Each is opened and read; what is no file that one waits for by open is waited for by read. */
static const char *const files[] = {
    "mq/idle",
    "ctl/mq/idle/lines",
    "sysv/msg/by-key/0x00000e01",
    "ctl/sysv/msg/by-key/0x00000e01/type/7",
    "sem/idle/wait",
    "sem/idle/hold",
    "sysv/sem/by-key/0x00000e02/0/wait",
    "sysv/sem/by-key/0x00000e02/0/hold",
    "sock/idle/accept",
    "pipe/idle",
    "ctl/events",
};
static const int signals[] = {SIGTERM, SIGINT, SIGKILL, SIGALRM, SIGKILL};

/* A wait that ends by itself ended wrongly, unless it was by the signal. ctl/events may tell something any time. */
static void wait_in(const char *path)
{
    char text[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        ssize_t n = read(fd, text, sizeof(text));
        _exit(n < 0 ? errno : strstr(path, "events") ? EINTR : 0);
    }
    _exit(errno);
}

static void check_end(struct actor *actor, const char *path, int status)
{
    if (!WIFSIGNALED(status) && !(WIFEXITED(status) && WEXITSTATUS(status) == EINTR))
        fail(actor, "who waits in %s ends with status %#x", path, status);
}

/* MNT */
static void park(struct actor *actor)
{
    int pids[CROWD];
    const char *of[CROWD];
    char path[240];

    while (working(actor)) {
        step(actor, "begin to wait");
        for (int i = 0; i < CROWD; i++) {
            of[i] = files[pick(actor, sizeof(files) / sizeof(*files))];
            pids[i] = fork_child(actor);
            if (pids[i])
                continue;
            for (int s = SIGINT; s <= SIGTERM; s++)
                signal(s, SIG_DFL);
            snprintf(path, sizeof(path), "%s/%s", actor->args[0], of[i]);
            wait_in(path);
        }
        usleep(pick(actor, pick(actor, 4) ? 6000 : 50000));
        for (int i = 0; i < CROWD; i++) {
            int signal_sent = signals[pick(actor, sizeof(signals) / sizeof(*signals))];
            step(actor, of[i]);
            check_end(actor, of[i], kill_child(actor, pids[i], signal_sent));
        }
    }
}

const struct role parked_roles[] = {
    {"park", 1, false, park},
    {0},
};
