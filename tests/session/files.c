/* SPDX-License-Identifier: MIT */
/* Open files: objects without passthrough, and control files. */
#include "wire.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- objects ---- */

static void must_read(uint64_t node, uint64_t handle, uint64_t offset, const char *expected)
{
    struct answer answer = do_read(node, handle, 100, offset);
    assert_int_equal(answer.error, 0);
    assert_int_equal(answer.size, strlen(expected));
    assert_memory_equal(answer.data, expected, answer.size);
}

static void native_read(const char *path, char *out, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t count = read(fd, out, room - 1);
    assert_true(count >= 0);
    out[count] = '\0';
    close(fd);
}

static void test_create_write_and_read(void **state)
{
    (void)state;
    struct fuse_entry_out entry;
    struct fuse_open_out open;
    char content[32];
    uint64_t shm = walk("shm");
    assert_int_equal(do_create(shm, "a", O_RDWR | O_EXCL, 0640, &entry, &open), 0);
    assert_int_equal(entry.attr.mode, S_IFREG | 0640);
    assert_int_equal(open.open_flags & FOPEN_DIRECT_IO,
                     FOPEN_DIRECT_IO); /* no cache of what natives may change */
    assert_int_equal(open.open_flags & FOPEN_KEEP_CACHE, 0);
    assert_int_equal(do_write(entry.nodeid, open.fh, "hello", 5, 0, O_RDWR), 5);
    must_read(entry.nodeid, open.fh, 0, "hello");
    must_read(entry.nodeid, open.fh, 3, "lo");
    must_read(entry.nodeid, open.fh, 5, "");
    must_read(entry.nodeid, open.fh, 1 << 30, "");
    native_read("/dev/shm/a", content, sizeof content);
    assert_string_equal(content, "hello");
    assert_int_equal(do_write(entry.nodeid, open.fh, "!", 1, 0, O_RDWR | O_APPEND), 1);
    must_read(entry.nodeid, open.fh, 0, "hello!");
    assert_int_equal(do_release(entry.nodeid, open.fh), 0);
    do_forget(entry.nodeid, 1);
    assert_int_equal(nodes(), 0);
    assert_int_equal(do_create(shm, "a", O_RDWR | O_EXCL, 0640, &entry, &open), -EEXIST);
    assert_int_equal(do_create(shm, "a", O_RDWR | O_TRUNC, 0640, &entry, &open), 0);
    assert_int_equal(entry.attr.size, 0);
    assert_int_equal(do_release(entry.nodeid, open.fh), 0);
}

/* Owner and group are the caller's, and so are his rights. */
static void test_act_as_caller(void **state)
{
    (void)state;
    struct fuse_entry_out entry;
    struct fuse_open_out open;
    make_object("roots");
    uint64_t shm = walk("shm");
    uint64_t node = walk("shm/roots");
    wire.asker = stranger;
    assert_int_equal(do_open(node, O_RDONLY, &open), -EACCES);
    assert_int_equal(do_create(shm, "mine", O_RDWR, 0600, &entry, &open), 0);
    assert_true(entry.attr.uid == stranger.uid && entry.attr.gid == stranger.gid);
    assert_int_equal(do_release(entry.nodeid, open.fh), 0);
    assert_int_equal(do_create(shm, "roots", O_RDWR, 0600, &entry, &open), -EACCES);
    assert_int_equal(do_mknod(shm, "other", S_IFREG | 0600, &entry), 0);
    assert_int_equal(entry.attr.uid, stranger.uid);
    assert_int_equal(handles(), 0);
    assert_int_equal(geteuid(), 0);
}

static void test_open_after_unlink(void **state)
{
    (void)state;
    struct fuse_entry_out entry;
    struct fuse_open_out first;
    struct fuse_open_out second;
    struct fuse_attr attr;
    uint64_t shm = walk("shm");
    assert_int_equal(do_create(shm, "a", O_RDWR, 0600, &entry, &first), 0);
    assert_int_equal(do_unlink(shm, "a"), 0);
    make_object("a");
    assert_int_equal(do_write(entry.nodeid, first.fh, "gone", 4, 0, 0), 4);
    assert_int_equal(do_open(entry.nodeid, O_RDONLY, &second), 0); /* /proc/PID/fd/N does that */
    must_read(entry.nodeid, second.fh, 0, "gone");
    assert_int_equal(do_getattr(entry.nodeid, &attr), 0);
    assert_true(attr.nlink == 0 && attr.size == 4);
    struct fuse_setattr_in in = {.valid = FATTR_SIZE | FATTR_FH, .size = 2, .fh = first.fh};
    assert_int_equal(do_setattr(entry.nodeid, &in, &attr), 0);
    assert_int_equal(attr.size, 2);
    assert_int_equal(do_release(entry.nodeid, first.fh), 0);
    must_read(entry.nodeid, second.fh, 0, "go");
    assert_int_equal(do_release(entry.nodeid, second.fh), 0);
    assert_int_equal(do_getattr(entry.nodeid, &attr), -ESTALE);
}

