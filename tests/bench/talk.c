/* SPDX-License-Identifier: MIT */
#include "talk.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- life ---- */

static int parse_ends(struct way *way)
{
    struct talk *talk = way->talk;
    char *copy = strdup(way->path);
    char *rest = copy;
    char *text;
    if (!copy)
        return way_failed(way, "memory");
    int rc = 0;
    while (rc == 0 && talk->count < ENDS_MAX && (text = strsep(&rest, ",")))
        rc = endpoint_parse(&talk->ends[talk->count++], text);
    free(copy);
    return rc == 0 ? 0 : way_failed(way, "memory");
}

int talk_prepare(struct way *way, unsigned ends)
{
    if (way->size > MESSAGE_MAX)
        return way_wrong(way, "too large for a message");
    struct talk *talk = way->talk = calloc(1, sizeof *talk);
    if (!talk)
        return way_failed(way, "memory");
    talk->go_fd = talk->done_fd = -1;
    talk->envelope.type = 1;
    memset(talk->envelope.text, 'x', sizeof talk->envelope.text);
    if (parse_ends(way) == -1)
        return -1;
    if (talk->count < ends)
        return way_wrong(way, "too few endpoints");
    talk->self = &talk->ends[0];
    talk->queue = &talk->ends[1];
    return 0;
}

int talk_open(struct way *way, struct endpoint *end, int flags)
{
    if (endpoint_open(end, flags) == 0)
        return 0;
    return way_failed(way, end->name);
}

/* The queue first: it makes what the other then finds. */
int talk_open_both(struct way *way, int flags)
{
    struct talk *talk = way->talk;
    if (talk_open(way, talk->queue, O_RDWR) == -1)
        return -1;
    int capacity = endpoint_capacity(talk->queue, way->size);
    if (capacity <= 0)
        return way_failed(way, "capacity");
    talk->capacity = (uint64_t)capacity;
    return flags == -1 ? 0 : talk_open(way, talk->self, flags);
}

static void end_peer(struct talk *talk)
{
    if (talk->go_fd != -1)
        close(talk->go_fd);
    if (talk->done_fd != -1)
        close(talk->done_fd);
    if (!talk->peer)
        return;
    kill(talk->peer, SIGKILL);
    waitpid(talk->peer, NULL, 0);
}

void talk_finish(struct way *way)
{
    struct talk *talk = way->talk;
    if (!talk)
        return;
    end_peer(talk);
    for (unsigned i = 0; i < talk->count; i++)
        endpoint_free(&talk->ends[i]);
    free(talk);
    way->talk = NULL;
}

/* ---- messages ---- */

int talk_send(struct way *way, const struct endpoint *end, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        if (endpoint_send(end, &way->talk->envelope, way->size) == -1)
            return way_failed(way, "send");
    return 0;
}

int talk_receive(struct way *way, const struct endpoint *end, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        if (endpoint_receive(end, &way->talk->envelope, way->size) == -1)
            return way_failed(way, "receive");
    return 0;
}

/* ---- a peer: another process, at the other end ---- */

static _Noreturn void be_peer(struct way *way, peer_job *job, int go_fd, int done_fd)
{
    uint64_t n;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (read(go_fd, &n, sizeof n) == sizeof n) {
        if (job(way, n) == -1) {
            fprintf(stderr, "bench: %s: the peer: %s\n", way->name, way->why);
            _exit(1);
        }
        if (write(done_fd, "", 1) != 1)
            break;
    }
    _exit(0);
}

int talk_start_peer(struct way *way, peer_job *job)
{
    struct talk *talk = way->talk;
    int go[2];
    int done[2];
    if (pipe2(go, O_CLOEXEC) == -1)
        return way_failed(way, "pipe");
    talk->go_fd = go[1];
    if (pipe2(done, O_CLOEXEC) == -1) {
        close(go[0]);
        return way_failed(way, "pipe");
    }
    talk->done_fd = done[0];
    pid_t pid = fork();
    if (pid == 0) {
        close(go[1]);
        close(done[0]);
        be_peer(way, job, go[0], done[1]);
    }
    close(go[0]);
    close(done[1]);
    talk->peer = pid == -1 ? 0 : pid;
    return pid == -1 ? way_failed(way, "fork") : 0;
}

int talk_peer_begin(struct way *way, uint64_t n)
{
    return write(way->talk->go_fd, &n, sizeof n) == sizeof n ? 0 : way_failed(way, "the peer is gone");
}

int talk_peer_wait(struct way *way)
{
    char done;
    return read(way->talk->done_fd, &done, 1) == 1 ? 0 : way_wrong(way, "the peer has ended");
}
