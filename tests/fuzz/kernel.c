/* SPDX-License-Identifier: MIT */
#include "kernel.h"

#include "fuzz.h"

#include "creds.h"
#include "descriptors.h"
#include "private_shm.h"
#include "session.h"

#include "ipcfs/place.h"

#include <dirent.h>
#include <inttypes.h>
#include <mqueue.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    NODES_MAX = 256,
    HANDLES_MAX = 24,
    REQUESTS_MAX = 24,
    ENTRIES_MAX = 64, /* of a READDIRPLUS, whose nodes are kept */
    ANSWER_MS = 15000,
    SETTLE_MS = 3000,
};

struct known_node {
    uint64_t id, lookups;
    unsigned busy; /* handles, and requests under way */
};

struct request {
    uint64_t unique; /* 0: free */
    uint32_t opcode;
    uint64_t node, handle;
    size_t size;
    bool interrupted;
};

/* To one session: then the order of inputs means nothing. More are faster (scripts/fuzz). */
static unsigned inputs_max = 1;

static struct {
    struct known_node nodes[NODES_MAX]; /* the oldest first */
    size_t node_count;
    struct kernel_handle handles[HANDLES_MAX];
    size_t handle_count;
    struct request requests[REQUESTS_MAX];
    size_t request_count;
    size_t own_nodes; /* that the daemon has without any LOOKUP */
    unsigned inputs;  /* to this session */
} kernel;

/* ---- nodes and handles ---- */

static struct known_node *find_node(uint64_t id)
{
    for (size_t i = 0; i < kernel.node_count; i++)
        if (kernel.nodes[i].id == id)
            return &kernel.nodes[i];
    return NULL;
}

static struct kernel_handle *find_handle(uint64_t node, uint64_t handle)
{
    for (size_t i = 0; i < kernel.handle_count; i++)
        if (kernel.handles[i].handle == handle && kernel.handles[i].node == node)
            return &kernel.handles[i];
    return NULL;
}

static void use(const struct request *request, int by)
{
    struct known_node *node = find_node(request->node);
    struct kernel_handle *handle = find_handle(request->node, request->handle);
    if (node)
        node->busy += (unsigned)by;
    if (handle)
        handle->busy += (unsigned)by;
}

uint64_t kernel_node(unsigned which)
{
    size_t number = which % (kernel.node_count + 1);
    return number ? kernel.nodes[kernel.node_count - number].id : FUSE_ROOT_ID;
}

const struct kernel_handle *kernel_handle(unsigned which)
{
    return kernel.handle_count ? &kernel.handles[kernel.handle_count - 1 - which % kernel.handle_count]
                               : NULL;
}

bool kernel_has_room(void)
{
    return kernel.handle_count + kernel.request_count < HANDLES_MAX &&
           kernel.request_count < REQUESTS_MAX - 1 &&
           kernel.node_count < NODES_MAX - ENTRIES_MAX - REQUESTS_MAX;
}

static void learn_node(const struct fuse_entry_out *entry)
{
    struct known_node *node = find_node(entry->nodeid);
    MUST(entry->attr_valid_nsec < 1000000000 && entry->entry_valid_nsec < 1000000000);
    if (!entry->nodeid)
        return; /* there is no such name, and that may be cached */
    MUST(entry->nodeid != FUSE_ROOT_ID && entry->attr.ino && (entry->attr.mode & S_IFMT));
    if (!node) {
        MUST(kernel.node_count < NODES_MAX);
        node = &kernel.nodes[kernel.node_count++];
        *node = (struct known_node){.id = entry->nodeid};
    }
    node->lookups++;
}

static void learn_handle(const struct request *request, uint64_t node, const struct fuse_open_out *open)
{
    struct known_node *known = find_node(node);
    MUST(kernel.handle_count < HANDLES_MAX && !find_handle(node, open->fh));
    kernel.handles[kernel.handle_count++] = (struct kernel_handle){
        .node = node, .handle = open->fh, .directory = request->opcode == FUSE_OPENDIR};
    if (known)
        known->busy++;
}

