/* SPDX-License-Identifier: MIT */
#include "wire.h"

#include "descriptors.h"
#include "failing.h"
#include "ipcfs/monotonic.h"
#include "logged.h"
#include "ops.h"
#include "session.h"

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MESSAGE_MAX = 1 << 18, REPLY_MS = 20000, LET_GO_MS = 5000 };

struct wire wire;
const struct asker stranger = {.uid = 54321, .gid = 54322, .pid = 0};

static struct {
    char bytes[MESSAGE_MAX];
    size_t length;
} request;

static _Alignas(16) char reply_bytes[MESSAGE_MAX];

/* ---- the session ---- */

static void make_sockets(int ends[2])
{
    int room = MESSAGE_MAX;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &room, sizeof room), 0);
}

void wire_start(const struct fuse_lowlevel_ops *operations)
{
    char name[] = "ipcfs";
    char *argv[] = {name, NULL};
    struct fuse_args arguments = FUSE_ARGS_INIT(1, argv);
    char path[32];
    int ends[2];
    make_sockets(ends);
    wire.peer = ends[0];
    wire.unique = 0;
    wire.notifications = 0;
    wire.asker = (struct asker){.pid = (uint32_t)getpid()};
    (void)snprintf(path, sizeof path, "/dev/fd/%d", ends[1]);
    wire.session = wire.fs.session = fuse_session_new(&arguments, operations, sizeof *operations, &wire.fs);
    fuse_opt_free_args(&arguments);
    assert_non_null(wire.session);
    assert_int_equal(fuse_session_mount(wire.session, path), 0);
}

static void begin_init(void)
{
    const struct fuse_init_in in = {
        .major = FUSE_KERNEL_VERSION,
        .minor = FUSE_KERNEL_MINOR_VERSION,
        .max_readahead = 1 << 17,
        .flags = FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES | FUSE_PARALLEL_DIROPS |
                 FUSE_HANDLE_KILLPRIV | FUSE_HANDLE_KILLPRIV_V2 | FUSE_DO_READDIRPLUS |
                 FUSE_READDIRPLUS_AUTO | FUSE_WRITEBACK_CACHE | FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS |
                 FUSE_SPLICE_READ | FUSE_SPLICE_WRITE | FUSE_INIT_EXT,
    };
    begin(FUSE_INIT, 0);
    add(&in, sizeof in);
}

void wire_start_ipcfs(void)
{
    wire.fs = (struct ipcfs){
        .passthrough_wanted = PASSTHROUGH_OFF, .threads_wanted = 3, .started = {.tv_sec = 1000}};
    assert_int_equal(ipcfs_init(&wire.fs), 0);
    wire_start(&ipcfs_operations);
    begin_init();
    (void)send_request();
    assert_int_equal(session_first_request(&wire.fs), 0);
}

void wire_stop(void)
{
    if (wire.peer >= 0)
        close(wire.peer);
    fuse_session_destroy(wire.session); /* closes libfuse's end */
    wire.peer = -1;
}

/* ---- a test ---- */

static struct {
    int descriptors;
    long allocations;
} before;

int begin_test(void **state)
{
    struct fuse_out_header header;
    struct answer answer;
    (void)state;
    before.descriptors = count_descriptors();
    before.allocations = failing_live();
    logged_forget();
    wire_start_ipcfs();
    if (!receive_reply(&header, &answer) || answer.error || answer.size != sizeof wire.init)
        return -1;
    memcpy(&wire.init, answer.data, sizeof wire.init);
    return 0;
}

static void empty_shm(void)
{
    DIR *directory = opendir("/dev/shm");
    const struct dirent *entry = NULL;
    while (directory && (entry = readdir(directory))) // NOLINT(concurrency-mt-unsafe): one user per DIR
        (void)unlinkat(dirfd(directory), entry->d_name, 0);
    if (directory)
        closedir(directory);
}

/* A thread that looked at processes ends by itself, after whoever waited for it was told (patience.h). */
static bool is_left_behind(void)
{
    return count_descriptors() != before.descriptors || failing_live() != before.allocations;
}

int end_test(void **state)
{
    (void)state;
    ipcfs_end_waits(&wire.fs); /* a thread of the engine may still be in libfuse */
    wire_stop();
    ipcfs_destroy(&wire.fs);
    empty_shm();
    if (logged("without an answer") || logged("answered twice") || logged("forgotten"))
        return -1; /* no handler may do that */
    for (int i = 0; i < LET_GO_MS && is_left_behind(); i++)
        (void)usleep(1000);
    if (!is_left_behind())
        return 0;
    (void)fprintf(stderr, "left behind: %d descriptors, %ld allocations\n",
                  count_descriptors() - before.descriptors, failing_live() - before.allocations);
    return -1;
}

/* ---- requests and replies ---- */

void begin(uint32_t opcode, uint64_t node)
{
    const struct fuse_in_header header = {
        .opcode = opcode,
        .unique = wire.unique += 2, /* as the kernel counts: odd numbers are for interrupts */
        .nodeid = node,
        .uid = wire.asker.uid,
        .gid = wire.asker.gid,
        .pid = wire.asker.pid,
    };
    request.length = 0;
    add(&header, sizeof header);
}

