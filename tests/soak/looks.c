/* SPDX-License-Identifier: MIT */
/* Who reads control files all the time, and who follows the events. */
#include "soak.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXT = 8 << 20, PIECE = 64 << 10, POLL_MS = 100, GIVEN_UP_MAX = 20 };

static const char *const files[] = {
    "version",
    "metrics",
    "list.json",
    "limits",
    "limits.json",
    "waits",
    "waits.json",
    "deadlocks",
    "graph.dot",
    "orphans",
    "README",
    "shm/list",
    "shm/list.json",
    "mq/list",
    "mq/list.json",
    "sem/list",
    "sysv/shm/list",
    "sysv/msg/list.json",
    "sysv/sem/list",
    "pipe/list",
    "sock/list",
    "sock/list.json",
    "mq/limits",
    "shm/region/state",
    "shm/region/holders",
    "mq/idle/state",
    "mq/idle/waiters",
    "sem/units/state.json",
    "sem/units/waiters",
    "pipe/stream/state",
    "pipe/stream/peek",
    "sock/calls/state",
    "sock/bound/state",
    "sock/calls/holders.json",
};

static void check_text(struct actor *actor, const char *path, const char *text, long n)
{
    size_t length = strlen(path);

    if (n < 0)
        fail(actor, "read of %s: %s", path, strerror((int)-n));
    if (length > 5 && !strcmp(path + length - 5, ".json") &&
        (n < 2 || !strchr("[{", text[0]) || !strchr("]}", text[n - 2])))
        fail(actor, "%s is no whole JSON: %ld bytes, '%.20s' … '%.20s'", path, n, text,
             n > 20 ? text + n - 20 : "");
    if (!strcmp(path, "metrics") && (n < 6 || strcmp(text + n - 6, "# EOF\n") != 0))
        fail(actor, "metrics have no end");
}

/* CTL */
static void look(struct actor *actor)
{
    static char text[TEXT];
    char path[240];
    unsigned given_up = 0; /* looks in a row */

    while (working(actor)) {
        const char *file = files[pick(actor, sizeof(files) / sizeof(*files))];
        snprintf(path, sizeof(path), "%s/%s", actor->args[0], file);
        step(actor, file);
        long n = read_text(path, text, sizeof(text));
        /* Bound sockets and what waits in a pipe are there only while somebody has them. */
        bool may_go = !strcmp(file, "sock/bound/state") || !strcmp(file, "pipe/stream/peek");
        /* Processes that do not answer within half a second are given up: on a busy machine it may be for want of a CPU. */
        given_up = n == -EAGAIN ? given_up + 1 : 0;
        if (n == -EINTR || (n == -EAGAIN && given_up < GIVEN_UP_MAX))
            continue;
        if (n != -ENOENT || !may_go)
            check_text(actor, file, text, may_go && n == -ENXIO ? 0 : n);
        usleep(pick(actor, 20000));
    }
}

/* The rest of a line that has not come whole yet. */
static size_t after_lines(struct actor *actor, char *text, size_t length)
{
    char *end = memrchr(text, '\n', length);
    size_t done = end ? (size_t)(end + 1 - text) : 0;

    if (memchr(text, '\0', length) || (!end && length >= PIECE))
        fail(actor, "events that are no lines: '%.40s'", text);
    memmove(text, text + done, length - done);
    return length - done;
}

/* CTL */
static void follow(struct actor *actor)
{
    static char text[2 * PIECE];
    char path[240];
    size_t have = 0;

    snprintf(path, sizeof(path), "%s/events%s", actor->args[0], pick(actor, 2) ? "" : ".json");
    bool wait = pick(actor, 2);
    int fd = open_patiently(actor, path, wait ? O_RDONLY : O_RDONLY | O_NONBLOCK, 0);
    while (fd >= 0 && working(actor)) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        step(actor, "events");
        if (!wait)
            poll(&poll_fd, 1, POLL_MS);
        ssize_t n = read(fd, text + have, PIECE);
        if (n < 0 && (interrupted(actor) || errno == EAGAIN))
            continue;
        must(actor, n, "read of events");
        have = after_lines(actor, text, have + (size_t)n);
    }
    if (fd >= 0)
        close(fd);
}

const struct role look_roles[] = {
    {"look", 1, false, look},
    {"follow", 1, false, follow},
    {0},
};