static void test_open_after_native_rename(void **state)
{
    (void)state;
    struct fuse_open_out open;
    make_object("a");
    uint64_t node = walk("shm/a");
    assert_int_equal(rename("/dev/shm/a", "/dev/shm/b"), 0);
    assert_int_equal(do_open(node, O_RDONLY, &open), -ESTALE); /* the kernel looks the name up again */
    assert_int_equal(walk("shm/b"), node);
    assert_int_equal(do_open(node, O_RDONLY, &open), 0);
    assert_int_equal(do_release(node, open.fh), 0);
}

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/*
 * While names are being replaced, what a LOOKUP finds can be opened, even if it is replaced before the OPEN comes: the
 * kernel does not ask a third time.
 */
static void test_open_in_a_rename_storm(void **state)
{
    (void)state;
    struct fuse_open_out open;
    make_object("a");
    uint64_t node = walk("shm/a");
    for (int i = 0; i < 200; i++) {
        int64_t found = now_ms();
        make_object("new");
        assert_int_equal(rename("/dev/shm/new", "/dev/shm/a"), 0);
        int error = do_open(node, O_RDONLY, &open);
        if (error && i > 0 && now_ms() - found < PIN_MS / 2) /* by then the pin may have ended */
            fail_msg("OPEN %d after LOOKUP: %s", i, strerror(-error));
        if (!error)
            assert_int_equal(do_release(node, open.fh), 0);
        do_forget(node, 1);
        node = walk("shm/a");
    }
}

/* A pin is taken back when its time is over. */
static void test_pins_end(void **state)
{
    (void)state;
    struct pollfd polled = {.fd = wire.fs.pins.timer_fd, .events = POLLIN};
    make_object("a");
    assert_int_equal(do_getattr(1000000, NULL), -ESTALE);
    uint64_t node = walk("shm/a");
    do_forget(node, 1);
    assert_int_equal(nodes(), 1);
    pins_expire(&wire.fs.pins); /* too early */
    assert_int_equal(nodes(), 1);
    for (int i = 0; i < 10 && nodes(); i++) {
        assert_int_equal(poll(&polled, 1, 5000), 1);
        pins_expire(&wire.fs.pins);
    }
    assert_int_equal(nodes(), 0);
    /* More pins than there is room for: the oldest go. */
    for (int i = 0; i < 3 * PIN_MAX; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "%d", i);
        make_object(name);
        assert_int_equal(do_getattr(1000000, NULL), -ESTALE);
        struct fuse_entry_out entry;
        assert_int_equal(do_lookup(walk("shm"), name, &entry), 0);
        do_forget(entry.nodeid, 1);
        assert_true(nodes() <= PIN_MAX);
    }
}

static void test_fallocate_and_lseek(void **state)
{
    (void)state;
    struct fuse_entry_out entry;
    struct fuse_open_out open;
    assert_int_equal(do_create(walk("shm"), "a", O_RDWR, 0600, &entry, &open), 0);
    struct fuse_fallocate_in allocate = {.fh = open.fh, .offset = 1 << 20, .length = 4096};
    begin(FUSE_FALLOCATE, entry.nodeid);
    add(&allocate, sizeof allocate);
    assert_int_equal(ask().error, 0);
    assert_int_equal(do_write(entry.nodeid, open.fh, "x", 1, 1 << 20, 0), 1);
    struct fuse_lseek_in seek = {.fh = open.fh, .offset = 0, .whence = SEEK_DATA};
    begin(FUSE_LSEEK, entry.nodeid);
    add(&seek, sizeof seek);
    struct answer answer = ask();
    assert_int_equal(answer.error, 0);
    uint64_t data = ((const struct fuse_lseek_out *)(const void *)answer.data)->offset;
    assert_true(data > 0 && data <= 1 << 20); /* huge pages may begin before */
    allocate.length = UINT64_C(1) << 40;
    begin(FUSE_FALLOCATE, entry.nodeid);
    add(&allocate, sizeof allocate);
    assert_int_equal(ask().error, -ENOSPC);
    assert_int_equal(do_release(entry.nodeid, open.fh), 0);
}

