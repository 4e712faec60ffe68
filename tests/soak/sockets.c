/* SPDX-License-Identifier: MIT */
/*
 * Connections. A client says how much it will send from where of the pattern, sends that, and gets as much of what follows
 * in the pattern; then the server closes. Some clients leave in the middle, and say so at the beginning.
 */
#include "soak.h"
#include "pattern.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct head {
    uint64_t offset;
    uint32_t length;
    uint32_t leaves; /* the client closes when half is sent */
};

/* Which end of which kind of socket an actor has. */
enum kind { BOUND, DIRECTORY, DIRECTORY_NATIVE };

/* Whether all was sent; false: the other end has closed. A wait in here must end by itself: no step at a signal. */
static bool send_all(struct actor *actor, int fd, const char *bytes, size_t length)
{
    for (size_t done = 0; done < length;) {
        ssize_t n = write(fd, bytes + done, length - done);
        if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
            return false;
        if (n < 0 && errno != EINTR)
            must(actor, n, "write to a connection");
        done += n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* How many bytes came until there were enough, or the end. */
static size_t receive_all(struct actor *actor, int fd, char *bytes, size_t length)
{
    for (size_t done = 0; done < length;) {
        ssize_t n = read(fd, bytes + done, length - done);
        if (n == 0 || (n < 0 && errno == ECONNRESET))
            return done;
        if (n < 0 && errno != EINTR)
            must(actor, n, "read of a connection");
        done += n > 0 ? (size_t)n : 0;
    }
    return length;
}

static void expect(struct actor *actor, int fd, uint64_t offset, size_t length, bool cut)
{
    static char text[PATTERN_CHUNK];
    size_t n = receive_all(actor, fd, text, length), wrong = pattern_differs(offset, text, n);

    if (wrong < n)
        fail(actor, "byte %zu of %zu of a connection is wrong", wrong, length);
    if (n < length && !cut)
        fail(actor, "a connection ended after %zu of %zu bytes", n, length);
}

/* ---- servers ---- */

static void serve(struct actor *actor, int fd, struct account *calls)
{
    struct head head;

    step(actor, "serve");
    size_t n = receive_all(actor, fd, (char *)&head, sizeof(head));
    if (n == 0)
        return; /* one who has only connected */
    if (n < sizeof(head) || head.length > PATTERN_CHUNK)
        fail(actor, "a connection begins with %zu bytes, length %u", n, head.length);
    expect(actor, fd, head.offset, head.length, head.leaves);
    if (head.leaves)
        return;
    if (!send_all(actor, fd, pattern_at(head.offset + head.length), head.length))
        fail(actor, "a client has closed that waits for its answer");
    atomic_fetch_add(&calls->out, 1);
}

static int listen_at(struct actor *actor, const char *path)
{
    struct sockaddr_un address = unix_address(actor, path);
    int fd = (int)must(actor, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");

    unlink(path);
    must(actor, bind(fd, (struct sockaddr *)&address, sizeof(address)), "bind");
    must(actor, listen(fd, 4), "listen");
    return fd;
}

/* PATH ACCOUNT: a socket that is bound in the mount */
static void serve_bound(struct actor *actor)
{
    int listener = listen_at(actor, actor->args[0]);

    while (serving(actor)) {
        step(actor, "accept");
        int fd = accept(listener, NULL, NULL);
        if (fd < 0 && interrupted(actor))
            continue;
        must(actor, fd, "accept");
        serve(actor, fd, account(actor, 1));
        close(fd);
    }
    close(listener);
    must(actor, unlink(actor->args[0]), "unlink of a socket");
}

/* DIRECTORY ACCOUNT */
static void serve_directory(struct actor *actor)
{
    char path[200];

    snprintf(path, sizeof(path), "%s/accept", actor->args[0]);
    while (serving(actor)) {
        step(actor, "open of accept");
        int fd = open_patiently(actor, path, O_RDWR, 0);
        if (fd < 0)
            break;
        serve(actor, fd, account(actor, 1));
        close(fd);
    }
}

/* ---- clients ---- */

/* −1: nobody listens yet, or the epoch is over. */
static int connect_to(struct actor *actor, const char *path)
{
    struct sockaddr_un address = unix_address(actor, path);
    int fd = (int)must(actor, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");

    while (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        if (errno == ENOENT || errno == ECONNREFUSED || (errno == EINTR && !working(actor))) {
            close(fd);
            usleep(2000);
            return -1;
        }
        if (!interrupted(actor))
            must(actor, -1, "connect");
    }
    return fd;
}

static void call(struct actor *actor, int fd, struct account *calls)
{
    struct head head = {.offset = pick(actor, 1 << 20), .leaves = pick(actor, 16) == 0};

    head.length = 1 + (uint32_t)pick(actor, pick(actor, 4) ? 2000 : PATTERN_CHUNK);
    step(actor, "call");
    if (!send_all(actor, fd, (const char *)&head, sizeof(head)))
        fail(actor, "the server closes a new connection");
    const char *bytes = pattern_at(head.offset);
    if (head.leaves) {
        send_all(actor, fd, bytes, head.length / 2);
        return;
    }
    if (!send_all(actor, fd, bytes, head.length))
        fail(actor, "the server closes a connection before %u bytes have come", head.length);
    atomic_fetch_add(&calls->in, 1);
    step(actor, "wait for the answer");
    expect(actor, fd, head.offset + head.length, head.length, false);
    char more;
    if (receive_all(actor, fd, &more, 1))
        fail(actor, "a byte more than was sent");
}

static void call_for_ever(struct actor *actor, enum kind kind)
{
    static const char *const files[] = {
        [BOUND] = "", [DIRECTORY] = "/connect", [DIRECTORY_NATIVE] = "/socket"};
    char path[200];

    snprintf(path, sizeof(path), "%s%s", actor->args[0], files[kind]);
    while (working(actor)) {
        step(actor, "connect");
        int fd = kind == DIRECTORY ? open_patiently(actor, path, O_RDWR, 0) : connect_to(actor, path);
        if (fd < 0)
            continue;
        call(actor, fd, account(actor, 1));
        close(fd);
        usleep(pick(actor, 3000));
    }
}

/* PATH ACCOUNT */
static void call_bound(struct actor *actor)
{
    call_for_ever(actor, BOUND);
}

/* DIRECTORY ACCOUNT */
static void call_directory(struct actor *actor)
{
    call_for_ever(actor, DIRECTORY);
}

/* DIRECTORY ACCOUNT: by the path that native programs use */
static void call_native(struct actor *actor)
{
    call_for_ever(actor, DIRECTORY_NATIVE);
}

const struct role socket_roles[] = {
    {"bound-serve", 2, true, serve_bound},         {"bound-call", 2, false, call_bound},
    {"directory-serve", 2, true, serve_directory}, {"directory-call", 2, false, call_directory},
    {"native-call", 2, false, call_native},        {0},
};