/* ---- replies ---- */

static void take_entries(const struct request *request, const struct answer *answer)
{
    bool plus = request->opcode == FUSE_READDIRPLUS;
    size_t head = plus ? sizeof(struct fuse_entry_out) : 0;
    for (size_t at = 0; at < answer->size;) {
        struct fuse_dirent entry;
        struct fuse_entry_out node = {0};
        MUST(answer->size - at >= head + FUSE_NAME_OFFSET);
        if (plus)
            memcpy(&node, answer->data + at, sizeof node);
        memcpy(&entry, answer->data + at + head, FUSE_NAME_OFFSET);
        MUST(entry.namelen >= 1 && entry.namelen <= NAME_MAX && entry.off != 0);
        const char *name = answer->data + at + head + FUSE_NAME_OFFSET;
        size_t size = head + FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + entry.namelen);
        MUST(size <= answer->size - at && !memchr(name, '/', entry.namelen) &&
             !memchr(name, 0, entry.namelen));
        if (plus && *name != '.')
            learn_node(&node);
        at += size;
    }
}

/* Of those whose answer has one size. */
static size_t fixed_size(uint32_t opcode)
{
    switch (opcode) {
    case FUSE_LOOKUP:
    case FUSE_SYMLINK:
    case FUSE_MKNOD:
    case FUSE_MKDIR:
    case FUSE_LINK:
        return sizeof(struct fuse_entry_out);
    case FUSE_GETATTR:
    case FUSE_SETATTR:
        return sizeof(struct fuse_attr_out);
    case FUSE_OPEN:
    case FUSE_OPENDIR:
        return sizeof(struct fuse_open_out);
    case FUSE_CREATE:
        return sizeof(struct fuse_entry_out) + sizeof(struct fuse_open_out);
    case FUSE_WRITE:
        return sizeof(struct fuse_write_out);
    case FUSE_STATFS:
        return sizeof(struct fuse_statfs_out);
    case FUSE_GETLK:
        return sizeof(struct fuse_lk_out);
    case FUSE_POLL:
        return sizeof(struct fuse_poll_out);
    case FUSE_LSEEK:
        return sizeof(struct fuse_lseek_out);
    default:
        return 0;
    }
}

/* At most as many bytes as were asked for. */
static bool is_variable(uint32_t opcode)
{
    return opcode == FUSE_READ || opcode == FUSE_READDIR || opcode == FUSE_READDIRPLUS ||
           opcode == FUSE_READLINK || opcode == FUSE_GETXATTR || opcode == FUSE_LISTXATTR ||
           opcode == FUSE_IOCTL || opcode == OPCODE_STATX;
}

static void take_entry(const struct request *request, const struct answer *answer)
{
    struct fuse_entry_out entry;
    struct fuse_open_out open;
    memcpy(&entry, answer->data, sizeof entry);
    learn_node(&entry);
    if (request->opcode != FUSE_CREATE)
        return;
    MUST(entry.nodeid);
    memcpy(&open, answer->data + sizeof entry, sizeof open);
    learn_handle(request, entry.nodeid, &open);
}

static void take_open(const struct request *request, const struct answer *answer)
{
    struct fuse_open_out open;
    memcpy(&open, answer->data, sizeof open);
    learn_handle(request, request->node, &open);
}

static void take_write(const struct request *request, const struct answer *answer)
{
    struct fuse_write_out written;
    memcpy(&written, answer->data, sizeof written);
    MUST(written.size <= request->size);
}

