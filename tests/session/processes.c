/* SPDX-License-Identifier: MIT */
/* proc/ by raw requests: a child with an object of shared memory open is what is looked at. */
#include "wire.h"

#include "failing.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
    pid_t pid;
    char path[64]; /* of its directory */
    uint64_t directory, link;
} child;

static _Noreturn void be_child(void)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;)
        (void)pause();
}

static int end_child(void **state)
{
    (void)state;
    if (child.pid && (kill(child.pid, SIGKILL) || waitpid(child.pid, NULL, 0) != child.pid))
        return -1;
    child.pid = 0;
    return 0;
}

static int begin_process(void **state)
{
    if (begin_test(state))
        return -1;
    int fd = open("/dev/shm/mine", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    child.pid = fd < 0 ? -1 : fork();
    if (child.pid == 0)
        be_child();
    close(fd);
    (void)snprintf(child.path, sizeof child.path, "proc/%d", child.pid);
    child.directory = walk(child.path);
    struct fuse_entry_out entry;
    assert_int_equal(do_lookup(child.directory, "shm:mine", &entry), 0);
    child.link = entry.nodeid;
    return child.pid < 0 ? -1 : 0;
}

static int end_process(void **state)
{
    int error = end_child(state);
    return end_test(state) || error ? -1 : 0;
}

#define PROCESS(function) cmocka_unit_test_setup_teardown(function, begin_process, end_process)

static struct answer read_link(uint64_t node)
{
    begin(FUSE_READLINK, node);
    return ask();
}

/* READDIR from its start by a new handle; how many bytes came, or −errno. */
static int list(uint64_t node)
{
    struct fuse_open_out open;
    assert_int_equal(do_opendir(node, &open), 0);
    struct answer answer = do_readdir(node, open.fh, 4096, 0);
    int result = answer.error ? answer.error : (int)answer.size;
    assert_int_equal(do_releasedir(node, open.fh), 0);
    return result;
}

/* ---- what is there ---- */

static void test_link(void **state)
{
    (void)state;
    static const char target[] = "../../shm/mine";
    struct fuse_entry_out entry;
    struct fuse_attr attr;
    struct answer answer = read_link(child.link);
    assert_true(answer.size == strlen(target) && memcmp(answer.data, target, answer.size) == 0);
    assert_int_equal(do_getattr(child.link, &attr), 0);
    assert_true(attr.mode == (S_IFLNK | 0777) && attr.size == strlen(target));
    assert_int_equal(do_getattr(child.directory, &attr), 0);
    assert_int_equal(attr.mode, S_IFDIR | 0555);
    assert_int_equal(do_lookup(child.directory, "shm:mine", &entry), 0);
    assert_true(entry.nodeid == child.link && entry.entry_valid == 0 && entry.attr_valid == 0);
    assert_int_equal(do_lookup(child.directory, "shm:other", &entry), -ENOENT);
    assert_int_equal(do_lookup(walk("proc"), "self0", &entry), -ENOENT);
    assert_true(list(child.directory) > 0);
}

/* Who answers a request lets go of what it had afterwards. */
static void await_nodes(size_t count)
{
    while (nodes() != count)
        (void)usleep(1000);
}

static void test_nodes(void **state)
{
    (void)state;
    assert_int_equal(nodes(), 2);
    do_forget(child.link, 1);
    do_forget(child.directory, 1);
    await_nodes(0);
    assert_true(walk(child.path) > child.link);
}

/* The link says who asks: by the thread. */
static void test_self(void **state)
{
    (void)state;
    char expected[16];
    uint64_t self = walk("proc/self");
    assert_true(self <= wire.fs.tree.count);
    (void)snprintf(expected, sizeof expected, "%d", child.pid);
    wire.asker.pid = (uint32_t)child.pid;
    struct answer answer = read_link(self);
    assert_true(answer.size == strlen(expected) && memcmp(answer.data, expected, answer.size) == 0);
    wire.asker.pid = 0; /* out of sight */
    assert_int_equal(read_link(self).error, -ENOENT);
}

/* ---- what is refused ---- */

static void test_wrong_operations(void **state)
{
    (void)state;
    struct fuse_open_out open;
    struct fuse_entry_out entry;
    uint64_t self = walk("proc/self");
    assert_int_equal(do_open(child.directory, O_RDONLY, &open), -EISDIR);
    const uint64_t links[] = {child.link, self};
    for (size_t i = 0; i < ARRAY_LENGTH(links); i++) {
        assert_int_equal(do_open(links[i], O_RDONLY, &open), -ELOOP);
        assert_int_equal(do_open(links[i], O_RDWR, &open), -ELOOP);
        assert_int_equal(do_opendir(links[i], &open), -ENOTDIR);
        assert_int_equal(do_lookup(links[i], "x", &entry), i == 0 ? -ENOTDIR : -ENOENT);
    }
    const uint64_t directories[] = {walk("proc"), child.directory};
    for (size_t i = 0; i < ARRAY_LENGTH(directories); i++) {
        uint64_t directory = directories[i];
        assert_int_equal(read_link(directory).error, -EINVAL);
        assert_int_equal(do_create(directory, "x", O_RDWR, 0600, &entry, &open), -EPERM);
        assert_int_equal(do_mknod(directory, "x", S_IFREG | 0600, &entry), -EPERM);
        assert_int_equal(do_unlink(directory, "x"), -EPERM);
        assert_int_equal(do_rename(directory, "x", directory, "y", 0), -EPERM);
        assert_int_equal(do_link(child.link, directory, "x", &entry), -EPERM);
    }
}

static void test_nothing_is_set(void **state)
{
    (void)state;
    static const struct fuse_setattr_in changes[] = {
        {.valid = 0},
        {.valid = FATTR_MODE, .mode = 0777},
        {.valid = FATTR_UID, .uid = 5},
        {.valid = FATTR_SIZE},
        {.valid = FATTR_SIZE | FATTR_FH, .fh = 77},
        {.valid = FATTR_ATIME | FATTR_ATIME_NOW},
    };
    const uint64_t all[] = {walk("proc"), walk("proc/self"), child.directory, child.link};
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++)
        for (size_t k = 0; k < ARRAY_LENGTH(changes); k++)
            assert_int_equal(do_setattr(all[i], &changes[k], NULL),
                             changes[k].valid & FATTR_FH ? -EBADF : -EPERM);
}

