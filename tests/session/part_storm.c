/* SPDX-License-Identifier: MIT */
/*
 * Many requests at once about objects that are directories, by the session's own threads; also such as no kernel sends:
 * with a handle of another node, and RELEASE while the handle is at work. Every request has its one reply, those that wait
 * end when they are interrupted, and at the end everything is given back.
 */
#include "parts.h"

#include "random.h"
#include "session.h"

#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OUTSTANDING = 12, REQUESTS = 12000, NODES_MAX = 60, HANDLES_MAX = 60, BODY = 128 };

static struct {
    struct prng prng;
    struct {
        uint64_t unique; /* 0: free */
        uint32_t opcode;
    } under_way[OUTSTANDING];
    struct {
        uint64_t id, lookups;
    } nodes[NODES_MAX];
    size_t node_count;
    uint64_t handles[HANDLES_MAX];
    size_t handle_count;
    unsigned answered, waited;
} kernel;

static unsigned below(size_t bound)
{
    return random_below(&kernel.prng, (uint32_t)bound);
}

/* ---- replies ---- */

static void learn_node(uint64_t id)
{
    size_t i = 0;
    while (i < kernel.node_count && kernel.nodes[i].id != id)
        i++;
    assert_true(i < NODES_MAX);
    if (i == kernel.node_count)
        kernel.nodes[kernel.node_count++].id = id;
    kernel.nodes[i].lookups++;
}

