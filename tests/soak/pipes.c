/* SPDX-License-Identifier: MIT */
/* Streams of bytes through FIFOs. All carry one endless pattern: what is lost, doubled or moved is seen at once. */
#include "soak.h"
#include "pattern.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Mostly small, as a pipe's are; some are more than it can hold. */
static size_t some_size(struct actor *actor)
{
    return 1 + pick(actor, pick(actor, 8) ? 4096 : PATTERN_CHUNK);
}

/* PATH ACCOUNT */
static void write_pipe(struct actor *actor)
{
    struct account *bytes = account(actor, 1);
    int fd = open_patiently(actor, actor->args[0], O_WRONLY, 0);

    if (fd < 0)
        return;
    while (working(actor)) {
        step(actor, "write");
        ssize_t n = write(fd, pattern_at(atomic_load(&bytes->in)), some_size(actor));
        if (n > 0)
            atomic_fetch_add(&bytes->in, (uint64_t)n);
        else if (!interrupted(actor))
            must(actor, n, "write");
        usleep(pick(actor,
                    1000)); /* the daemon has no part in this, and is to have the processors for the rest */
    }
    close(fd);
}

static void check_bytes(struct actor *actor, const struct account *bytes, const char *got, size_t length)
{
    size_t wrong = pattern_differs(atomic_load(&bytes->out), got, length);

    if (wrong < length)
        fail(actor, "byte %lu of the pipe is wrong (%zu of %zu in this read; %lu were written)",
             atomic_load(&bytes->out) + wrong, wrong, length, atomic_load(&bytes->in));
}

/* PATH ACCOUNT */
static void read_pipe(struct actor *actor)
{
    static char text[PATTERN_CHUNK];
    struct account *bytes = account(actor, 1);
    int fd = open_patiently(actor, actor->args[0], O_RDONLY, 0);

    while (fd >= 0) {
        step(actor, "read");
        ssize_t n = read(fd, text, some_size(actor));
        if (n < 0 && interrupted(actor))
            continue;
        must(actor, n, "read");
        if (n == 0 && !serving(actor))
            break;
        if (n == 0)
            usleep(1000);
        check_bytes(actor, bytes, text, (size_t)n);
        atomic_fetch_add(&bytes->out, (uint64_t)n);
    }
    if (atomic_load(&bytes->in) != atomic_load(&bytes->out))
        fail(actor, "%lu bytes were written and %lu read", atomic_load(&bytes->in), atomic_load(&bytes->out));
    if (fd >= 0)
        close(fd);
}

const struct role pipe_roles[] = {
    {"pipe-write", 2, false, write_pipe},
    {"pipe-read", 2, true, read_pipe},
    {0},
};