/* ---- control files ---- */

/* Reads all of it, `step` bytes at a time; to be freed. */
static char *read_all(const char *path, uint32_t step)
{
    struct fuse_open_out open;
    uint64_t node = walk(path);
    size_t length = 0;
    char *text = calloc(1, 1 << 16);
    assert_non_null(text);
    assert_int_equal(do_open(node, O_RDONLY, &open), 0);
    for (;;) {
        struct answer answer = do_read(node, open.fh, step, length);
        assert_int_equal(answer.error, 0);
        if (answer.size == 0)
            break;
        assert_true(length + answer.size < 1 << 16);
        memcpy(text + length, answer.data, answer.size);
        length += answer.size;
    }
    assert_int_equal(do_release(node, open.fh), 0);
    return text;
}

static void test_control_files_in_small_reads(void **state)
{
    (void)state;
    static const char *const paths[] = {"ctl/README",          "ctl/version",       "ctl/shm/list",
                                        "ctl/shm/limits",      "ctl/shm/list.json", "ctl/shm/a/state",
                                        "ctl/shm/a/state.json"};
    make_object("a");
    make_object("b");
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
        char *whole = read_all(paths[i], 65536);
        assert_true(strlen(whole) > 10 && whole[strlen(whole) - 1] == '\n');
        for (uint32_t step = 1; step < 8; step += 3) {
            char *pieces = read_all(paths[i], step);
            assert_string_equal(pieces, whole);
            free(pieces);
        }
        free(whole);
    }
}

/* Small reads are of one piece even if the object changes between them; a read from the start sees the present. */
static void test_control_file_is_of_one_piece(void **state)
{
    (void)state;
    struct fuse_open_out open;
    char first[4096] = {0};
    char pieces[4096] = {0};
    make_object("a");
    uint64_t node = walk("ctl/shm/a/state");
    assert_int_equal(do_open(node, O_RDONLY, &open), 0);
    struct answer answer = do_read(node, open.fh, 4000, 0);
    memcpy(first, answer.data, answer.size);
    assert_non_null(strstr(first, "\nsize: 0\n"));
    for (size_t i = 0; i < strlen(first); i++) {
        answer = do_read(node, open.fh, 1, i);
        assert_int_equal(answer.size, 1);
        pieces[i] = answer.data[0];
        assert_int_equal(truncate("/dev/shm/a", (off_t)i + 1000000), 0);
        if (i == 0)
            assert_int_equal(truncate("/dev/shm/a", 77), 0);
    }
    assert_string_equal(pieces, first);
    answer = do_read(node, open.fh, 4000, 0);
    memcpy(pieces, answer.data, answer.size);
    assert_non_null(strstr(pieces, "\nsize: 1000"));
    assert_int_equal(do_release(node, open.fh), 0);
}

static void test_control_file_offsets(void **state)
{
    (void)state;
    struct fuse_open_out open;
    uint64_t node = walk("ctl/version");
    static const uint64_t beyond[] = {100000, UINT32_MAX, INT64_MAX, UINT64_MAX, UINT64_C(1) << 63};
    assert_int_equal(do_open(node, O_RDONLY, &open), 0);
    struct answer answer = do_read(node, open.fh, 3, 4); /* the first read need not be at the start */
    assert_int_equal(answer.size, 3);
    assert_memory_equal(answer.data, "ion", 3);
    assert_int_equal(do_read(node, open.fh, 0, 0).size, 0);
    for (size_t i = 0; i < ARRAY_LENGTH(beyond); i++) {
        answer = do_read(node, open.fh, 10, beyond[i]);
        assert_true(answer.size == 0 && (answer.error == 0 || answer.error == -EINVAL));
    }
    assert_int_equal(do_release(node, open.fh), 0);
}

/* An open control file is that of the name: without an object there is nothing to read, with another one that is told. */
static void test_control_file_of_a_removed_object(void **state)
{
    (void)state;
    struct fuse_open_out open;
    make_object("a");
    uint64_t node = walk("ctl/shm/a/state");
    assert_int_equal(do_open(node, O_RDONLY, &open), 0);
    assert_int_equal(unlink("/dev/shm/a"), 0);
    assert_int_equal(do_read(node, open.fh, 100, 0).error, -ENOENT);
    make_object("a");
    assert_int_equal(truncate("/dev/shm/a", 4711), 0);
    struct answer answer = do_read(node, open.fh, 19, 0);
    assert_int_equal(answer.error, 0);
    assert_memory_equal(answer.data, "name: a\nsize: 4711\n", 19);
    assert_int_equal(do_release(node, open.fh), 0);
}

