/* SPDX-License-Identifier: MIT */
#include "sock_endpoint.h"

#include "small_file.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/identity.h"
#include "ipcfs/number.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

/* ---- limits ---- */

static unsigned read_setting(const char *path, unsigned otherwise)
{
    uint64_t number = 0;
    if (small_file_number(path, "", &number) || number > INT_MAX)
        return otherwise;
    return (unsigned)number;
}

unsigned listener_backlog_max(void)
{
    return read_setting("/proc/sys/net/core/somaxconn", SOMAXCONN);
}

/* Of datagrams, fixed when the socket is made: unix_create1() of Linux net/unix/af_unix.c. */
static unsigned datagrams_max(void)
{
    return read_setting("/proc/sys/net/unix/max_dgram_qlen", 10);
}

/* ---- making and owning ---- */

/* asm-generic/socket.h of Linux 6.16 */
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

/*
 * Nobody here wants descriptors. One that comes all the same is closed by the thread that receives it, and that may wait for
 * as long as the sender likes (SO_LINGER of socket(7)). So they are refused to the sender, with EPERM; what is accepted has
 * the setting of what listens. Older kernels have no such setting, and there it is left at that.
 */
static void refuse_descriptors(int fd)
{
    static const int off = 0;
    (void)setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof off);
}

static int fill(struct endpoint *endpoint, int type)
{
    struct stat stat;
    endpoint->fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (endpoint->fd < 0)
        return -errno;
    refuse_descriptors(endpoint->fd);
    /* A node gets of these bits what the umask leaves (unix_bind_bsd() of net/unix/af_unix.c): none, until it is owned. */
    if (fchmod(endpoint->fd, 0) < 0 || fstat(endpoint->fd, &stat) < 0)
        return -errno;
    endpoint->type = type;
    endpoint->inode = stat.st_ino;
    endpoint->backlog = type == SOCK_DGRAM ? datagrams_max() : 0;
    return 0;
}

int endpoint_new(int type, struct endpoint **out)
{
    if (!*sock_type_name(type))
        return -EINVAL;
    struct endpoint *endpoint = calloc(1, sizeof *endpoint);
    if (!endpoint)
        return -ENOMEM;
    atomic_init(&endpoint->users, 1);
    (void)pthread_mutex_init(&endpoint->receiving, NULL);
    int error = fill(endpoint, type);
    if (error)
        endpoint_put(endpoint);
    else
        *out = endpoint;
    return error;
}

/* As the owner: what connects sees his ids. */
static int listen_for(struct endpoint *endpoint, const struct sock_owner *owner, unsigned backlog)
{
    unsigned max = listener_backlog_max();
    unsigned in_force = backlog && backlog < max ? backlog : max;
    struct ipcfs_identity *identity = NULL;
    int error = identity_of_owner(owner->uid, owner->gid, &identity);
    if (error)
        return error;
    AUTO_IDENTITY change = {0};
    error = identity_put_on(&change, identity);
    identity_free(identity);
    if (error)
        return error;
    if (listen(endpoint->fd, (int)in_force) < 0)
        return -errno;
    endpoint->backlog = in_force;
    return 0;
}

/* What ss(8) and sock_diag(7) tell as the socket's user is whose file it is. */
int endpoint_listen(struct endpoint *endpoint, const struct sock_owner *owner, unsigned backlog)
{
    if (fchown(endpoint->fd, owner->uid, owner->gid) < 0)
        return -errno;
    return endpoint->type == SOCK_DGRAM ? 0 : listen_for(endpoint, owner, backlog);
}

int endpoint_bind(struct endpoint *endpoint, uint64_t number, const struct sock_owner *owner,
                  unsigned backlog)
{
    struct sockaddr_un address;
    sock_kept_bind_address(number, &address);
    sock_kept_remove_node(number);
    if (bind(endpoint->fd, (const struct sockaddr *)&address, sizeof address) < 0)
        return -errno;
    int error = sock_kept_own(number, owner);
    if (!error)
        error = endpoint_listen(endpoint, owner, backlog);
    if (error)
        sock_kept_remove_node(number);
    return error;
}

struct endpoint *endpoint_get(struct endpoint *endpoint)
{
    atomic_fetch_add(&endpoint->users, 1);
    return endpoint;
}

void endpoint_put(struct endpoint *endpoint)
{
    if (!endpoint || atomic_fetch_sub(&endpoint->users, 1) > 1)
        return;
    if (endpoint->fd >= 0)
        close(endpoint->fd);
    (void)pthread_mutex_destroy(&endpoint->receiving);
    free(endpoint);
}

/* ---- removal ---- */

bool endpoint_is_busy(const struct endpoint *endpoint)
{
    struct pollfd state = {.fd = endpoint->fd, .events = POLLIN};
    return atomic_load(&endpoint->users) > 1 || poll(&state, 1, 0) != 0;
}

static void drop_connections(int fd)
{
    int client = 0;
    // cppcheck-suppress nullPointer ; who it is does not count
    while ((client = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
        close(client);
    /* Those who wait in connect(2) are woken all together where the backlog grows (unix_listen()), and find it shut down. */
    (void)listen(fd, 0);
    (void)listen(fd, 1);
}

/* No more than there can be: 0 is an empty one, or says that the socket is shut down. */
static void drop_datagrams(const struct endpoint *endpoint)
{
    char none = 0;
    unsigned count = 0;
    while (count++ <= endpoint->backlog && recv(endpoint->fd, &none, 0, MSG_DONTWAIT) >= 0)
        ;
}

/*
 * The socket lives as long as somebody waits by it, and a moment longer in the wait engine; so it is shut down, which
 * poll(2) tells, and nobody else is left waiting for room in its queue meanwhile.
 */
void endpoint_remove(struct endpoint *endpoint)
{
    atomic_store(&endpoint->removed, true);
    (void)shutdown(endpoint->fd, SHUT_RDWR);
    if (endpoint->type == SOCK_DGRAM)
        drop_datagrams(endpoint);
    else
        drop_connections(endpoint->fd);
}