static void take_success(const struct request *request, const struct answer *answer)
{
    if (is_variable(request->opcode))
        MUST(answer->size <= request->size);
    else
        MUST(answer->size == fixed_size(request->opcode));
    switch (request->opcode) {
    case FUSE_LOOKUP:
    case FUSE_SYMLINK:
    case FUSE_MKNOD:
    case FUSE_MKDIR:
    case FUSE_LINK:
    case FUSE_CREATE:
        take_entry(request, answer);
        break;
    case FUSE_OPEN:
    case FUSE_OPENDIR:
        take_open(request, answer);
        break;
    case FUSE_WRITE:
        take_write(request, answer);
        break;
    case FUSE_READDIR:
    case FUSE_READDIRPLUS:
        take_entries(request, answer);
        break;
    default:
        break;
    }
}

static void take_reply(uint64_t unique, const struct answer *answer)
{
    for (size_t i = 0; i < REQUESTS_MAX; i++) {
        struct request request = kernel.requests[i];
        if (!unique || request.unique != unique)
            continue;
        kernel.requests[i].unique = 0;
        kernel.request_count--;
        use(&request, -1);
        if (!answer->error)
            take_success(&request, answer);
        return;
    }
    fuzz_fail(__FILE__, __LINE__, "a reply is to a request that is under way");
}

/* False when there is none. An odd number: libfuse asks for the interrupt of what is answered by now once more. */
static bool take_one(int timeout_ms)
{
    struct fuse_out_header header;
    struct answer answer;
    if (!await_reply(timeout_ms) || !receive_reply(&header, &answer))
        return false;
    if (header.unique % 2)
        MUST(header.error == -EAGAIN);
    else if (header.unique)
        take_reply(header.unique, &answer);
    return true;
}

/* Until all that is not answered is parked: other threads answer some, and until then what comes next is up to chance. */
static void settle(void)
{
    struct wait_stats stats;
    for (int i = 0; i < SETTLE_MS; i++) {
        while (take_one(0))
            ;
        wait_stats(wire.fs.waits, &stats);
        if (kernel.request_count <= stats.parked)
            return;
        (void)take_one(1);
    }
}

/* ---- requests ---- */

static void handle(void)
{
    struct fuse_buf buffer = {0};
    (void)send_request();
    MUST(fuse_session_receive_buf(wire.session, &buffer) > 0);
    fuse_session_process_buf(wire.session, &buffer);
    free(buffer.mem);
}

void kernel_send(uint32_t opcode, uint64_t node, uint64_t handle_id, size_t size)
{
    for (size_t i = 0; i < REQUESTS_MAX; i++) {
        if (kernel.requests[i].unique)
            continue;
        kernel.requests[i] = (struct request){
            .unique = wire.unique, .opcode = opcode, .node = node, .handle = handle_id, .size = size};
        kernel.request_count++;
        use(&kernel.requests[i], 1);
        break;
    }
    handle();
    settle();
}

void kernel_walk(const char *path)
{
    uint64_t node = FUSE_ROOT_ID;
    while (*path) {
        char name[NAME_MAX + 1];
        size_t length = strcspn(path, "/");
        size_t known = kernel.node_count;
        (void)snprintf(name, sizeof name, "%.*s", (int)length, path);
        begin(FUSE_LOOKUP, node);
        add_name(name);
        kernel_send(FUSE_LOOKUP, node, 0, 0);
        if (kernel.node_count == known)
            return;
        node = kernel.nodes[kernel.node_count - 1].id;
        path += length + (path[length] == '/');
    }
}

static void forget(struct known_node *node, uint64_t lookups)
{
    const struct fuse_forget_in in = {.nlookup = lookups};
    begin(FUSE_FORGET, node->id);
    add(&in, sizeof in);
    handle();
    node->lookups -= lookups;
    if (node->lookups)
        return;
    size_t behind = kernel.node_count - (size_t)(node + 1 - kernel.nodes);
    memmove(node, node + 1, behind * sizeof *node);
    kernel.node_count--;
}

