/* SPDX-License-Identifier: MIT */
#include "sock_connection.h"

#include "sock_file.h"
#include "sock_lanes.h"
#include "sock_listeners.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/identity.h"

#include <errno.h>
#include <poll.h>

struct connection {
    struct ipcfs_file file; /* the first member */
    struct ipcfs_objid id;
    struct endpoint *endpoint;       /* counted; NULL once it is connected */
    struct ipcfs_identity *identity; /* owned: whose a connecting one is; NULL once it is connected */
    int fd;                          /* −1 until it is connected */
    struct sock_member member;
};

static struct connection *connection_of(struct ipcfs_file *file)
{
    return (struct connection *)file;
}

/* ---- finding the other end ---- */

static int accept_client(const struct connection *connection, struct ipcfs_wait *wait)
{
    // cppcheck-suppress nullPointer ; SO_PEERCRED tells who it is
    int fd = accept4(connection->endpoint->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        return fd;
    int error = errno;
    wait->source = IPCFS_WAIT_POLL;
    wait->fd = connection->endpoint->fd;
    wait->events = POLLIN;
    return -error;
}

/*
 * Whose socket it is, and who connects, is the caller, here and in a keeper's thread: the other end learns it by SO_PEERCRED,
 * and his is the right to write that the node asks for. A socket that does not block answers EAGAIN where the queue is full,
 * and poll(2) tells nothing about that. One that blocks waits for room; where a signal comes, nothing is queued.
 */
static int connect_as_caller(const struct connection *connection, bool block)
{
    AUTO_IDENTITY change = {0};
    int error = identity_put_on(&change, connection->identity);
    if (error)
        return error;
    struct sockaddr_un address;
    sock_kept_address(connection->id.number, &address);
    int type = connection->endpoint->type | SOCK_CLOEXEC | (block ? 0 : SOCK_NONBLOCK);
    AUTO_FD fd = socket(AF_UNIX, type, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0)
        return errno == ENOENT ? -ECONNREFUSED : -errno; /* somebody took the node away */
    return TAKE_FD(fd);
}

static int find_other_end(struct connection *connection, struct ipcfs_wait *wait)
{
    if (endpoint_is_removed(connection->endpoint))
        return -EIDRM;
    if (connection->member.end.accepted)
        return accept_client(connection, wait);
    wait->source = IPCFS_WAIT_KEEPER;
    return connect_as_caller(connection, wait->block);
}

/* What is to be known of it as long as it is open. */
static int describe(struct sock_end *end, int fd)
{
    struct stat stat;
    socklen_t size = sizeof end->peer;
    if (fstat(fd, &stat) < 0)
        return -errno;
    end->inode = stat.st_ino;
    return end->accepted && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &end->peer, &size) < 0 ? -errno : 0;
}

static int try_connect(struct ipcfs_file *file, struct ipcfs_wait *wait)
{
    struct connection *connection = connection_of(file);
    wait->source = IPCFS_WAIT_NONE;
    if (connection->fd >= 0)
        return 0;
    AUTO_FD fd = find_other_end(connection, wait);
    if (fd < 0)
        return endpoint_is_removed(connection->endpoint) ? -EIDRM : fd;
    int error = describe(&connection->member.end, fd);
    if (error)
        return error;
    connection->fd = TAKE_FD(fd);
    endpoint_put(TAKE_PTR(connection->endpoint));
    identity_free(TAKE_PTR(connection->identity));
    listener_join(connection->id, &connection->member);
    return 0;
}

/* ---- data ---- */

static ssize_t result_of(const struct connection *connection, ssize_t count, short events,
                         struct ipcfs_wait *wait)
{
    if (count >= 0)
        return count;
    int error = errno;
    wait->source = IPCFS_WAIT_POLL;
    wait->fd = connection->fd;
    wait->events = events;
    return -error;
}

