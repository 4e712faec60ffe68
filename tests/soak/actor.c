/* SPDX-License-Identifier: MIT */
#include "soak.h"

#include "../mount/traffic.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { GONE_BOUND_S = 10 };

static uint64_t now_ns(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

void step(struct actor *actor, const char *what)
{
    struct slot *slot = actor->slot;
    uint64_t now = now_ns(), took = now - atomic_load(&slot->since_ns);

    if (took > atomic_load(&slot->longest_ns)) {
        atomic_store(&slot->longest_ns, took);
        memcpy(slot->longest_step, slot->step, STEP_SIZE);
    }
    snprintf(slot->step, STEP_SIZE, "%s", what);
    atomic_store(&slot->since_ns, now);
    atomic_fetch_add(&slot->steps, 1);
}

bool working(const struct actor *actor)
{
    return atomic_load(&actor->ledger->epoch) == (actor->epoch << 2 | WORK);
}

bool serving(const struct actor *actor)
{
    return working(actor) || atomic_load(&actor->ledger->epoch) == (actor->epoch << 2 | ENDING);
}

void fail(struct actor *actor, const char *format, ...)
{
    va_list list;
    char text[FAILURE_SIZE];

    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    snprintf(actor->slot->failure, FAILURE_SIZE, "%.*s", FAILURE_SIZE - 1, text);
    fprintf(stderr, "%s: in step '%s': %s\n", actor->slot->name, actor->slot->step, text);
    exit(1);
}

long must(struct actor *actor, long result, const char *what)
{
    if (result < 0)
        fail(actor, "%s: %s", what, strerror(errno));
    return result;
}

bool interrupted(struct actor *actor)
{
    int error = errno;

    if (error == EINTR)
        step(actor, actor->slot->step);
    errno = error;
    return error == EINTR;
}

struct account *account(const struct actor *actor, unsigned arg)
{
    return &actor->ledger->accounts[strtoul(actor->args[arg], NULL, 10) % ACCOUNTS];
}

uint64_t pick(struct actor *actor, uint64_t below)
{
    return random_next(&actor->random) % below;
}

int open_patiently(struct actor *actor, const char *path, int flags, int spared)
{
    int fd;

    while ((fd = open(path, flags | O_CLOEXEC)) < 0 && (errno == EINTR || errno == spared)) {
        if (!interrupted(actor))
            usleep(2000);
        if (!(actor->slot->sink ? serving(actor) : working(actor)))
            return -1;
    }
    if (fd < 0)
        fail(actor, "open %s: %s", path, strerror(errno));
    return fd;
}

struct sockaddr_un unix_address(struct actor *actor, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(address.sun_path))
        fail(actor, "too long for a socket's address: %s", path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    return address;
}

long read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t length = 0;
    ssize_t n = 1;

    if (fd < 0)
        return -errno;
    while (n > 0 && length < size - 1) {
        n = read(fd, text + length, size - 1 - length);
        length += n > 0 ? (size_t)n : 0;
    }
    long result = n < 0 ? -errno : (long)length;
    close(fd);
    text[length] = '\0';
    return result;
}

int fork_child(struct actor *actor)
{
    int parent = getpid(), pid = (int)must(actor, fork(), "fork");

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
    }
    return pid;
}

int kill_child(struct actor *actor, int pid, int number)
{
    int status, done;
    uint64_t end = now_ns() + GONE_BOUND_S * 1000000000ull;

    kill(pid, number);
    while ((done = waitpid(pid, &status, WNOHANG)) == 0 || (done < 0 && errno == EINTR)) {
        if (now_ns() > end)
            fail(actor, "process %d lives %d s after signal %d", pid, GONE_BOUND_S, number);
        if (number == SIGALRM)
            kill(pid, number); /* one that came before it waited only ran its handler */
        usleep(number == SIGALRM ? 2000 : 200);
    }
    must(actor, done, "waitpid");
    return status;
}