void kernel_forget(unsigned which, uint64_t lookups)
{
    struct known_node *node = find_node(kernel_node(which));
    if (!node || (node->busy && lookups >= node->lookups))
        return;
    forget(node, lookups < node->lookups ? lookups : node->lookups);
}

void kernel_release(unsigned which, uint32_t flags, uint64_t owner)
{
    const struct kernel_handle *found = kernel_handle(which);
    if (!found || found->busy)
        return;
    struct kernel_handle handle_copy = *found;
    size_t at = (size_t)(found - kernel.handles);
    memmove(&kernel.handles[at], &kernel.handles[at + 1],
            (kernel.handle_count - at - 1) * sizeof kernel.handles[0]);
    kernel.handle_count--;
    const struct fuse_release_in in = {.fh = handle_copy.handle, .release_flags = flags, .lock_owner = owner};
    uint32_t opcode = handle_copy.directory ? FUSE_RELEASEDIR : FUSE_RELEASE;
    begin(opcode, handle_copy.node);
    add(&in, sizeof in);
    kernel_send(opcode, handle_copy.node, 0, 0);
    struct known_node *node = find_node(handle_copy.node);
    if (node)
        node->busy--;
}

static void interrupt(struct request *request)
{
    const struct fuse_interrupt_in in = {.unique = request->unique};
    request->interrupted = true;
    wire.unique--; /* an odd number, as the kernel gives it */
    begin(FUSE_INTERRUPT, 0);
    add(&in, sizeof in);
    handle();
    wire.unique++;
}

void kernel_interrupt(unsigned which)
{
    size_t number = kernel.request_count ? which % kernel.request_count : 0;
    for (size_t i = 0; i < REQUESTS_MAX; i++) {
        if (!kernel.requests[i].unique || number--)
            continue;
        if (!kernel.requests[i].interrupted)
            interrupt(&kernel.requests[i]);
        settle();
        return;
    }
}

/* ---- begin and end ---- */

/* Starting and ending cost more than most inputs: the kernel waits for all processors as mqueue file systems and watches go. */
static void start_session(void)
{
    place_init("/run/ipcfs", "/mnt");
    MUST(begin_test(NULL) == 0);
    kernel.own_nodes = nodes();
}

/* What is left behind, which end_test() has counted. */
static void show_descriptors(void)
{
    for (int fd = 0; fd < 256; fd++) {
        char link[32];
        char target[128];
        (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, target, sizeof target);
        if (length >= 0)
            (void)dprintf(STDERR_FILENO, "%d: %.*s\n", fd, (int)length, target);
    }
    fuzz_fail(__FILE__, __LINE__, "nothing is left behind");
}

static void stop_session(void)
{
    if (kernel.inputs && end_test(NULL))
        show_descriptors();
    kernel.inputs = 0;
    place_end();
}

__attribute__((format(printf, 2, 0))) static void say_nothing(enum fuse_log_level level, const char *format,
                                                              va_list arguments)
{
    (void)level;
    (void)format;
    (void)arguments;
}

void kernel_start(void)
{
    (void)setenv("CMOCKA_TEST_ABORT", "1", 1);      // NOLINT(concurrency-mt-unsafe): there is one thread
    const char *most = getenv("IPCFS_FUZZ_INPUTS"); // NOLINT(concurrency-mt-unsafe): there is one thread
    if (most)
        inputs_max = (unsigned)strtoul(most, NULL, 10);
    private_shm_enter("size=4m,nr_inodes=400,mode=1777");
    private_set("kernel/shmmax", "1048576");
    private_set("kernel/shmall", "1024");
    private_set("kernel/shmmni", "16");
    private_set("kernel/msgmni", "16");
    private_set("kernel/sem", "64 256 16 16");
    private_set("fs/mqueue/queues_max", "16");
    (void)umask(0);
    fuse_set_log_func(say_nothing);
    MUST(session_block_signals() == 0 && creds_init() == 0 && atexit(stop_session) == 0);
}

void kernel_begin(void)
{
    if (!kernel.inputs++)
        start_session();
}

