/* SPDX-License-Identifier: MIT */
/*
 * The session loop itself (fs/session.h) with its threads, under many requests at once: this is the kernel, which has
 * up to OUTSTANDING requests under way, counts lookups and open files, and takes notice of every reply.
 */
#include "wire.h"

#include "random.h"
#include "session.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OUTSTANDING = 12, REQUESTS = 12000, NAMES = 6, OPEN_MAX_AT_ONCE = 40 };

enum action { LOOKUP, CREATE, OPEN, RELEASE, GETATTR, UNLINK, RENAME, READ, WRITE, CONTROL, FORGET, ACTIONS };

struct under_way {
    uint64_t unique; /* 0: free */
    enum action action;
    uint64_t node;
};

struct known_node {
    uint64_t id, lookups;
    unsigned pins; /* requests under way that name it: the kernel forgets none such */
};

struct open_file {
    uint64_t node, handle;
    bool busy;
};

static struct {
    struct prng prng;
    struct under_way under_way[OUTSTANDING];
    struct known_node nodes[4096];
    size_t node_count;
    struct open_file files[OPEN_MAX_AT_ONCE];
    size_t file_count;
    unsigned counts[ACTIONS];
} kernel;

/* ---- what the kernel knows ---- */

static struct known_node *known(uint64_t id)
{
    for (size_t i = 0; i < kernel.node_count; i++)
        if (kernel.nodes[i].id == id)
            return &kernel.nodes[i];
    return NULL;
}

static void learn_node(uint64_t id)
{
    struct known_node *node = known(id);
    if (!node) {
        assert_true(kernel.node_count < ARRAY_LENGTH(kernel.nodes));
        node = &kernel.nodes[kernel.node_count++];
        *node = (struct known_node){.id = id};
    }
    node->lookups++;
}

static void pin(uint64_t id, int by)
{
    struct known_node *node = known(id);
    if (node)
        node->pins += (unsigned)by;
}

static void send_forget(struct known_node *node)
{
    const struct fuse_forget_in in = {.nlookup = node->lookups};
    begin(FUSE_FORGET, node->id);
    add(&in, sizeof in);
    (void)send_request();
    *node = kernel.nodes[--kernel.node_count];
}

/* ---- replies ---- */

static void take_create(const struct answer *answer)
{
    struct fuse_entry_out entry;
    struct fuse_open_out open;
    assert_int_equal(answer->size, sizeof entry + sizeof open);
    memcpy(&entry, answer->data, sizeof entry);
    memcpy(&open, answer->data + sizeof entry, sizeof open);
    learn_node(entry.nodeid);
    assert_true(kernel.file_count < OPEN_MAX_AT_ONCE);
    kernel.files[kernel.file_count++] = (struct open_file){.node = entry.nodeid, .handle = open.fh};
    pin(entry.nodeid, 1);
}

static void take_open(const struct answer *answer, uint64_t node)
{
    struct fuse_open_out open;
    assert_int_equal(answer->size, sizeof open);
    memcpy(&open, answer->data, sizeof open);
    assert_true(kernel.file_count < OPEN_MAX_AT_ONCE);
    kernel.files[kernel.file_count++] = (struct open_file){.node = node, .handle = open.fh};
    pin(node, 1);
}

static void take_reply(const struct under_way *request, const struct answer *answer)
{
    bool may_be_stale = request->action == OPEN || request->action == GETATTR || request->action == CONTROL;
    if (answer->error == -ESTALE && !may_be_stale)
        fail_msg("action %d is answered with ESTALE", (int)request->action);
    if (answer->error && answer->error != -ENOENT && answer->error != -ESTALE)
        fail_msg("action %d: %s", (int)request->action, strerror(-answer->error));
    if (!answer->error && request->action == LOOKUP)
        learn_node(((const struct fuse_entry_out *)(const void *)answer->data)->nodeid);
    if (!answer->error && request->action == CREATE)
        take_create(answer);
    if (!answer->error && request->action == OPEN)
        take_open(answer, request->node);
    pin(request->node, -1);
}

static void receive_one(int timeout_ms)
{
    struct pollfd polled = {.fd = wire.peer, .events = POLLIN};
    struct fuse_out_header header;
    struct answer answer;
    assert_int_equal(poll(&polled, 1, timeout_ms), 1);
    if (!receive_reply(&header, &answer))
        return;
    if (header.unique == 0) /* a notification */
        return;
    for (size_t i = 0; i < OUTSTANDING; i++) {
        if (kernel.under_way[i].unique != header.unique)
            continue;
        kernel.under_way[i].unique = 0;
        take_reply(&kernel.under_way[i], &answer);
        return;
    }
    fail_msg("a reply to a request that is not under way");
}

/* ---- requests ---- */

static struct under_way *free_slot(void)
{
    for (;;) {
        for (size_t i = 0; i < OUTSTANDING; i++)
            if (!kernel.under_way[i].unique)
                return &kernel.under_way[i];
        receive_one(10000);
    }
}

