/* SPDX-License-Identifier: MIT */
/* Answers of sock_diag(7), in place of the kernel's. Each piece begins with two bytes that give its length. */
#include "fuzz.h"

#include "sock_diag.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

static struct input answers;

/* The linker's names. */
// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
ssize_t __wrap_send(int fd, const void *data, size_t size, int flags);
ssize_t __wrap_recv(int fd, void *data, size_t size, int flags);

ssize_t __wrap_send(int fd, const void *data, size_t size, int flags)
{
    (void)fd;
    (void)data;
    (void)flags;
    return (ssize_t)size;
}

ssize_t __wrap_recv(int fd, void *data, size_t size, int flags)
{
    (void)fd;
    MUST(flags == MSG_TRUNC);
    if (!answers.size) {
        errno = EAGAIN;
        return -1;
    }
    struct input piece = input_part(&answers, (size_t)input_number(&answers, 2));
    memcpy(data, piece.data, piece.size < size ? piece.size : size);
    return (ssize_t)piece.size;
}
// NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)

static int take(void *data, const struct diag_socket *socket)
{
    (void)data;
    MUST(*socket->kind && *socket->state);
    MUST(strlen(socket->local) <= 109 && strlen(socket->remote) <= 109);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct diag_socket found;
    struct input input = {data, size};
    unsigned how = input_byte(&input);
    answers = input;
    if (how & 1)
        (void)diag_find_unix(1, &found);
    else
        (void)diag_walk(take, NULL);
    return 0;
}