static void show_requests(void)
{
    struct wait_stats stats;
    wait_stats(wire.fs.waits, &stats);
    for (size_t i = 0; i < REQUESTS_MAX; i++) {
        const struct request *request = &kernel.requests[i];
        if (request->unique)
            (void)dprintf(STDERR_FILENO,
                          "no reply to %" PRIu64 ": opcode %u, node %" PRIx64 ", handle %" PRIx64 "\n",
                          request->unique, request->opcode, request->node, request->handle);
    }
    (void)dprintf(STDERR_FILENO, "%zu are parked\n", (size_t)stats.parked);
    fuzz_fail(__FILE__, __LINE__, "all are answered");
}

static void end_requests(void)
{
    for (size_t i = 0; i < REQUESTS_MAX; i++)
        if (kernel.requests[i].unique && !kernel.requests[i].interrupted)
            interrupt(&kernel.requests[i]);
    while (kernel.request_count)
        if (!take_one(ANSWER_MS))
            show_requests();
}

static void await_none(size_t (*count)(void), size_t wanted)
{
    for (int i = 0; i < ANSWER_MS && count() != wanted; i++)
        (void)usleep(1000);
    MUST(count() == wanted);
}

static void remove_queues(void)
{
    struct msginfo messages;
    struct seminfo semaphores;
    struct shminfo segments;
    int last = msgctl(0, MSG_INFO, (void *)&messages);
    for (int i = 0; i <= last; i++) {
        struct msqid_ds queue;
        int id = msgctl(i, MSG_STAT_ANY, &queue);
        if (id >= 0)
            MUST(msgctl(id, IPC_RMID, NULL) == 0);
    }
    last = semctl(0, 0, SEM_INFO, &semaphores);
    for (int i = 0; i <= last; i++) {
        struct semid_ds set;
        int id = semctl(i, 0, SEM_STAT_ANY, &set);
        if (id >= 0)
            MUST(semctl(id, 0, IPC_RMID) == 0);
    }
    last = shmctl(0, SHM_INFO, (void *)&segments);
    for (int i = 0; i <= last; i++) {
        struct shmid_ds segment;
        int id = shmctl(i, SHM_STAT_ANY, &segment);
        if (id >= 0)
            MUST(shmctl(id, IPC_RMID, NULL) == 0);
    }
}

static void remove_files(const char *path)
{
    DIR *directory = opendir(path);
    MUST(directory);
    const struct dirent *entry = NULL;
    while ((entry = readdir(directory))) // NOLINT(concurrency-mt-unsafe): one user per DIR
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            MUST(unlinkat(dirfd(directory), entry->d_name, 0) == 0);
    (void)closedir(directory);
}

/* Through the mount, as the daemon knows where it has them. */
static void remove_all(const char *directory, uint32_t opcode)
{
    const char *const names[] = {"a", "b", "c", "jobs", "\377"};
    kernel_walk(directory);
    uint64_t node = kernel_node(1);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        begin(opcode, node);
        add_name(names[i]);
        kernel_send(opcode, node, 0, 0);
    }
}

void kernel_end(void)
{
    wire.asker = (struct asker){.pid = (uint32_t)getpid()};
    end_requests();
    while (kernel.handle_count)
        kernel_release(0, 0, 0);
    remove_all("mq", FUSE_UNLINK);
    remove_all("pipe", FUSE_UNLINK);
    remove_all("sock", FUSE_UNLINK);
    remove_all("sock", FUSE_RMDIR);
    MUST(kernel.request_count == 0);
    while (kernel.node_count)
        forget(&kernel.nodes[0], kernel.nodes[0].lookups);
    drop_pins();
    await_none(handles, 0);
    await_none(nodes, kernel.own_nodes);
    remove_queues();
    remove_files("/dev/shm");
    if (kernel.inputs >= inputs_max)
        stop_session();
}