static void test_control_files_are_only_read(void **state)
{
    (void)state;
    struct fuse_open_out open;
    make_object("a");
    const uint64_t ids[] = {walk("ctl/version"), walk("ctl/shm/list"), walk("ctl/shm/a/state")};
    for (size_t i = 0; i < ARRAY_LENGTH(ids); i++) {
        assert_true(do_open(ids[i], O_WRONLY, &open) < 0);
        assert_true(do_open(ids[i], O_RDWR | O_TRUNC, &open) < 0);
        assert_int_equal(do_open(ids[i], O_RDONLY, &open), 0);
        assert_int_equal(open.open_flags & FOPEN_DIRECT_IO, FOPEN_DIRECT_IO);
        assert_int_equal(do_release(ids[i], open.fh), 0);
    }
}

/* OPEN and READ of it, in a process of its own: false where it ends by a signal, or reads something. */
static bool refuses_to_read(uint64_t node)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        struct fuse_open_out open;
        (void)signal(SIGSEGV, SIG_DFL);
        int error = do_open(node, O_RDONLY, &open);
        if (!error)
            error = do_read(node, open.fh, 100, 0).error;
        _exit(error ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
}

/* What the kernel never asks, because it knows the types; nothing in the daemon may break over it. */
static void test_open_of_what_is_no_file(void **state)
{
    (void)state;
    static const char *const paths[] = {"", "shm", "ctl/shm", "ctl/shm/a", "ctl/shm/a/native"};
    struct fuse_open_out open;
    make_object("a");
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++)
        if (!refuses_to_read(walk(paths[i])))
            fail_msg("/%s is read, or the daemon ends over it", paths[i]);
    assert_int_equal(do_opendir(walk("shm/a"), &open), -ENOTDIR);
    assert_int_equal(do_opendir(walk("ctl/version"), &open), -ENOTDIR);
    assert_int_equal(do_opendir(walk("ctl/shm/a/state"), &open), -ENOTDIR);
}

/* ---- what the control files say ---- */

static void must_say(const char *path, const char *words)
{
    char *text = read_all(path, 65536);
    if (!strstr(text, words))
        fail_msg("%s does not say \"%s\":\n%s", path, words, text);
    free(text);
}

static void test_contents(void **state)
{
    (void)state;
    make_object("a b");
    assert_int_equal(truncate("/dev/shm/a b", 4321), 0);
    must_say("ctl/version", "version: " IPCFS_VERSION "\n");
    must_say("ctl/version", "\nkernel_protocol: 7.");
    must_say("ctl/version", "\npassthrough: off\n");
    must_say("ctl/version", "\nthreads: ");
    must_say("ctl/shm/a b/state",
             "name: a b\nsize: 4321\nallocated: 0\nmode: 0600\nuid: 0\ngid: 0\nnlink: 1\nino: ");
    must_say("ctl/shm/a b/state.json", "\"name\":\"a b\",\"size\":4321,");
    must_say("ctl/shm/list", "name");
    must_say("ctl/shm/list", "a\\040b 4321 ");
    must_say("ctl/shm/list.json", "\"name\":\"a b\"");
    must_say("ctl/shm/limits", "size: 67108864\n");
    must_say("ctl/metrics", "\nipcfs_requests_total{op=\"lookup\"} ");
    must_say("ctl/metrics", "\nipcfs_handles 1\n");
    must_say("ctl/metrics", "\n# EOF\n");
    must_say("ctl/README", "shm/NAME/");
}

static const struct CMUnitTest tests[] = {
    TEST(test_create_write_and_read),
    TEST(test_act_as_caller),
    TEST(test_open_after_unlink),
    TEST(test_open_after_native_rename),
    TEST(test_open_in_a_rename_storm),
    TEST(test_pins_end),
    TEST(test_fallocate_and_lseek),
    TEST(test_control_files_in_small_reads),
    TEST(test_control_file_is_of_one_piece),
    TEST(test_control_file_offsets),
    TEST(test_control_file_of_a_removed_object),
    TEST(test_control_files_are_only_read),
    TEST(test_open_of_what_is_no_file),
    TEST(test_contents),
};

const struct suite files_suite = {"files", tests, ARRAY_LENGTH(tests)};
