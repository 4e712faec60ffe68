/* SPDX-License-Identifier: MIT */
#include "sock_datagram.h"

#include "refuse.h"
#include "sock_file.h"
#include "sock_lanes.h"
#include "sock_listeners.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <poll.h>

/* So many are counted at most: each look begins at the first again. */
enum { COUNT_MAX = 1000 };

struct datagrams {
    struct ipcfs_file file;    /* the first member */
    struct endpoint *endpoint; /* counted */
    int fd;                    /* of one that sends, its own socket, connected; otherwise −1 */
};

static struct datagrams *datagrams_of(struct ipcfs_file *file)
{
    return (struct datagrams *)file;
}

/* ---- receiving ---- */

/* The length of the next one, or −errno. */
static ssize_t look(int fd)
{
    char none = 0;
    ssize_t length = recv(fd, &none, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
    return length < 0 ? -errno : length;
}

static ssize_t take(struct endpoint *endpoint, char *buffer, size_t size)
{
    (void)pthread_mutex_lock(&endpoint->receiving);
    ssize_t result = look(endpoint->fd);
    if (result >= 0 && (size_t)result > size) {
        result = -E2BIG;
    } else if (result >= 0) {
        result = recv(endpoint->fd, buffer, size, MSG_DONTWAIT);
        result = result < 0 ? -errno : result;
    }
    (void)pthread_mutex_unlock(&endpoint->receiving);
    /* An empty one, and nothing of a socket that is shut down, look alike. */
    return endpoint_is_removed(endpoint) ? -EIDRM : result;
}

static void wait_for(int fd, short events, struct ipcfs_wait *wait)
{
    wait->source = IPCFS_WAIT_POLL;
    wait->fd = fd;
    wait->events = events;
}

static ssize_t receive(struct ipcfs_file *file, char *buffer, size_t size, off_t offset, int flags,
                       struct ipcfs_wait *wait)
{
    (void)offset;
    (void)flags;
    struct endpoint *endpoint = datagrams_of(file)->endpoint;
    wait_for(endpoint->fd, POLLIN | POLLRDNORM, wait);
    return take(endpoint, buffer, size);
}

/* What the next one needs. */
static size_t message_room(struct ipcfs_file *file)
{
    ssize_t length = look(datagrams_of(file)->endpoint->fd);
    return length < 0 ? 0 : (size_t)length;
}

/* SO_PEEK_OFF of unix(7) is about bytes: after all those of some datagrams comes the next. */
unsigned datagrams_queued(struct endpoint *endpoint)
{
    unsigned count = 0;
    int offset = 0;
    static const int none = -1;
    (void)pthread_mutex_lock(&endpoint->receiving);
    while (count < COUNT_MAX &&
           setsockopt(endpoint->fd, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof offset) == 0) {
        ssize_t length = look(endpoint->fd);
        if (length < 0)
            break;
        offset += (int)length;
        count++;
    }
    (void)setsockopt(endpoint->fd, SOL_SOCKET, SO_PEEK_OFF, &none, sizeof none);
    (void)pthread_mutex_unlock(&endpoint->receiving);
    return count;
}

/* ---- sending ---- */

static ssize_t transmit(struct ipcfs_file *file, const char *data, size_t size, off_t offset, int flags,
                        struct ipcfs_wait *wait)
{
    (void)offset;
    (void)flags;
    const struct datagrams *datagrams = datagrams_of(file);
    wait_for(datagrams->fd, POLLOUT | POLLWRNORM, wait);
    ssize_t count = send(datagrams->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    int error = errno;
    if (count < 0 && endpoint_is_removed(datagrams->endpoint))
        return -EIDRM;
    return count < 0 ? -error : count;
}

/* ---- both ---- */

static bool sends(const struct datagrams *datagrams)
{
    return datagrams->fd >= 0;
}

static int datagram_poll(struct ipcfs_file *file, struct ipcfs_wait *wait)
{
    const struct datagrams *datagrams = datagrams_of(file);
    short events = sends(datagrams) ? POLLOUT | POLLWRNORM : POLLIN | POLLRDNORM;
    struct pollfd state = {.fd = sends(datagrams) ? datagrams->fd : datagrams->endpoint->fd,
                           .events = events};
    wait_for(state.fd, events, wait);
    if (endpoint_is_removed(datagrams->endpoint))
        return events | POLLERR | POLLHUP; /* what is tried then says it */
    return poll(&state, 1, 0) < 0 ? -errno : state.revents;
}

static uint64_t lane(struct ipcfs_file *file, bool writing)
{
    (void)file;
    return writing ? SOCK_LANE_SEND : SOCK_LANE_RECEIVE;
}

static void datagram_close(struct ipcfs_file *file)
{
    struct datagrams *datagrams = datagrams_of(file);
    if (sends(datagrams))
        close(datagrams->fd);
    endpoint_put(datagrams->endpoint);
    free(datagrams);
}

static const struct sock_file_ops send_ops = {
    .try_read = refuse_read,
    .try_write = transmit,
    .poll = datagram_poll,
    .lane = lane,
    .message_room = refuse_message_room,
    .close = datagram_close,
};

static const struct sock_file_ops receive_ops = {
    .try_read = receive,
    .try_write = refuse_write,
    .poll = datagram_poll,
    .lane = lane,
    .message_room = message_room,
    .close = datagram_close,
};

static int open_datagrams(const struct ipcfs_ref *ref, const struct sock_file_ops *ops,
                          struct datagrams **out)
{
    struct datagrams *datagrams = calloc(1, sizeof *datagrams);
    if (!datagrams)
        return -ENOMEM;
    datagrams->file.ops = ops;
    datagrams->fd = -1;
    datagrams->endpoint = listener_endpoint(ref->id);
    int error = !datagrams->endpoint ? -ESTALE : datagrams->endpoint->type != SOCK_DGRAM ? -EOPNOTSUPP : 0;
    if (error)
        datagram_close(&datagrams->file);
    else
        *out = datagrams;
    return error;
}

int datagram_open_recv(const struct ipcfs_ref *ref, int64_t number, int flags, struct ipcfs_file **out)
{
    (void)number;
    if ((flags & O_ACCMODE) != O_RDONLY)
        return -EACCES;
    struct datagrams *datagrams = NULL;
    int error = open_datagrams(ref, &receive_ops, &datagrams);
    if (!error)
        *out = &datagrams->file;
    return error;
}

/* Connected, so that POLLOUT tells of room in the other's queue. The calling thread has the right, or has not, to write to
 * the node. */
static int connect_to(uint64_t number)
{
    struct sockaddr_un address;
    sock_kept_address(number, &address);
    AUTO_FD fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0)
        return errno == ENOENT ? -ECONNREFUSED : -errno; /* somebody took the node away */
    return TAKE_FD(fd);
}

int datagram_open_send(const struct ipcfs_ref *ref, int64_t number, int flags, struct ipcfs_file **out)
{
    (void)number;
    if ((flags & O_ACCMODE) != O_WRONLY)
        return -EACCES;
    struct datagrams *datagrams = NULL;
    int error = open_datagrams(ref, &send_ops, &datagrams);
    if (error)
        return error;
    datagrams->fd = connect_to(ref->id.number);
    if (datagrams->fd >= 0) {
        *out = &datagrams->file;
        return 0;
    }
    error = datagrams->fd;
    datagram_close(&datagrams->file);
    return error;
}