static void take_reply(uint32_t opcode, const struct answer *answer)
{
    uint64_t first = 0;
    kernel.answered++;
    kernel.waited += answer->error == -EINTR;
    if (answer->error == -EIO || answer->error == -ENOSYS)
        fail_msg("opcode %u: %s", opcode, strerror(-answer->error));
    if (answer->error || answer->size < sizeof first)
        return;
    memcpy(&first, answer->data, sizeof first);
    if (opcode == FUSE_LOOKUP || opcode == FUSE_MKDIR)
        learn_node(first);
    if (opcode != FUSE_OPEN && opcode != FUSE_OPENDIR)
        return;
    assert_true(kernel.handle_count < HANDLES_MAX);
    kernel.handles[kernel.handle_count++] = first;
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
        take_reply(kernel.under_way[i].opcode, &answer);
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

static void send_as(uint32_t opcode)
{
    size_t slot = 0;
    while (kernel.under_way[slot].unique)
        slot++;
    kernel.under_way[slot].opcode = opcode;
    kernel.under_way[slot].unique = send_request();
}

static uint64_t some_node(void)
{
    return kernel.nodes[below(kernel.node_count)].id;
}

static uint64_t some_handle(void)
{
    return kernel.handle_count ? kernel.handles[below(kernel.handle_count)] : 4711;
}

static const char *some_name(void)
{
    static const char *const names[] = {"one",  "two", "new",   "value", "post", "wait",
                                        "hold", "op",  "words", "0",     "2",    "3"};
    return names[below(ARRAY_LENGTH(names))];
}

/* One that comes and goes; "one" stays. */
static const char *some_object(void)
{
    static const char *const names[] = {"new", "new", "new", "two"};
    return names[below(ARRAY_LENGTH(names))];
}

static void add_flags(void)
{
    static const int flags[] = {O_RDONLY, O_RDWR, O_WRONLY | O_NONBLOCK, O_RDWR};
    add_open(flags[below(ARRAY_LENGTH(flags))]);
}

static void send_by_name(uint64_t set)
{
    static const uint32_t opcodes[] = {FUSE_LOOKUP, FUSE_LOOKUP, FUSE_LOOKUP,
                                       FUSE_MKDIR,  FUSE_RMDIR,  FUSE_UNLINK};
    const struct fuse_mkdir_in in = {.mode = 0777};
    uint32_t opcode = opcodes[below(ARRAY_LENGTH(opcodes))];
    bool looks = opcode == FUSE_LOOKUP;
    uint64_t parent = below(3) ? kernel.nodes[0].id : below(2) ? some_node() : set;
    begin(opcode, looks ? parent : set);
    if (opcode == FUSE_MKDIR)
        add(&in, sizeof in);
    add_name(looks ? some_name() : some_object());
    send_as(opcode);
}

static void send_by_node(void)
{
    static const uint32_t opcodes[] = {FUSE_OPEN,    FUSE_OPEN,    FUSE_OPEN,
                                       FUSE_OPENDIR, FUSE_GETATTR, FUSE_STATFS};
    uint32_t opcode = opcodes[below(ARRAY_LENGTH(opcodes))];
    const struct fuse_getattr_in in = {0};
    begin(opcode, some_node());
    if (opcode == FUSE_GETATTR)
        add(&in, sizeof in);
    else if (opcode != FUSE_STATFS)
        add_flags();
    send_as(opcode);
}

static void send_write(void)
{
    static const char *const lines[] = {"+1\n", "-1\n", "1\n", "\n", "full", "what", "-2"};
    const char *line = lines[below(ARRAY_LENGTH(lines))];
    const struct open_file file = {.node = some_node(), .handle = some_handle()};
    begin_write(&file, line, below(4) ? 0 : O_NONBLOCK);
    send_as(FUSE_WRITE);
}

/* A body whose first word is the handle, and in which nothing else asks for much. */
static void send_by_handle(void)
{
    static const uint32_t opcodes[] = {FUSE_READDIR, FUSE_FLUSH, FUSE_SETLK,     FUSE_SETLKW,
                                       FUSE_GETLK,   FUSE_LSEEK, FUSE_FALLOCATE, FUSE_POLL};
    uint32_t opcode = opcodes[below(ARRAY_LENGTH(opcodes))];
    uint64_t body[BODY / sizeof(uint64_t)] = {some_handle()};
    if (opcode == FUSE_READDIR)
        body[2] = 1000; /* the size */
    if (opcode == FUSE_SETLK || opcode == FUSE_SETLKW)
        body[5] = FUSE_LK_FLOCK;
    begin(opcode, some_node());
    add(body, sizeof body);
    send_as(opcode);
}

static void send_read(void)
{
    const struct open_file file = {.node = some_node(), .handle = some_handle()};
    begin_read(&file, below(4) ? 0 : O_NONBLOCK);
    send_as(FUSE_READ);
}

static void send_setattr(void)
{
    const struct fuse_setattr_in in = {
        .valid = FATTR_MODE | (below(2) ? FATTR_FH : 0), .mode = 0777, .fh = some_handle()};
    begin(FUSE_SETATTR, some_node());
    add(&in, sizeof in);
    send_as(FUSE_SETATTR);
}

static void send_release(void)
{
    if (!kernel.handle_count)
        return;
    size_t i = below(kernel.handle_count);
    const struct fuse_release_in in = {.fh = kernel.handles[i]};
    kernel.handles[i] = kernel.handles[--kernel.handle_count];
    begin(FUSE_RELEASE, some_node());
    add(&in, sizeof in);
    send_as(FUSE_RELEASE);
}

static void send_forget(size_t i)
{
    const struct fuse_forget_in in = {.nlookup = kernel.nodes[i].lookups};
    begin(FUSE_FORGET, kernel.nodes[i].id);
    add(&in, sizeof in);
    (void)send_request();
    kernel.nodes[i] = kernel.nodes[--kernel.node_count];
    kernel.nodes[kernel.node_count].lookups = 0;
}

static void send_one(uint64_t set)
{
    (void)free_slot();
    if (kernel.handle_count + OUTSTANDING >= HANDLES_MAX) {
        send_release();
        return;
    }
    while (kernel.node_count + OUTSTANDING >= NODES_MAX)
        send_forget(1 + below(kernel.node_count - 1));
    unsigned what = below(20);
    if (what < 5)
        send_by_name(set);
    else if (what < 11)
        send_by_node();
    else if (what < 13)
        send_write();
    else if (what < 15)
        send_read();
    else if (what < 16)
        send_by_handle();
    else if (what < 17)
        send_setattr();
    else if (what < 19)
        send_release();
    else
        send_interrupt(kernel.under_way[below(OUTSTANDING)].unique);
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

/* Values come and go meanwhile, by whatever is beside the daemon. */
static void change_values(unsigned i)
{
    if (i % 40 == 0)
        parts_set("one", (int)below(MEMBERS), (int)below(2));
}

static void test_storm(void **state)
{
    (void)state;
    pthread_t thread;
    int result = 1;
    uint64_t set = walk("set");
    memset(&kernel, 0, sizeof kernel);
    kernel.prng = random_start(random_seed(), 0);
    learn_node(walk("set/one"));
    assert_int_equal(pthread_create(&thread, NULL, serve, &result), 0);
    for (unsigned i = 0; i < REQUESTS; i++) {
        send_one(set);
        change_values(i);
    }
    wait_for_all();
    while (kernel.handle_count) {
        send_release();
        wait_for_all();
    }
    while (kernel.node_count)
        send_forget(0);
    for (int i = 0; i < 5000 && (nodes() || handles() || native.files); i++)
        (void)usleep(1000);
    assert_int_equal(nodes(), 0);
    assert_true(handles() == 0 && native.files == 0 && native.taken == 0);
    close(wire.peer);
    wire.peer = -1;
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(result, 0);
    if (kernel.answered < REQUESTS / 2 || kernel.waited < 10)
        fail_msg("%u were answered, %u interrupted", kernel.answered, kernel.waited);
}

static const struct CMUnitTest tests[] = {
    PARTS(test_storm),
};

const struct suite part_storm_suite = {"storm in parts", tests, ARRAY_LENGTH(tests)};
