/* SPDX-License-Identifier: MIT */
/*
 * Many requests at once about connections, by the session's own threads; also such as no kernel sends: RELEASE while the
 * handle is at work. Every request has its one reply, those that wait end when they are interrupted, and at the end everything
 * is given back.
 */
#include "streams.h"

#include "random.h"
#include "session.h"

#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { OUTSTANDING = 16, REQUESTS = 12000, NODES = 12, HANDLES_MAX = 60 };

static struct {
    struct prng prng;
    struct {
        uint64_t unique; /* 0: free */
        uint32_t opcode;
        uint64_t node;
    } under_way[OUTSTANDING];
    uint64_t nodes[NODES];
    struct open_file files[HANDLES_MAX];
    size_t file_count;
    unsigned answered, interrupted, carried;
} kernel;

static unsigned below(size_t bound)
{
    return random_below(&kernel.prng, (uint32_t)bound);
}

/* ---- replies ---- */

static void take_reply(size_t slot, const struct answer *answer)
{
    uint32_t opcode = kernel.under_way[slot].opcode;
    kernel.answered++;
    kernel.interrupted += answer->error == -EINTR;
    if (answer->error == -EIO || answer->error == -ENOSYS)
        fail_msg("opcode %u: %s", opcode, strerror(-answer->error));
    kernel.carried += !answer->error && answer->size && (opcode == FUSE_READ || opcode == FUSE_WRITE);
    if (answer->error || opcode != FUSE_OPEN)
        return;
    struct open_file *file = &kernel.files[kernel.file_count++];
    assert_true(kernel.file_count <= HANDLES_MAX);
    file->node = kernel.under_way[slot].node;
    memcpy(&file->handle, answer->data, sizeof file->handle);
}

/* False where none came in time. */
static bool receive_one(int timeout_ms)
{
    struct pollfd ready = {.fd = wire.peer, .events = POLLIN};
    struct fuse_out_header header;
    struct answer answer;
    if (poll(&ready, 1, timeout_ms) != 1 || !receive_reply(&header, &answer))
        return false;
    if (header.unique == 0 || header.unique % 2)
        return true; /* a notification, or an interrupt that came too late */
    for (size_t i = 0; i < OUTSTANDING; i++) {
        if (kernel.under_way[i].unique != header.unique)
            continue;
        kernel.under_way[i].unique = 0;
        take_reply(i, &answer);
        return true;
    }
    fail_msg("a reply to a request that is not under way");
    return false;
}

static void send_interrupt(uint64_t unique)
{
    const struct fuse_interrupt_in in = {.unique = unique};
    wire.unique--;
    begin(FUSE_INTERRUPT, 0);
    add(&in, sizeof in);
    (void)send_request();
    wire.unique++;
}

/* Room for one more, among others by interrupting somebody. */
static size_t free_slot(void)
{
    for (unsigned tries = 0; tries < 20000; tries++) {
        for (size_t i = 0; i < OUTSTANDING; i++)
            if (!kernel.under_way[i].unique)
                return i;
        if (!receive_one(1))
            send_interrupt(kernel.under_way[below(OUTSTANDING)].unique);
    }
    fail_msg("nobody is answered");
    return 0;
}

static void wait_for_all(void)
{
    for (size_t i = 0; i < OUTSTANDING; i++) {
        for (unsigned tries = 0; kernel.under_way[i].unique && tries < 20000; tries++) {
            if (!receive_one(1) && kernel.under_way[i].unique)
                send_interrupt(kernel.under_way[i].unique);
        }
        assert_int_equal(kernel.under_way[i].unique, 0);
    }
}

/* ---- requests ---- */

static void send_as(uint32_t opcode, uint64_t node)
{
    size_t slot = free_slot();
    kernel.under_way[slot].opcode = opcode;
    kernel.under_way[slot].node = node;
    kernel.under_way[slot].unique = send_request();
}

static const struct open_file *some_file(void)
{
    static const struct open_file none = {.handle = 4711};
    return kernel.file_count ? &kernel.files[below(kernel.file_count)] : &none;
}

static void send_open(void)
{
    static const int flags[] = {O_RDONLY, O_RDWR, O_WRONLY, O_RDWR | O_NONBLOCK, O_RDWR, O_ACCMODE};
    uint64_t node = kernel.nodes[below(NODES)];
    begin(FUSE_OPEN, node);
    add_open(flags[below(ARRAY_LENGTH(flags))]);
    send_as(FUSE_OPEN, node);
}

static void send_write(void)
{
    static char data[8 * SOCKET_ROOM];
    const struct open_file *file = some_file();
    size_t size = below(3) ? below(100) : below(sizeof data);
    begin_write_of(file, data, size, below(4) ? 0 : O_NONBLOCK);
    send_as(FUSE_WRITE, file->node);
}