static const char *random_name(void)
{
    static const char *const names[NAMES] = {"a", "b", "c", "list", "@list", "e f"};
    return names[random_below(&kernel.prng, NAMES)];
}

static void send_as(enum action action, uint64_t node)
{
    struct under_way *slot = free_slot();
    *slot = (struct under_way){.unique = send_request(), .action = action, .node = node};
    pin(node, 1);
    kernel.counts[action]++;
}

static struct known_node *random_node(void)
{
    return kernel.node_count ? &kernel.nodes[random_below(&kernel.prng, (uint32_t)kernel.node_count)] : NULL;
}

static void send_by_name(enum action action, uint64_t shm, uint64_t controls)
{
    const struct fuse_rename2_in rename_in = {.newdir = shm};
    switch (action) {
    case LOOKUP:
        begin(FUSE_LOOKUP, random_below(&kernel.prng, 3) ? shm : controls);
        add_name(random_name());
        break;
    case CREATE:
        begin(FUSE_CREATE, shm);
        add_create(random_name(), O_RDWR, 0600);
        break;
    case UNLINK:
        begin(FUSE_UNLINK, shm);
        add_name(random_name());
        break;
    default:
        begin(FUSE_RENAME2, shm);
        add(&rename_in, sizeof rename_in);
        add_name(random_name());
        add_name(random_name());
    }
    send_as(action, 0);
}

static void send_by_node(enum action action, uint64_t id)
{
    const struct fuse_getattr_in in = {0};
    begin(action == OPEN ? FUSE_OPEN : FUSE_GETATTR, id);
    if (action == OPEN)
        add_open(O_RDWR);
    else
        add(&in, sizeof in);
    send_as(action, id);
}

static void send_by_handle(enum action action)
{
    if (!kernel.file_count)
        return;
    struct open_file *file = &kernel.files[random_below(&kernel.prng, (uint32_t)kernel.file_count)];
    const struct fuse_read_in read_in = {.fh = file->handle, .size = 100};
    const struct fuse_write_in write_in = {.fh = file->handle, .size = 4};
    begin(action == READ ? FUSE_READ : FUSE_WRITE, file->node);
    if (action == READ) {
        add(&read_in, sizeof read_in);
    } else {
        add(&write_in, sizeof write_in);
        add("data", 4);
    }
    send_as(action, file->node);
}

/* RELEASE follows all that was asked of the handle, as with the kernel. */
static void wait_for_all(void)
{
    for (size_t i = 0; i < OUTSTANDING; i++)
        while (kernel.under_way[i].unique)
            receive_one(10000);
}

static void send_release(void)
{
    if (!kernel.file_count)
        return;
    wait_for_all();
    size_t number = random_below(&kernel.prng, (uint32_t)kernel.file_count);
    struct open_file file = kernel.files[number];
    kernel.files[number] = kernel.files[--kernel.file_count];
    const struct fuse_release_in in = {.fh = file.handle};
    begin(FUSE_RELEASE, file.node);
    add(&in, sizeof in);
    send_as(RELEASE, file.node);
    pin(file.node, -1);
}

static bool is_object(uint64_t id)
{
    struct node_use use;
    bool is = node_use(&wire.fs.nodes, id, &use) == 0 && use.kin.type == NODE_OBJECT;
    node_unuse(&use);
    return is;
}

static void send_one(uint64_t shm, uint64_t controls)
{
    enum action action = (enum action)random_below(&kernel.prng, ACTIONS);
    struct known_node *node = random_node();
    bool room = kernel.file_count + OUTSTANDING < OPEN_MAX_AT_ONCE;
    (void)free_slot();
    node = random_node(); /* replies may have moved them */
    if (action == LOOKUP || action == UNLINK || action == RENAME || (action == CREATE && room))
        send_by_name(action, shm, controls);
    else if (action == READ || action == WRITE)
        send_by_handle(action);
    else if (action == RELEASE || ((action == CREATE || action == OPEN) && !room))
        send_release();
    else if (action == CONTROL)
        send_by_node(CONTROL, controls);
    else if (node && action == GETATTR)
        send_by_node(GETATTR, node->id);
    else if (node && action == OPEN && is_object(node->id))
        send_by_node(OPEN, node->id);
    else if (node && action == FORGET && node->pins == 0)
        send_forget(node);
}

static void finish(void)
{
    wait_for_all();
    while (kernel.file_count)
        send_release();
    wait_for_all();
    while (kernel.node_count)
        send_forget(&kernel.nodes[0]);
}

/* ---- the loop ---- */

static struct {
    pthread_t thread;
    atomic_bool ready;
    int result;
} loop;

static void note_ready(void *ready)
{
    atomic_store((atomic_bool *)ready, true);
}

static void *serve(void *result)
{
    *(int *)result = session_serve(&wire.fs, note_ready, &loop.ready);
    return NULL;
}

static void start_loop(void)
{
    loop.result = 1;
    atomic_store(&loop.ready, false);
    assert_int_equal(pthread_create(&loop.thread, NULL, serve, &loop.result), 0);
}