/* Each request is checked against the rights of who makes it, whatever others have looked up before. */
static void test_stranger(void **state)
{
    (void)state;
    struct fuse_entry_out entry;
    uint64_t proc = walk("proc");
    wire.asker = stranger;
    assert_int_equal(do_lookup(proc, strchr(child.path, '/') + 1, &entry), -ENOENT);
    assert_int_equal(do_lookup(child.directory, "shm:mine", &entry), -ENOENT);
    assert_int_equal(do_getattr(child.directory, NULL), -ENOENT);
    assert_int_equal(do_getattr(child.link, NULL), -ENOENT);
    assert_int_equal(read_link(child.link).error, -ENOENT);
    assert_int_equal(list(child.directory), -ENOENT);
}

/* ---- the end ---- */

static void test_end(void **state)
{
    (void)state;
    struct fuse_open_out open;
    struct fuse_entry_out entry;
    assert_int_equal(do_opendir(child.directory, &open), 0);
    assert_true(do_readdir(child.directory, open.fh, 4096, 0).size > 0);
    assert_int_equal(end_child(state), 0);
    assert_int_equal(do_readdir(child.directory, open.fh, 4096, 0).error, -ENOENT);
    assert_int_equal(do_getattr(child.directory, NULL), -ENOENT);
    assert_int_equal(do_getattr(child.link, NULL), -ENOENT);
    assert_int_equal(do_lookup(child.directory, "shm:mine", &entry), -ENOENT);
    assert_int_equal(read_link(child.link).error, -ENOENT);
    assert_int_equal(list(child.directory), -ENOENT);
    assert_int_equal(do_releasedir(child.directory, open.fh), 0);
}

/* What a look found out is gone with it when nobody takes it. */
static void test_interrupted(void **state)
{
    (void)state;
    do_forget(child.link, 1);
    await_nodes(1);
    begin(FUSE_LOOKUP, child.directory);
    add_name("shm:mine");
    ask_and_go_away();
    await_nodes(1);
}

static int lookup_mine(void)
{
    struct fuse_entry_out entry;
    return do_lookup(child.directory, "shm:mine", &entry);
}

static int read_mine(void)
{
    return read_link(child.link).error;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    static int (*const all[])(void) = {lookup_mine, read_mine};
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++) {
        int refused = 0;
        /* From 2: the first allocation is the buffer of the test's own receive(). */
        for (unsigned number = 2, failures = 1; failures; number++) {
            failing_arm(number);
            int error = all[i]();
            failures = failing_disarm();
            assert_true(error == 0 || (failures && error == -ENOMEM)); /* a walk is noted as far as can be */
            refused += error != 0;
        }
        assert_true(refused >= 3);
    }
}

/* Many links, one after another, are of one look: whatever that is, it is gone when the process is. */
static void test_walk(void **state)
{
    (void)state;
    struct fuse_entry_out entry;
    char name[32];
    wire.asker.pid = (uint32_t)getpid();
    for (int i = 0; i < 3 * INSPECT_WALK; i++) {
        (void)snprintf(name, sizeof name, "shm:%d", i);
        assert_int_equal(do_lookup(child.directory, name, &entry), -ENOENT);
    }
    assert_int_equal(do_lookup(child.directory, "shm:mine", &entry), 0);
    assert_int_equal(end_child(state), 0);
    assert_int_equal(do_lookup(child.directory, "shm:yours", &entry), -ENOENT);
    assert_int_equal(read_link(child.link).error, -ENOENT);
}

static const struct CMUnitTest tests[] = {
    PROCESS(test_link),          PROCESS(test_nodes),          PROCESS(test_self),
    PROCESS(test_stranger),      PROCESS(test_nothing_is_set), PROCESS(test_wrong_operations),
    PROCESS(test_end),           PROCESS(test_interrupted),    PROCESS(test_walk),
    PROCESS(test_out_of_memory),
};
const struct suite processes_suite = {"processes", tests, ARRAY_LENGTH(tests)};