static void send_read(void)
{
    const struct open_file *file = some_file();
    begin_read_of(file, below(SOCKET_ROOM), below(4) ? 0 : O_NONBLOCK);
    send_as(FUSE_READ, file->node);
}

static void send_poll(void)
{
    const struct open_file *file = some_file();
    const struct fuse_poll_in in = {.fh = file->handle,
                                    .kh = 1,
                                    .flags = below(2) ? FUSE_POLL_SCHEDULE_NOTIFY : 0,
                                    .events = below(2) ? POLLIN : POLLOUT | POLLIN};
    begin(FUSE_POLL, file->node);
    add(&in, sizeof in);
    send_as(FUSE_POLL, file->node);
}

static void send_release(void)
{
    if (!kernel.file_count)
        return;
    size_t i = below(kernel.file_count);
    const struct open_file file = kernel.files[i];
    const struct fuse_release_in in = {.fh = file.handle};
    kernel.files[i] = kernel.files[--kernel.file_count];
    begin(FUSE_RELEASE, file.node);
    add(&in, sizeof in);
    send_as(FUSE_RELEASE, file.node);
}

static void send_interrupt_of_some(void)
{
    send_interrupt(kernel.under_way[below(OUTSTANDING)].unique);
}

/* A request is begun in one buffer, so there has to be a free slot before. */
static void send_one(void)
{
    (void)free_slot();
    static void (*const requests[])(void) = {send_open,  send_write,   send_read,
                                             send_poll,  send_release, send_open,
                                             send_write, send_read,    send_interrupt_of_some};
    bool full = kernel.file_count + OUTSTANDING >= HANDLES_MAX;
    (full ? send_release : requests[below(ARRAY_LENGTH(requests))])();
}

/* ---- the other ends ---- */

static atomic_bool over;

/* Comes, talks a little, and goes at any moment. */
static void talk_at(int fd, struct prng *prng)
{
    char buffer[SOCKET_ROOM] = {0};
    for (uint32_t i = random_below(prng, 6); fd >= 0 && i > 0; i--) {
        (void)send(fd, buffer, random_below(prng, sizeof buffer), MSG_DONTWAIT | MSG_NOSIGNAL);
        (void)recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
        (void)usleep(random_below(prng, 100));
    }
}

static void *be_native(void *unused)
{
    struct prng prng = random_start(random_seed(), 1);
    (void)unused;
    while (!over) {
        // cppcheck-suppress nullPointer
        int taken = accept4(links.listener, NULL, NULL, SOCK_CLOEXEC);
        int client = links_connect();
        int end = atomic_exchange(&links.end, -1);
        talk_at(taken, &prng);
        talk_at(client, &prng);
        talk_at(end, &prng);
        if (taken >= 0)
            close(taken);
        if (end >= 0)
            close(end);
        close(client);
    }
    return NULL;
}

/* ---- the loop ---- */

static void note_ready(void *ready)
{
    (void)ready;
}

static void *serve(void *result)
{
    *(int *)result = session_serve(&wire.fs, note_ready, NULL);
    return NULL;
}

static void find_nodes(void)
{
    static const char *const names[] = {"link/one/pair", "link/one/accept", "link/one/accept",
                                        "link/one/connect"};
    for (size_t i = 0; i < NODES; i++)
        kernel.nodes[i] = walk(names[i % ARRAY_LENGTH(names)]);
}

static bool has_seen_all(void)
{
    return kernel.interrupted > 0 && kernel.carried >= 20;
}

static void test_storm(void **state)
{
    (void)state;
    pthread_t thread;
    pthread_t native;
    int result = 1;
    memset(&kernel, 0, sizeof kernel);
    kernel.prng = random_start(random_seed(), 0);
    find_nodes();
    atomic_store(&over, false);
    assert_int_equal(pthread_create(&thread, NULL, serve, &result), 0);
    assert_int_equal(pthread_create(&native, NULL, be_native, NULL), 0);
    for (unsigned i = 0; i < REQUESTS || (!has_seen_all() && i < 20 * REQUESTS); i++)
        send_one();
    wait_for_all();
    while (kernel.file_count) {
        send_release();
        wait_for_all();
    }
    for (int i = 0; i < 5000 && (handles() || links.files); i++)
        (void)usleep(1000);
    assert_true(handles() == 0 && links.files == 0);
    atomic_store(&over, true);
    assert_int_equal(pthread_join(native, NULL), 0);
    int end = atomic_exchange(&links.end, -1);
    if (end >= 0)
        close(end);
    close(wire.peer);
    wire.peer = -1;
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(result, 0);
    if (kernel.answered < REQUESTS / 2 || !has_seen_all())
        fail_msg("%u were answered, %u interrupted, %u carried something", kernel.answered,
                 kernel.interrupted, kernel.carried);
}

static const struct CMUnitTest tests[] = {
    STREAMS(test_storm),
};

const struct suite stream_storm_suite = {"storm of streams", tests, ARRAY_LENGTH(tests)};