/* The kernel's end is closed, as at an unmount: the loop ends by itself. */
static void end_loop(void)
{
    close(wire.peer);
    wire.peer = -1;
    assert_int_equal(pthread_join(loop.thread, NULL), 0);
    assert_int_equal(loop.result, 0);
    assert_true(atomic_load(&loop.ready));
}

static void test_storm(void **state)
{
    (void)state;
    uint64_t shm = walk("shm");
    uint64_t controls = walk("ctl/shm");
    memset(&kernel, 0, sizeof kernel);
    kernel.prng = random_start(random_seed(), 0);
    start_loop();
    for (unsigned i = 0; i < REQUESTS; i++)
        send_one(shm, controls);
    finish();
    /* The last forgets have no reply to wait for, and pins have their time. */
    for (int i = 0; i < 5000 && (nodes() || handles()); i++)
        (void)usleep(1000);
    assert_int_equal(handles(), 0);
    assert_int_equal(nodes(), 0);
    end_loop();
    for (unsigned i = 0; i < FORGET; i++)
        assert_true(kernel.counts[i] > 100);
}

/* ---- native calls that wait ---- */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_opens = PTHREAD_COND_INITIALIZER;
static bool gate_is_closed;
static unsigned waiting;

static void wait_at_gate(void)
{
    pthread_mutex_lock(&gate);
    waiting++;
    while (gate_is_closed)
        pthread_cond_wait(&gate_opens, &gate);
    waiting--;
    pthread_mutex_unlock(&gate);
}

static unsigned waiting_at_gate(void)
{
    pthread_mutex_lock(&gate);
    unsigned count = waiting;
    pthread_mutex_unlock(&gate);
    return count;
}

static void set_gate(bool closed)
{
    pthread_mutex_lock(&gate);
    gate_is_closed = closed;
    pthread_cond_broadcast(&gate_opens);
    pthread_mutex_unlock(&gate);
}

/* The linker's names: called for pread(2), by whichever name it has with large files. */
// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
ssize_t __real_pread64(int fd, void *buffer, size_t size, off_t offset);
ssize_t __wrap_pread64(int fd, void *buffer, size_t size, off_t offset);
ssize_t __wrap_pread(int fd, void *buffer, size_t size, off_t offset);

ssize_t __wrap_pread64(int fd, void *buffer, size_t size, off_t offset)
{
    wait_at_gate();
    return __real_pread64(fd, buffer, size, offset);
}

ssize_t __wrap_pread(int fd, void *buffer, size_t size, off_t offset)
{
    return __wrap_pread64(fd, buffer, size, offset);
}
// NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)

static void add_getattr(void)
{
    const struct fuse_getattr_in in = {0};
    begin(FUSE_GETATTR, FUSE_ROOT_ID);
    add(&in, sizeof in);
}

/* Waits for the reply to this request and counts the others that come before it. */
static unsigned replies_until(uint64_t unique)
{
    for (unsigned others = 0;;) {
        struct pollfd polled = {.fd = wire.peer, .events = POLLIN};
        struct fuse_out_header header;
        struct answer answer;
        if (poll(&polled, 1, 5000) != 1)
            fail_msg("no reply in five seconds");
        if (!receive_reply(&header, &answer))
            continue;
        if (header.unique == unique)
            return others;
        others += header.unique != 0; /* not a notification */
    }
}

/*
 * Reads that wait in a native call, for whatever reason, more of them than there are workers: other requests are
 * answered nevertheless, and the reads as well when the wait is over.
 */
static void test_stuck_workers(void **state)
{
    (void)state;
    enum { STUCK = 9 };
    struct fuse_entry_out entry;
    struct fuse_open_out open;
    assert_int_equal(do_create(walk("shm"), "a", O_RDWR, 0600, &entry, &open), 0);
    const struct fuse_read_in in = {.fh = open.fh, .size = 10};
    start_loop();
    set_gate(true);
    for (int i = 0; i < STUCK; i++) {
        begin(FUSE_READ, entry.nodeid);
        add(&in, sizeof in);
        (void)send_request();
    }
    for (int i = 0; i < 20; i++) {
        add_getattr();
        assert_int_equal(replies_until(send_request()), 0);
    }
    unsigned stuck = 0;
    for (int i = 0; i < 5000 && (stuck = waiting_at_gate()) < STUCK; i++)
        (void)usleep(1000);
    set_gate(false);
    unsigned answered = 0;
    for (int i = 0; i < 5000 && answered < STUCK; i++) { /* a busy machine wakes them late */
        add_getattr();
        answered += replies_until(send_request());
        (void)usleep(1000);
    }
    end_loop(); /* before what fails the test, and so ends the session under it */
    assert_int_equal(stuck, STUCK);
    assert_int_equal(answered, STUCK);
}

static const struct CMUnitTest tests[] = {
    TEST(test_storm),
    TEST(test_stuck_workers),
};

const struct suite storm_suite = {"storm", tests, ARRAY_LENGTH(tests)};