void add(const void *bytes, size_t size)
{
    assert_true(size <= sizeof request.bytes - request.length);
    memcpy(request.bytes + request.length, bytes, size);
    request.length += size;
}

void add_name(const char *name)
{
    add(name, strlen(name) + 1);
}

uint64_t send_request(void)
{
    uint32_t length = (uint32_t)request.length;
    memcpy(request.bytes, &length, sizeof length); /* fuse_in_header.len */
    assert_int_equal(send(wire.peer, request.bytes, request.length, 0), request.length);
    return wire.unique;
}

static void receive(struct fuse_buf *buffer)
{
    assert_int_equal(fuse_session_receive_buf(wire.session, buffer), request.length);
}

static void handle(void)
{
    struct fuse_buf buffer = {0};
    (void)send_request();
    receive(&buffer);
    fuse_session_process_buf(wire.session, &buffer);
    free(buffer.mem);
}

bool receive_reply(struct fuse_out_header *header, struct answer *answer)
{
    *answer = (struct answer){0};
    ssize_t count = recv(wire.peer, reply_bytes, sizeof reply_bytes, MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN)
        return false;
    assert_true(count >= (ssize_t)sizeof *header);
    memcpy(header, reply_bytes, sizeof *header);
    assert_int_equal(header->len, count);
    *answer = (struct answer){header->error, reply_bytes + sizeof *header, (size_t)count - sizeof *header};
    if (header->unique == 0) /* a notification: its code stands where else the error is */
        return true;
    assert_true(header->error <= 0 && header->error > -512);
    if (header->error)
        assert_int_equal(answer->size, 0);
    return true;
}

/* The same, past notifications, which are counted. */
static bool receive_answer(struct fuse_out_header *header, struct answer *answer)
{
    while (receive_reply(header, answer)) {
        if (header->unique != 0)
            return true;
        wire.notifications++;
    }
    return false;
}

bool await_reply(int timeout_ms)
{
    struct pollfd peer = {.fd = wire.peer, .events = POLLIN};
    int64_t end = monotonic_ms() + timeout_ms;
    int ready = poll(&peer, 1, timeout_ms);
    while (ready < 0 && errno == EINTR)
        ready = poll(&peer, 1, monotonic_ms() < end ? (int)(end - monotonic_ms()) : 0);
    return ready == 1;
}

struct answer ask(void)
{
    struct fuse_out_header header = {0};
    struct answer answer;
    static _Alignas(16) char body[MESSAGE_MAX];
    handle();
    while (!receive_answer(&header, &answer))
        if (!await_reply(REPLY_MS))
            fail_msg("no reply");
    assert_int_equal(header.unique, wire.unique);
    if (answer.data)
        memcpy(body, answer.data, answer.size);
    answer.data = body; /* a notification may follow */
    struct answer second;
    if (receive_answer(&header, &second))
        fail_msg("a second reply");
    return answer;
}

void tell(void)
{
    struct fuse_out_header header;
    struct answer answer;
    handle();
    if (receive_answer(&header, &answer))
        fail_msg("a reply, %s, where none belongs", strerror(-answer.error));
}

void ask_and_go_away(void)
{
    struct fuse_buf buffer = {0};
    (void)send_request();
    receive(&buffer);
    close(wire.peer);
    wire.peer = -1;
    fuse_session_process_buf(wire.session, &buffer);
    free(buffer.mem);
}

/* Copies the answer's body; a short one, or more than that, is a failure. */
static int take(struct answer answer, void *out, size_t size)
{
    if (answer.error)
        return answer.error;
    assert_int_equal(answer.size, size);
    if (out && answer.data)
        memcpy(out, answer.data, size);
    return 0;
}

/* ---- the operations ---- */

int do_lookup(uint64_t parent, const char *name, struct fuse_entry_out *out)
{
    begin(FUSE_LOOKUP, parent);
    add_name(name);
    return take(ask(), out, sizeof *out);
}

int do_getattr(uint64_t node, struct fuse_attr *out)
{
    const struct fuse_getattr_in in = {0};
    struct fuse_attr_out attr;
    begin(FUSE_GETATTR, node);
    add(&in, sizeof in);
    int error = take(ask(), &attr, sizeof attr);
    if (!error && out)
        *out = attr.attr;
    return error;
}

void add_open(int flags)
{
    const struct fuse_open_in in = {.flags = (uint32_t)flags};
    add(&in, sizeof in);
}

int do_open(uint64_t node, int flags, struct fuse_open_out *out)
{
    begin(FUSE_OPEN, node);
    add_open(flags);
    return take(ask(), out, sizeof *out);
}

int do_opendir(uint64_t node, struct fuse_open_out *out)
{
    begin(FUSE_OPENDIR, node);
    add_open(O_RDONLY | O_DIRECTORY);
    return take(ask(), out, sizeof *out);
}

void add_create(const char *name, int flags, uint32_t mode)
{
    const struct fuse_create_in in = {.flags = (uint32_t)flags | O_CREAT, .mode = S_IFREG | mode};
    add(&in, sizeof in);
    add_name(name);
}

