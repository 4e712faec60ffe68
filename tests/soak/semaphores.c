/* SPDX-License-Identifier: MIT */
/* Posts and takes of one semaphore, by its files and natively. What was posted and not taken must be its value at rest. */
#include "soak.h"

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sem.h>
#include <unistd.h>

enum { AHEAD = 200, POSTS_MAX = 5 };

struct semaphore {
    char path[200]; /* its directory */
    sem_t *posix;   /* NULL: of System V */
    int set, number;
};

/* "posix NAME" or "sysv ID": args 1 and 2. */
static struct semaphore open_semaphore(struct actor *actor)
{
    struct semaphore s = {0};

    snprintf(s.path, sizeof(s.path), "%s", actor->args[0]);
    s.set = (int)strtol(actor->args[2], NULL, 10);
    if (strcmp(actor->args[1], "posix") != 0)
        return s;
    s.posix = sem_open(actor->args[2], 0);
    if (s.posix == SEM_FAILED)
        must(actor, -1, "sem_open");
    return s;
}

static void close_semaphore(const struct semaphore *s)
{
    if (s->posix)
        sem_close(s->posix);
}

static int add_natively(const struct semaphore *s, int add, bool wait)
{
    struct sembuf op = {
        .sem_num = (unsigned short)s->number, .sem_op = (short)add, .sem_flg = wait ? 0 : IPC_NOWAIT};

    if (!s->posix)
        return semop(s->set, &op, 1);
    return add > 0 ? sem_post(s->posix) : wait ? sem_wait(s->posix) : sem_trywait(s->posix);
}

/* One open, one read or write, one close; the errno of what failed, negated. */
static int once(const struct semaphore *s, const char *file, int flags, const char *text)
{
    char path[240], answer[40];

    snprintf(path, sizeof(path), "%s/%s", s->path, file);
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = text ? write(fd, text, strlen(text)) : read(fd, answer, sizeof(answer));
    int result = n < 0 ? -errno : (int)n;
    close(fd);
    return result;
}

/* DIRECTORY posix|sysv NAME|ID ACCOUNT */
static void post(struct actor *actor)
{
    struct account *units = account(actor, 3);
    struct semaphore s = open_semaphore(actor);
    char text[20];

    while (working(actor)) {
        if (atomic_load(&units->in) > atomic_load(&units->out) + AHEAD) {
            step(actor, "pause");
            usleep(1000);
            continue;
        }
        unsigned count = 1 + (unsigned)pick(actor, POSTS_MAX);
        if (pick(actor, 2)) {
            step(actor, "post");
            must(actor, add_natively(&s, 1, false), "post");
            atomic_fetch_add(&units->in, 1);
        } else {
            step(actor, "write to post");
            snprintf(text, sizeof(text), "%u\n", count);
            int n = once(&s, "post", O_WRONLY, text);
            if (n != (int)strlen(text))
                fail(actor, "write of %u to post: %d", count, n);
            atomic_fetch_add(&units->in, count);
        }
        usleep(pick(actor, 1000));
    }
    close_semaphore(&s);
}

static int take_once(struct actor *actor, const struct semaphore *s, unsigned way)
{
    switch (way) {
    case 0:
        step(actor, "take");
        return add_natively(s, -1, true) < 0 ? -errno : 1;
    case 1:
        step(actor, "try to take");
        return add_natively(s, -1, false) < 0 ? -errno : 1;
    case 2:
        step(actor, "nonblocking read of wait");
        return once(s, "wait", O_RDONLY | O_NONBLOCK, NULL);
    default:
        step(actor, "read of wait");
        return once(s, "wait", O_RDONLY, NULL);
    }
}

/* The same. Takes may fail only because there is nothing, or by a signal. */
static void take(struct actor *actor)
{
    struct account *units = account(actor, 3);
    struct semaphore s = open_semaphore(actor);

    while (working(actor)) {
        int n = take_once(actor, &s, (unsigned)pick(actor, 5));
        if (n > 0)
            atomic_fetch_add(&units->out, 1);
        else if (n == -EAGAIN)
            usleep(pick(actor, 500));
        else if (n != -EINTR)
            fail(actor, "%s: %d", actor->slot->step, n);
    }
    close_semaphore(&s);
}

/* ---- critical sections: never more inside than units ---- */

static void enter(struct actor *actor, struct account *inside, uint64_t units)
{
    uint64_t now = atomic_fetch_add(&inside->in, 1) + 1;

    if (now > units)
        fail(actor, "%lu are inside, of %lu", now, units);
    usleep(pick(actor, 300));
}

static void leave(struct account *inside)
{
    atomic_fetch_sub(&inside->in, 1);
    atomic_fetch_add(&inside->out, 1);
}

/* A child that has what it holds when it says so, and is killed. */
static void hold_and_die(struct actor *actor, const char *path, struct account *inside, uint64_t units)
{
    int told[2];
    char byte;

    must(actor, pipe2(told, O_CLOEXEC), "pipe");
    int pid = fork_child(actor);
    if (pid == 0) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || write(told[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(told[1]);
    ssize_t n;
    while ((n = read(told[0], &byte, 1)) < 0 && interrupted(actor) && working(actor))
        ;
    if (n == 0)
        fail(actor, "a child does not get what it is to hold");
    if (n > 0) {
        enter(actor, inside, units);
        leave(inside);
    }
    kill_child(actor, pid, SIGKILL);
    close(told[0]);
}

static void hold_once(struct actor *actor, const char *path, struct account *inside, uint64_t units)
{
    int fd = open_patiently(actor, path, O_RDONLY, 0);

    if (fd < 0)
        return;
    enter(actor, inside, units);
    leave(inside);
    close(fd);
}

static void enter_natively(struct actor *actor, const struct semaphore *s, struct account *inside,
                           uint64_t units)
{
    if (add_natively(s, -1, true) < 0) {
        if (!interrupted(actor))
            must(actor, -1, "take");
        return;
    }
    enter(actor, inside, units);
    leave(inside);
    must(actor, add_natively(s, 1, false), "give back");
}

/* DIRECTORY posix|sysv NAME|ID ACCOUNT UNITS */
static void hold(struct actor *actor)
{
    struct account *inside = account(actor, 3);
    uint64_t units = strtoul(actor->args[4], NULL, 10);
    struct semaphore s = open_semaphore(actor);
    char path[240];

    snprintf(path, sizeof(path), "%s/hold", s.path);
    while (working(actor)) {
        unsigned way = (unsigned)pick(actor, 16);
        step(actor, way == 0 ? "hold and die" : way < 8 ? "hold" : "take and give back");
        if (way == 0)
            hold_and_die(actor, path, inside, units);
        else if (way < 8)
            hold_once(actor, path, inside, units);
        else
            enter_natively(actor, &s, inside, units);
        usleep(pick(actor, 2000));
    }
    close_semaphore(&s);
}

const struct role semaphore_roles[] = {
    {"post", 4, false, post},
    {"take", 4, false, take},
    {"hold", 5, false, hold},
    {0},
};
