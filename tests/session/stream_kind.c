/* SPDX-License-Identifier: MIT */
#include "stream_kind.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct links links;

static struct sockaddr_un address;
static socklen_t address_length;

enum what { PAIR, PACKETS, ACCEPT, CONNECT, REFUSED, NEVER };

struct ipcfs_hold {
    char unused;
};

struct ipcfs_lister {
    bool done;
};

struct ipcfs_file {
    enum what what;
    int fd; /* −1: not yet */
    atomic_bool connected;
    atomic_bool closed; /* nobody may use it */
};

/* ---- for the tests ---- */

void links_start(int backlog)
{
    memset(&links, 0, sizeof links);
    links.end = -1;
    links.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    address = (struct sockaddr_un){.sun_family = AF_UNIX};
    assert_int_equal(bind(links.listener, (struct sockaddr *)&address, sizeof address.sun_family), 0);
    address_length = sizeof address; /* a name that the kernel chose, abstract */
    assert_int_equal(getsockname(links.listener, (struct sockaddr *)&address, &address_length), 0);
    assert_int_equal(listen(links.listener, backlog), 0);
}

void links_stop(void)
{
    close(links.listener);
}

int links_connect(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, address_length), 0);
    return fd;
}

int links_accept(void)
{
    struct pollfd ready = {.fd = links.listener, .events = POLLIN};
    assert_int_equal(poll(&ready, 1, 20000), 1);
    // cppcheck-suppress nullPointer
    int fd = accept4(links.listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

int links_take_end(void)
{
    int end = atomic_exchange(&links.end, -1);
    assert_true(end >= 0);
    return end;
}

/* ---- files ---- */

static void limit_room(int fd)
{
    const int room = SOCKET_ROOM;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
}

static int open_pair(struct ipcfs_file *file)
{
    int ends[2];
    int type = file->what == PACKETS ? SOCK_SEQPACKET : SOCK_STREAM;
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return -errno;
    limit_room(ends[0]);
    limit_room(ends[1]);
    int earlier = atomic_exchange(&links.end, ends[1]);
    if (earlier >= 0)
        close(earlier);
    file->fd = ends[0];
    return 0;
}

static int open_link(enum what what, const struct ipcfs_ref *ref, int flags, struct ipcfs_file **out)
{
    links.opener = geteuid();
    links.flags = flags;
    if (!ref->hold)
        atomic_fetch_add(&links.wrong, 1);
    struct ipcfs_file *file = calloc(1, sizeof *file);
    if (!file)
        return -ENOMEM;
    *file = (struct ipcfs_file){.what = what, .fd = -1};
    int error = what == PAIR || what == PACKETS ? open_pair(file) : 0;
    if (!error && what == CONNECT)
        file->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (error) {
        free(file);
        return error;
    }
    atomic_fetch_add(&links.files, 1);
    *out = file;
    void (*meanwhile)(void) = atomic_exchange(&links.meanwhile, NULL);
    if (meanwhile)
        meanwhile();
    return 0;
}

static void check(const struct ipcfs_file *file, bool connected)
{
    if (file->closed || (connected && !file->connected))
        atomic_fetch_add(&links.wrong, 1);
}

static void close_link(struct ipcfs_file *file)
{
    check(file, false);
    file->closed = true;
    if (file->fd >= 0)
        close(file->fd);
    free(file);
    atomic_fetch_sub(&links.files, 1);
}

/* ---- try_connect ---- */

static int try_accept(struct ipcfs_file *file, struct ipcfs_wait *wait)
{
    // cppcheck-suppress nullPointer
    file->fd = accept4(links.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (file->fd >= 0) {
        limit_room(file->fd);
        return 0;
    }
    *wait = (struct ipcfs_wait){.source = IPCFS_WAIT_POLL, .fd = links.listener, .events = POLLIN};
    return -errno;
}

/* A connect(2) that has to wait for room in the backlog can not be polled for. */
static int connect_now(struct ipcfs_file *file, struct ipcfs_wait *wait)
{
    int status = fcntl(file->fd, F_GETFL);
    (void)fcntl(file->fd, F_SETFL, wait->block ? status & ~O_NONBLOCK : status | O_NONBLOCK);
    atomic_fetch_add(&links.blocking, wait->block);
    int error = connect(file->fd, (struct sockaddr *)&address, address_length) < 0 ? -errno : 0;
    atomic_fetch_sub(&links.blocking, wait->block);
    (void)fcntl(file->fd, F_SETFL, status | O_NONBLOCK);
    wait->source = IPCFS_WAIT_KEEPER;
    return error;
}

static int connect_link(struct ipcfs_file *file, struct ipcfs_wait *wait)
{
    switch (file->what) {
    case ACCEPT:
        return try_accept(file, wait);
    case CONNECT:
        return connect_now(file, wait);
    case REFUSED:
        return -ECONNREFUSED;
    case NEVER:
        return -EAGAIN;
    default:
        return 0;
    }
}

static int try_connect(struct ipcfs_file *file, struct ipcfs_wait *wait)
{
    check(file, false);
    atomic_fetch_add(&links.connects, 1);
    if (wait->block && file->what != CONNECT)
        atomic_fetch_add(&links.wrong, 1);
    int error = file->connected ? 0 : connect_link(file, wait);
    if (!error)
        file->connected = true;
    return error;
}

/* ---- data ---- */

static ssize_t waits_for(const struct ipcfs_file *file, short events, struct ipcfs_wait *wait)
{
    int error = errno;
    *wait = (struct ipcfs_wait){.source = IPCFS_WAIT_POLL, .fd = file->fd, .events = events};
    return -error;
}

static ssize_t try_read(struct ipcfs_file *file, char *buffer, size_t size, off_t offset, int flags,
                        struct ipcfs_wait *wait)
{
    (void)offset;
    (void)flags;
    check(file, true);
    ssize_t count = recv(file->fd, buffer, size, MSG_DONTWAIT);
    return count < 0 ? waits_for(file, POLLIN, wait) : count;
}

static ssize_t try_write(struct ipcfs_file *file, const char *data, size_t size, off_t offset, int flags,
                         struct ipcfs_wait *wait)
{
    (void)offset;
    (void)flags;
    check(file, true);
    if (links.stalled)
        return 0;
    ssize_t count = send(file->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    return count < 0 ? waits_for(file, POLLOUT, wait) : count;
}

/* Those who wait to be connected wait in a line for each sort. */
static uint64_t lane(struct ipcfs_file *file, bool writing)
{
    (void)writing;
    check(file, false);
    return (uint64_t)file->what;
}

static int poll_link(struct ipcfs_file *file, struct ipcfs_wait *wait)
{
    check(file, true);
    struct pollfd state = {.fd = file->fd, .events = POLLIN | POLLOUT | POLLRDHUP};
    if (poll(&state, 1, 0) < 0)
        return -errno;
    *wait = (struct ipcfs_wait){.source = IPCFS_WAIT_POLL, .fd = file->fd};
    return state.revents;
}

static void shut_down(struct ipcfs_file *file, int how)
{
    check(file, true);
    (void)shutdown(file->fd, how);
    atomic_fetch_add(how == SHUT_RD ? &links.shut_reading : &links.shut_writing, 1);
    if (how != SHUT_RD && how != SHUT_WR)
        atomic_fetch_add(&links.wrong, 1);
}

/* ---- the rest ---- */

static int start(void)
{
    return 0;
}

static void stop(void)
{
}

static int stat_directory(unsigned directory, struct ipcfs_directory *out)
{
    (void)directory;
    *out = (struct ipcfs_directory){.open_to_all = true};
    return 0;
}

static int stat_link(const struct ipcfs_ref *ref, struct statx *out)
{
    (void)ref;
    *out = (struct statx){.stx_ino = 1, .stx_mode = S_IFDIR | 0777, .stx_nlink = 2};
    return 0;
}

static int hold_link(const struct ipcfs_ref *ref, struct ipcfs_hold **out)
{
    (void)ref;
    *out = malloc(sizeof **out);
    if (*out)
        atomic_fetch_add(&links.holds, 1);
    return *out ? 0 : -ENOMEM;
}

static void release(struct ipcfs_hold *hold)
{
    free(hold);
    atomic_fetch_sub(&links.holds, 1);
}

static int find_link(unsigned directory, const char *name, struct ipcfs_found *out, struct ipcfs_hold **hold)
{
    (void)directory;
    if (strcmp(name, "one") != 0)
        return -ENOENT;
    *out = (struct ipcfs_found){.id = {.number = 1}};
    (void)stat_link(NULL, &out->stat);
    return hold ? hold_link(NULL, hold) : 0;
}

static int list_open(unsigned directory, struct ipcfs_lister **out)
{
    (void)directory;
    *out = calloc(1, sizeof **out);
    return *out ? 0 : -ENOMEM;
}

static int list_seek(struct ipcfs_lister *lister, uint64_t position)
{
    lister->done = position > 0;
    return 0;
}

static int list_next(struct ipcfs_lister *lister, struct ipcfs_entry *out)
{
    bool done = lister->done;
    *out = (struct ipcfs_entry){"one", 1, 1, S_IFDIR};
    lister->done = true;
    return !done;
}

static void list_close(struct ipcfs_lister *lister)
{
    free(lister);
}

static int members(const struct ipcfs_ref *ref)
{
    (void)ref;
    return 0;
}

#define OPENS(function, what)                                                                                \
    static int function(const struct ipcfs_ref *ref, int64_t number, int flags, struct ipcfs_file **out)     \
    {                                                                                                        \
        (void)number;                                                                                        \
        return open_link(what, ref, flags, out);                                                             \
    }
OPENS(open_pair_file, PAIR)
OPENS(open_packets, PACKETS)
OPENS(open_accept, ACCEPT)
OPENS(open_connect, CONNECT)
OPENS(open_refused, REFUSED)
OPENS(open_never, NEVER)

#define CONNECTION(file_name, function)                                                                      \
    {                                                                                                        \
        .name = (file_name), .type = IPCFS_VERB_CONNECTION, .mode = 0666, .read_needs = IPCFS_NEEDS_READ,    \
        .write_needs = IPCFS_NEEDS_WRITE, .help = "a connection", .open = (function)                         \
    }

static const struct ipcfs_verb files[] = {
    CONNECTION("pair", open_pair_file),
    CONNECTION("packets", open_packets),
    CONNECTION("accept", open_accept),
    CONNECTION("connect", open_connect),
    CONNECTION("refused", open_refused),
    CONNECTION("never", open_never),
    {0},
};
static const struct ipcfs_verb verbs[] = {CONNECTION("pair", open_pair_file), {0}};
static const struct ipcfs_verb no_files[] = {{0}};
static const struct ipcfs_field no_fields[] = {{0}};
static const char *const link_directories[] = {"link", NULL};

const struct ipcfs_backend link_kind = {
    .kind = "link",
    .help = "links",
    .directories = link_directories,
    .fields = no_fields,
    .limit_fields = no_fields,
    .options = no_fields,
    .verbs = verbs,
    .files = files,
    .member_files = no_files,
    .survey_fields = no_fields,
    .start = start,
    .stop = stop,
    .stat_directory = stat_directory,
    .find = find_link,
    .list_open = list_open,
    .list_seek = list_seek,
    .list_next = list_next,
    .list_close = list_close,
    .hold = hold_link,
    .release = release,
    .stat = stat_link,
    .members = members,
    .close = close_link,
    .try_read = try_read,
    .try_write = try_write,
    .lane = lane,
    .poll = poll_link,
    .try_connect = try_connect,
    .shutdown = shut_down,
    .makes = IPCFS_MAKES_DIRECTORIES,
};

const struct ipcfs_backend *const ipcfs_backends[] = {&link_kind, NULL};