/* Of a packet what there is no room for is dropped; what a native end sends of descriptors is closed (unix(7)). */
static ssize_t try_read(struct ipcfs_file *file, char *buffer, size_t size, off_t offset, int flags,
                        struct ipcfs_wait *wait)
{
    (void)offset;
    (void)flags;
    const struct connection *connection = connection_of(file);
    wait->source = IPCFS_WAIT_NONE;
    if (connection->fd < 0)
        return -ENOTCONN;
    if (size == 0)
        return 0; /* read(2) of a socket takes no packet then */
    return result_of(connection, recv(connection->fd, buffer, size, MSG_DONTWAIT), POLLIN | POLLRDNORM, wait);
}

static ssize_t try_write(struct ipcfs_file *file, const char *data, size_t size, off_t offset, int flags,
                         struct ipcfs_wait *wait)
{
    (void)offset;
    (void)flags;
    const struct connection *connection = connection_of(file);
    wait->source = IPCFS_WAIT_NONE;
    if (connection->fd < 0)
        return -ENOTCONN;
    ssize_t count = send(connection->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    return result_of(connection, count, POLLOUT | POLLWRNORM, wait);
}

static int connection_poll(struct ipcfs_file *file, struct ipcfs_wait *wait)
{
    const struct connection *connection = connection_of(file);
    struct pollfd state = {.fd = connection->fd,
                           .events = POLLIN | POLLRDNORM | POLLPRI | POLLRDHUP | POLLOUT | POLLWRNORM};
    wait->source = IPCFS_WAIT_NONE;
    if (connection->fd < 0)
        return POLLHUP;
    wait->source = IPCFS_WAIT_POLL;
    wait->fd = state.fd;
    wait->events = state.events;
    return poll(&state, 1, 0) < 0 ? -errno : state.revents;
}

/* All who accept wait for clients of one socket, all who connect for room in its queue. */
static uint64_t lane(struct ipcfs_file *file, bool writing)
{
    (void)writing;
    return connection_of(file)->member.end.accepted ? SOCK_LANE_ACCEPT : SOCK_LANE_CONNECT;
}

static void connection_shutdown(struct ipcfs_file *file, int how)
{
    const struct connection *connection = connection_of(file);
    if (connection->fd >= 0)
        (void)shutdown(connection->fd, how); /* ENOTCONN: the other end is gone */
}

/* ---- opening and closing ---- */

static void connection_close(struct ipcfs_file *file)
{
    struct connection *connection = connection_of(file);
    listener_leave(&connection->member);
    if (connection->fd >= 0)
        close(connection->fd);
    endpoint_put(connection->endpoint);
    identity_free(connection->identity);
    free(connection);
}

static const struct sock_file_ops connection_ops = {
    .try_read = try_read,
    .try_write = try_write,
    .poll = connection_poll,
    .lane = lane,
    .try_connect = try_connect,
    .shutdown = connection_shutdown,
    .close = connection_close,
};

static int open_connection(const struct ipcfs_ref *ref, bool accepts, struct ipcfs_file **out)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection)
        return -ENOMEM;
    connection->file.ops = &connection_ops;
    connection->id = ref->id;
    connection->fd = -1;
    connection->member.end = (struct sock_end){.accepted = accepts, .caller = identity_caller_pid()};
    connection->endpoint = listener_endpoint(ref->id);
    int error = connection->endpoint ? 0 : -ESTALE;
    if (!error && connection->endpoint->type == SOCK_DGRAM)
        error = -EOPNOTSUPP;
    if (!error && !accepts)
        error = identity_of_thread(&connection->identity);
    if (error)
        connection_close(&connection->file);
    else
        *out = &connection->file;
    return error;
}

int connection_open_accept(const struct ipcfs_ref *ref, int64_t number, int flags, struct ipcfs_file **out)
{
    (void)number;
    (void)flags;
    return open_connection(ref, true, out);
}

int connection_open_connect(const struct ipcfs_ref *ref, int64_t number, int flags, struct ipcfs_file **out)
{
    (void)number;
    (void)flags;
    return open_connection(ref, false, out);
}
