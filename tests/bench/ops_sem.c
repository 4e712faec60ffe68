/* SPDX-License-Identifier: MIT */
/*
 * The operations on semaphores, beside those on messages: send is post, receive is take, send-receive and ping-pong are what
 * they are.
 * The path of a way is a list of endpoints: SEMAPHORE-OR-FILE,SEMAPHORE. The second is the one behind it, natively.
 */
#include "endpoint_sem.h"
#include "talk.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sem.h>
#include <unistd.h>

/* ---- by path ---- */

/* How many may be held at once: what a close gives back comes back a little later. */
enum { HOLDS = 64 };

/* What is timed is a file: of a semaphore's directory the one of that name, of the floor the one that is named. */
static int prepare_path(struct way *way, const char *name)
{
    if (talk_prepare(way, 2) == -1)
        return -1;
    struct endpoint *self = way->talk->self;
    if (self->type == ENDPOINT_SEM || self->type == ENDPOINT_SEM_SET)
        return talk_open_both(way, O_RDWR);
    bool dir = self->type == ENDPOINT_SEM_DIR;
    if (asprintf(&way->buf, "%s%s%s", self->name, dir ? "/" : "", dir ? name : "") == -1) {
        way->buf = NULL;
        return way_failed(way, "memory");
    }
    return talk_open_both(way, -1);
}

static int prepare_hold(struct way *way)
{
    return prepare_path(way, "hold") == -1 ? -1 : talk_send(way, way->talk->queue, HOLDS);
}

static int run_hold(struct way *way, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        if (!way->buf) {
            if (semaphore_hold(way->talk->self) == -1)
                return way_failed(way, "hold");
            continue;
        }
        int fd = open(way->buf, O_RDONLY | O_CLOEXEC);
        if (fd == -1)
            return way_failed(way, "open");
        close(fd);
    }
    return 0;
}

static int prepare_value(struct way *way)
{
    return prepare_path(way, "value");
}

static int read_value(struct way *way)
{
    char text[256];
    int fd = open(way->buf, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return way_failed(way, "open");
    ssize_t got = read(fd, text, sizeof text);
    close(fd);
    return got > 0 ? 0 : way_wrong(way, "read: no value");
}

static int run_value(struct way *way, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        if (way->buf && read_value(way) == -1)
            return -1;
        if (!way->buf && semaphore_value(way->talk->self) == -1)
            return way_failed(way, "value");
    }
    return 0;
}

/* ---- several of a set at once ---- */

/* One goes from the first semaphore to the second, and the next time back. */
static int prepare_op(struct way *way)
{
    if (talk_prepare(way, 2) == -1)
        return -1;
    way->talk->queue->num = 0;
    return talk_open_both(way, O_WRONLY) == -1 ? -1 : talk_send(way, way->talk->queue, 1);
}

static int op_natively(const struct endpoint *set, bool back)
{
    struct sembuf steps[] = {{.sem_num = 0, .sem_op = back ? 1 : -1},
                             {.sem_num = 1, .sem_op = back ? -1 : 1}};
    return semop(set->id, steps, sizeof steps / sizeof *steps);
}

static int op_by_file(const struct endpoint *file, bool back)
{
    static const char *const lines[] = {"0:-1 1:+1\n", "0:+1 1:-1\n"};
    size_t length = strlen(lines[back]);
    return write(file->id, lines[back], length) == (ssize_t)length ? 0 : -1;
}

static int run_op(struct way *way, uint64_t n)
{
    const struct endpoint *self = way->talk->self;
    for (uint64_t i = 0; i < n; i++) {
        bool back = way->at++ % 2;
        int rc = self->type == ENDPOINT_FILE ? op_by_file(self, back) : op_natively(self, back);
        if (rc == -1)
            return way_failed(way, "op");
    }
    return 0;
}

const struct op sem_ops[] = {
    {.name = "sem-hold",
     .help = "take one for as long as a handle is open, and close it",
     .prepare = prepare_hold,
     .run = run_hold,
     .finish = talk_finish},
    {.name = "sem-value",
     .help = "the value of a semaphore: open, read, close",
     .prepare = prepare_value,
     .run = run_value,
     .finish = talk_finish},
    {.name = "sem-op",
     .help = "change both semaphores of a System V set",
     .prepare = prepare_op,
     .run = run_op,
     .finish = talk_finish},
    {0},
};