int do_create(uint64_t parent, const char *name, int flags, uint32_t mode, struct fuse_entry_out *entry,
              struct fuse_open_out *open)
{
    struct {
        struct fuse_entry_out entry;
        struct fuse_open_out open;
    } out;
    begin(FUSE_CREATE, parent);
    add_create(name, flags, mode);
    int error = take(ask(), &out, sizeof out);
    if (error)
        return error;
    *entry = out.entry;
    *open = out.open;
    return 0;
}

int do_mknod(uint64_t parent, const char *name, uint32_t mode, struct fuse_entry_out *out)
{
    const struct fuse_mknod_in in = {.mode = mode};
    begin(FUSE_MKNOD, parent);
    add(&in, sizeof in);
    add_name(name);
    return take(ask(), out, sizeof *out);
}

static int release_as(uint32_t opcode, uint64_t node, uint64_t handle_id)
{
    const struct fuse_release_in in = {.fh = handle_id};
    begin(opcode, node);
    add(&in, sizeof in);
    return take(ask(), NULL, 0);
}

int do_release(uint64_t node, uint64_t handle_id)
{
    return release_as(FUSE_RELEASE, node, handle_id);
}

int do_releasedir(uint64_t node, uint64_t handle_id)
{
    return release_as(FUSE_RELEASEDIR, node, handle_id);
}

int do_unlink(uint64_t parent, const char *name)
{
    begin(FUSE_UNLINK, parent);
    add_name(name);
    return take(ask(), NULL, 0);
}

int do_rename(uint64_t parent, const char *name, uint64_t to_parent, const char *to_name, uint32_t flags)
{
    const struct fuse_rename2_in in = {.newdir = to_parent, .flags = flags};
    begin(FUSE_RENAME2, parent);
    add(&in, sizeof in);
    add_name(name);
    add_name(to_name);
    return take(ask(), NULL, 0);
}

int do_link(uint64_t node, uint64_t parent, const char *name, struct fuse_entry_out *out)
{
    const struct fuse_link_in in = {.oldnodeid = node};
    begin(FUSE_LINK, parent);
    add(&in, sizeof in);
    add_name(name);
    return take(ask(), out, sizeof *out);
}

int do_setattr(uint64_t node, const struct fuse_setattr_in *in, struct fuse_attr *out)
{
    struct fuse_attr_out attr;
    begin(FUSE_SETATTR, node);
    add(in, sizeof *in);
    int error = take(ask(), &attr, sizeof attr);
    if (!error && out)
        *out = attr.attr;
    return error;
}

int do_write(uint64_t node, uint64_t handle_id, const char *data, size_t size, uint64_t offset, int flags)
{
    const struct fuse_write_in in = {
        .fh = handle_id, .offset = offset, .size = (uint32_t)size, .flags = (uint32_t)flags};
    struct fuse_write_out out = {0};
    begin(FUSE_WRITE, node);
    add(&in, sizeof in);
    add(data, size);
    int error = take(ask(), &out, sizeof out);
    return error ? error : (int)out.size;
}

static struct answer read_as(uint32_t opcode, uint64_t node, uint64_t handle_id, uint32_t size,
                             uint64_t offset)
{
    const struct fuse_read_in in = {.fh = handle_id, .offset = offset, .size = size};
    begin(opcode, node);
    add(&in, sizeof in);
    struct answer answer = ask();
    assert_true(answer.size <= size);
    return answer;
}

struct answer do_read(uint64_t node, uint64_t handle_id, uint32_t size, uint64_t offset)
{
    return read_as(FUSE_READ, node, handle_id, size, offset);
}

struct answer do_readdir(uint64_t node, uint64_t handle_id, uint32_t size, uint64_t offset)
{
    return read_as(FUSE_READDIR, node, handle_id, size, offset);
}

void do_forget(uint64_t node, uint64_t count)
{
    const struct fuse_forget_in in = {.nlookup = count};
    begin(FUSE_FORGET, node);
    add(&in, sizeof in);
    tell();
}

uint64_t walk(const char *path)
{
    struct fuse_entry_out entry = {.nodeid = FUSE_ROOT_ID};
    while (*path) {
        char name[NAME_MAX + 1];
        size_t length = strcspn(path, "/");
        (void)snprintf(name, sizeof name, "%.*s", (int)length, path);
        int error = do_lookup(entry.nodeid, name, &entry);
        if (error)
            fail_msg("LOOKUP of %s: %s", name, strerror(-error));
        path += length + (path[length] == '/');
    }
    return entry.nodeid;
}

void make_object(const char *name)
{
    struct fuse_entry_out entry = {0};
    assert_int_equal(do_mknod(walk("shm"), name, S_IFREG | 0600, &entry), 0);
    do_forget(entry.nodeid, 1);
}

void drop_pins(void)
{
    pins_destroy(&wire.fs.pins);
    assert_int_equal(pins_init(&wire.fs.pins), 0);
}

size_t nodes(void)
{
    return node_count(&wire.fs.nodes);
}

size_t handles(void)
{
    return handle_count(&wire.fs.handles);
}
