/* SPDX-License-Identifier: MIT */
/* What holds for requests of every kind: one reply, the right errno for what is not there, nothing left behind. */
#include "wire.h"

#include "failing.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* An id that no node ever has, and one that is a node's but later. */
enum { UNKNOWN = 1000000 };

/* One of each sort of node; looked up once each. */
struct sorts {
    uint64_t root, shm, ctl, ctl_shm, version, object, ctl_directory, state, native;
};

static struct sorts look_up_sorts(void)
{
    make_object("a");
    return (struct sorts){
        .root = FUSE_ROOT_ID,
        .shm = walk("shm"),
        .ctl = walk("ctl"),
        .ctl_shm = walk("ctl/shm"),
        .version = walk("ctl/version"),
        .object = walk("shm/a"),
        .ctl_directory = walk("ctl/shm/a"),
        .state = walk("ctl/shm/a/state"),
        .native = walk("ctl/shm/a/native"),
    };
}

/* ---- FUSE_INIT ---- */

static void test_init(void **state)
{
    (void)state;
    assert_int_equal(wire.fs.protocol_major, FUSE_KERNEL_VERSION);
    assert_int_equal(wire.fs.protocol_minor, FUSE_KERNEL_MINOR_VERSION);
    assert_false(wire.fs.passthrough);
    assert_string_equal(wire.fs.passthrough_reason, "switched off by -o passthrough=off");
    const struct fuse_init_out *out = &wire.init;
    assert_int_equal(out->flags & FUSE_ATOMIC_O_TRUNC, 0);
    assert_int_equal(out->flags & FUSE_PARALLEL_DIROPS, FUSE_PARALLEL_DIROPS);
    assert_int_equal(out->flags & (FUSE_HANDLE_KILLPRIV | FUSE_HANDLE_KILLPRIV_V2 | FUSE_WRITEBACK_CACHE |
                                   FUSE_DO_READDIRPLUS | FUSE_POSIX_ACL),
                     0);
}

/* ---- every opcode ---- */

/* Zeros long enough for any body, and two names behind them. */
static void begin_blank(uint32_t opcode, uint64_t node)
{
    static const char zeros[256];
    begin(opcode, node);
    add(zeros, sizeof zeros);
    add_name("x");
    add_name("y");
}

static bool has_no_reply(uint32_t opcode)
{
    return opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET;
}

/* Libfuse's own; an interrupt is answered at a later request, if at all, a NOTIFY_REPLY that nobody asked for never. */
static bool is_special(uint32_t opcode)
{
    return opcode == FUSE_INIT || opcode == FUSE_DESTROY || opcode == FUSE_INTERRUPT ||
           opcode == FUSE_NOTIFY_REPLY;
}

/* Opcodes known, unknown and to come; ask() counts the replies. */
static void test_one_reply_to_every_opcode(void **state)
{
    (void)state;
    static const uint32_t high[] = {4095, 4096, 1048576, 436207616, UINT32_MAX};
    struct sorts sorts = look_up_sorts();
    const uint64_t ids[] = {sorts.root,          sorts.shm,   sorts.ctl_shm, sorts.version, sorts.object,
                            sorts.ctl_directory, sorts.state, sorts.native,  UNKNOWN,       0,
                            UINT64_MAX};
    for (size_t i = 0; i < ARRAY_LENGTH(ids); i++) {
        for (uint32_t opcode = 0; opcode < 64 + ARRAY_LENGTH(high); opcode++) {
            uint32_t code = opcode < 64 ? opcode : high[opcode - 64];
            if (is_special(code))
                continue;
            begin_blank(code, ids[i]);
            if (has_no_reply(code))
                tell();
            else
                (void)ask();
        }
    }
}

/* What is not offered is ENOSYS, which the kernel remembers: it does not ask again. */
static void test_not_offered(void **state)
{
    (void)state;
    static const uint32_t opcodes[] = {
        FUSE_FSYNC, FUSE_SETXATTR, FUSE_GETXATTR,    FUSE_LISTXATTR,       FUSE_REMOVEXATTR, FUSE_ACCESS,
        FUSE_BMAP,  FUSE_IOCTL,    FUSE_READDIRPLUS, FUSE_COPY_FILE_RANGE, FUSE_SYNCFS,      FUSE_TMPFILE,
        63,         4095};
    struct sorts sorts = look_up_sorts();
    for (size_t i = 0; i < ARRAY_LENGTH(opcodes); i++) {
        begin_blank(opcodes[i], sorts.object);
        assert_int_equal(ask().error, -ENOSYS);
    }
}

/* FUSE_DESTROY ends a session; a late request still gets its reply. */
static void test_destroy(void **state)
{
    (void)state;
    begin(FUSE_DESTROY, 0);
    assert_int_equal(ask().error, 0);
    assert_true(do_getattr(FUSE_ROOT_ID, NULL) <= 0);
}

/* An interrupt that overtakes its request: the request is answered, once, as it would be. */
static void test_interrupt_first(void **state)
{
    (void)state;
    struct fuse_interrupt_in in = {.unique = wire.unique + 4};
    begin(FUSE_INTERRUPT, 0);
    add(&in, sizeof in);
    tell();
    assert_int_equal(do_getattr(FUSE_ROOT_ID, NULL), 0);
    assert_int_equal(do_getattr(FUSE_ROOT_ID, NULL), 0);
}

/* ---- what is not there ---- */

static void must_be_stale(uint64_t id)
{
    struct fuse_entry_out entry;
    struct fuse_open_out open;
    const struct fuse_setattr_in chmod = {.valid = FATTR_MODE, .mode = 0777};
    assert_int_equal(do_lookup(id, "a", &entry), -ESTALE);
    assert_int_equal(do_getattr(id, NULL), -ESTALE);
    assert_int_equal(do_setattr(id, &chmod, NULL), -ESTALE);
    assert_int_equal(do_open(id, O_RDONLY, &open), -ESTALE);
    assert_int_equal(do_opendir(id, &open), -ESTALE);
    assert_int_equal(do_link(id, walk("shm"), "new", &entry), -ESTALE);
    static const uint32_t opcodes[] = {FUSE_READLINK, FUSE_STATFS, OPCODE_STATX};
    for (size_t i = 0; i < ARRAY_LENGTH(opcodes); i++) {
        begin_blank(opcodes[i], id);
        int error = ask().error;
        assert_true(error == -ESTALE || (opcodes[i] == OPCODE_STATX && error == -ENOSYS));
    }
}

static void test_unknown_nodes(void **state)
{
    (void)state;
    const uint64_t first = wire.fs.tree.count + 1;
    const uint64_t ids[] = {0, first, UNKNOWN, UINT64_MAX, UINT64_MAX - 1};
    for (size_t i = 0; i < ARRAY_LENGTH(ids); i++)
        must_be_stale(ids[i]);
    assert_int_equal(nodes(), 0);
    assert_int_equal(handles(), 0);
}

static void test_forgotten_node(void **state)
{
    (void)state;
    make_object("a");
    uint64_t id = walk("shm/a");
    uint64_t control_id = walk("ctl/shm/a");
    assert_int_equal(do_getattr(id, NULL), 0);
    do_forget(id, 1);
    do_forget(control_id, 1);
    must_be_stale(id);
    must_be_stale(control_id);
}

static void test_node_of_a_removed_object(void **state)
{
    (void)state;
    struct fuse_open_out open;
    struct fuse_entry_out entry;
    const struct fuse_setattr_in chmod = {.valid = FATTR_MODE, .mode = 0777};
    make_object("a");
    uint64_t id = walk("shm/a");
    assert_int_equal(unlink("/dev/shm/a"), 0);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(do_getattr(id, NULL), -ESTALE);
        assert_int_equal(do_setattr(id, &chmod, NULL), -ESTALE);
        assert_int_equal(do_open(id, O_RDONLY, &open), -ESTALE);
        assert_int_equal(do_link(id, walk("shm"), "new", &entry), -ESTALE);
        if (!again)
            make_object("a"); /* another object is not meant */
    }
    do_forget(id, 1);
    assert_int_equal(handles(), 0);
}

static void must_be_refused(int error)
{
    if (error != -ESTALE && error != -EPERM)
        fail_msg("%s instead of ESTALE or EPERM", strerror(-error));
}

/* Names in a directory that is not known. It can only be one in which nothing can be made: EPERM is right as well. */
static void test_unknown_parents(void **state)
{
    (void)state;
    struct fuse_entry_out entry;
    struct fuse_open_out open;
    make_object("a");
    uint64_t object = walk("shm/a");
    uint64_t shm = walk("shm");
    must_be_refused(do_unlink(UNKNOWN, "a"));
    must_be_refused(do_rename(UNKNOWN, "a", shm, "b", 0));
    must_be_refused(do_rename(shm, "a", UNKNOWN, "b", 0));
    must_be_refused(do_create(UNKNOWN, "b", O_RDWR, 0600, &entry, &open));
    must_be_refused(do_mknod(UNKNOWN, "b", S_IFREG | 0600, &entry));
    must_be_refused(do_link(object, UNKNOWN, "b", &entry));
    assert_int_equal(access("/dev/shm/a", F_OK), 0);
    assert_int_equal(access("/dev/shm/b", F_OK), -1);
}

static int write_error(uint64_t node, uint64_t handle)
{
    return do_write(node, handle, "x", 1, 0, 0);
}

static int blank_error(uint32_t opcode, uint64_t node, uint64_t handle)
{
    static const char zeros[256];
    begin(opcode, node);
    add(&handle, sizeof handle); /* the first member of the body */
    add(zeros, sizeof zeros);
    return ask().error;
}

static void must_be_bad(uint64_t node, uint64_t handle)
{
    const struct fuse_setattr_in truncate = {.valid = FATTR_SIZE | FATTR_FH, .fh = handle};
    assert_int_equal(do_read(node, handle, 10, 0).error, -EBADF);
    assert_int_equal(write_error(node, handle), -EBADF);
    assert_int_equal(do_readdir(node, handle, 4096, 0).error, -EBADF);
    assert_int_equal(blank_error(FUSE_FALLOCATE, node, handle), -EBADF);
    assert_int_equal(blank_error(FUSE_LSEEK, node, handle), -EBADF);
    assert_int_equal(do_setattr(node, &truncate, NULL), -EBADF);
}

static void test_unknown_handles(void **state)
{
    (void)state;
    struct fuse_open_out open;
    make_object("a");
    uint64_t node = walk("shm/a");
    static const uint64_t ids[] = {0, 1, 12345, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_LENGTH(ids); i++)
        must_be_bad(node, ids[i]);
    /* One that was released. */
    assert_int_equal(do_open(node, O_RDWR, &open), 0);
    assert_int_equal(write_error(node, open.fh), 1);
    assert_int_equal(do_release(node, open.fh), 0);
    must_be_bad(node, open.fh);
    /* A second RELEASE of the same must be answered and do no harm. */
    (void)do_release(node, open.fh);
    (void)do_releasedir(node, open.fh);
    assert_int_equal(handles(), 0);
}

/* A handle that exists, but of another sort. */
static void test_wrong_sort_of_handle(void **state)
{
    (void)state;
    struct fuse_open_out file;
    struct fuse_open_out directory;
    struct fuse_open_out control;
    make_object("a");
    uint64_t node = walk("shm/a");
    uint64_t shm = walk("shm");
    assert_int_equal(do_open(node, O_RDWR, &file), 0);
    assert_int_equal(do_opendir(shm, &directory), 0);
    assert_int_equal(do_open(walk("ctl/version"), O_RDONLY, &control), 0);
    assert_int_equal(do_readdir(shm, file.fh, 4096, 0).error, -EBADF);
    assert_int_equal(do_readdir(shm, control.fh, 4096, 0).error, -EBADF);
    int error = do_read(node, directory.fh, 10, 0).error;
    assert_true(error == -EISDIR || error == -EBADF);
    assert_int_equal(write_error(node, directory.fh), -EBADF);
    assert_int_equal(write_error(node, control.fh), -EBADF);
    assert_int_equal(blank_error(FUSE_FALLOCATE, node, directory.fh), -EBADF);
    assert_int_equal(blank_error(FUSE_FALLOCATE, node, control.fh), -EBADF);
    assert_true(blank_error(FUSE_LSEEK, node, control.fh) < 0);
    assert_int_equal(do_release(node, file.fh), 0);
    assert_int_equal(do_release(node, control.fh), 0);
    assert_int_equal(do_releasedir(shm, directory.fh), 0);
}

/* ---- the tree's own entries ---- */

static void must_not_change(uint64_t node)
{
    static const struct fuse_setattr_in changes[] = {
        {.valid = FATTR_MODE, .mode = 0777},
        {.valid = FATTR_UID, .uid = 0},
        {.valid = FATTR_GID, .gid = 1},
        {.valid = FATTR_SIZE, .size = 0},
        {.valid = FATTR_ATIME | FATTR_MTIME, .atime = 1, .mtime = 1},
        {.valid = FATTR_MTIME | FATTR_MTIME_NOW},
        {.valid = FATTR_MODE | FATTR_UID | FATTR_GID | FATTR_SIZE | FATTR_MTIME, .mode = 0777, .uid = 1},
    };
    struct fuse_attr then;
    struct fuse_attr now;
    assert_int_equal(do_getattr(node, &then), 0);
    const struct tree_entry *entry = tree_by_id(&wire.fs.tree, node);
    bool written = entry && entry->file && entry->file->write;
    for (size_t i = 0; i < ARRAY_LENGTH(changes); i++) {
        bool nothing = written && changes[i].valid == FATTR_SIZE; /* what O_TRUNC sends means nothing there */
        assert_int_equal(do_setattr(node, &changes[i], NULL), nothing ? 0 : -EPERM);
    }
    assert_int_equal(do_getattr(node, &now), 0);
    assert_memory_equal(&then, &now, sizeof then);
}

/* Above all not those of shm: a change would reach the machine's /dev/shm. */
static void test_tree_entries_cannot_be_changed(void **state)
{
    (void)state;
    struct stat then;
    struct stat now;
    struct sorts sorts = look_up_sorts();
    assert_int_equal(stat("/dev/shm", &then), 0);
    for (uint64_t id = 1; id <= wire.fs.tree.count; id++)
        must_not_change(id);
    must_not_change(sorts.ctl_directory);
    must_not_change(sorts.state);
    must_not_change(sorts.native);
    assert_int_equal(stat("/dev/shm", &now), 0);
    assert_true(then.st_mode == now.st_mode && then.st_uid == now.st_uid &&
                then.st_mtim.tv_nsec == now.st_mtim.tv_nsec);
}

static int body_error(uint32_t opcode, uint64_t node, size_t zeros, const char *name, const char *second)
{
    static const char blank[64];
    begin(opcode, node);
    add(blank, zeros);
    add_name(name);
    if (second)
        add_name(second);
    return ask().error;
}

static void test_nothing_can_be_made_elsewhere(void **state)
{
    (void)state;
    struct fuse_entry_out entry;
    struct fuse_open_out open;
    struct sorts sorts = look_up_sorts();
    const uint64_t parents[] = {sorts.root, sorts.ctl, sorts.ctl_shm, sorts.ctl_directory};
    for (size_t i = 0; i < ARRAY_LENGTH(parents); i++) {
        assert_int_equal(do_create(parents[i], "new", O_RDWR, 0600, &entry, &open), -EPERM);
        assert_int_equal(do_mknod(parents[i], "new", S_IFREG | 0600, &entry), -EPERM);
        assert_int_equal(do_link(sorts.object, parents[i], "new", &entry), -EPERM);
        assert_int_equal(do_unlink(parents[i], "shm"), -EPERM);
        assert_int_equal(do_rename(parents[i], "shm", sorts.shm, "new", 0), -EPERM);
        assert_int_equal(do_rename(sorts.shm, "a", parents[i], "new", 0), -EPERM);
    }
    const uint64_t all[] = {sorts.root, sorts.shm, sorts.ctl, sorts.ctl_shm, sorts.ctl_directory};
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++) {
        assert_int_equal(body_error(FUSE_MKDIR, all[i], sizeof(struct fuse_mkdir_in), "new", NULL), -EPERM);
        assert_int_equal(body_error(FUSE_RMDIR, all[i], 0, "shm", NULL),
                         all[i] == sorts.shm ? -ENOTDIR : -EPERM);
        assert_int_equal(body_error(FUSE_SYMLINK, all[i], 0, "new", "target"), -EPERM);
    }
    static const uint32_t types[] = {S_IFIFO, S_IFCHR, S_IFBLK, S_IFSOCK, S_IFLNK, S_IFDIR};
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++)
        assert_int_equal(do_mknod(sorts.shm, "new", types[i] | 0600, &entry), -EPERM);
    assert_int_equal(do_link(sorts.state, sorts.shm, "new", &entry), -EPERM);
    assert_int_equal(do_link(sorts.version, sorts.shm, "new", &entry), -EPERM);
    assert_int_equal(access("/dev/shm/new", F_OK), -1);
    assert_int_equal(access("/dev/shm/a", F_OK), 0);
}

/* ---- malformed names ---- */

static void must_refuse_name(const char *name)
{
    struct fuse_entry_out entry;
    struct fuse_open_out open;
    uint64_t shm = walk("shm");
    uint64_t object = walk("shm/a");
    bool is_long = strlen(name) > NAME_MAX;
    assert_int_equal(do_lookup(shm, name, &entry), is_long ? -ENAMETOOLONG : -ENOENT);
    assert_true(do_lookup(walk("ctl/shm"), name, &entry) < 0);
    assert_true(do_lookup(walk("ctl/shm/a"), name, &entry) < 0);
    assert_true(do_lookup(FUSE_ROOT_ID, name, &entry) < 0);
    assert_true(do_create(shm, name, O_RDWR, 0600, &entry, &open) < 0);
    assert_true(do_mknod(shm, name, S_IFREG | 0600, &entry) < 0);
    assert_true(do_link(object, shm, name, &entry) < 0);
    assert_true(do_unlink(shm, name) < 0);
    assert_true(do_rename(shm, name, shm, "b", 0) < 0);
    assert_true(do_rename(shm, "a", shm, name, 0) < 0);
    if (is_long)
        assert_int_equal(do_create(shm, name, O_RDWR, 0600, &entry, &open), -ENAMETOOLONG);
}

static void test_malformed_names(void **state)
{
    (void)state;
    static char longer[NAME_MAX + 2];
    static char longest[5000];
    memset(longer, 'n', sizeof longer - 1);
    memset(longest, 'n', sizeof longest - 1);
    make_object("a");
    static const char *const names[] = {"", ".", "..", longer, longest};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        must_refuse_name(names[i]);
    assert_int_equal(access("/dev/shm/a", F_OK), 0);
    assert_int_equal(handles(), 0);
}

/* ---- out of memory ---- */

struct attempt {
    const char *name;
    uint32_t opcode;
    uint64_t node;
    void (*body)(void);
};

static void name_body(void)
{
    add_name("a");
}

static void new_name_body(void)
{
    add_create("new", O_RDWR, 0600);
}

static void mknod_body(void)
{
    const struct fuse_mknod_in in = {.mode = S_IFREG | 0600};
    add(&in, sizeof in);
    add_name("new");
}

static void open_body(void)
{
    add_open(O_RDONLY);
}

static void getattr_body(void)
{
    const struct fuse_getattr_in in = {0};
    add(&in, sizeof in);
}

static uint64_t the_only_handle(void)
{
    for (size_t i = 0; i < HANDLE_SHARDS; i++)
        if (wire.fs.handles.shards[i].by_id)
            return wire.fs.handles.shards[i].by_id->id;
    return 0;
}

static void read_body(void)
{
    const struct fuse_read_in in = {.fh = the_only_handle(), .size = 4096};
    add(&in, sizeof in);
}

/* Each allocation in turn fails: there is one reply, and what was refused is not half done. */
static void run_out_of_memory(const struct attempt *attempt)
{
    for (unsigned number = 1;; number++) {
        size_t nodes_before = nodes();
        size_t handles_before = handles();
        begin(attempt->opcode, attempt->node);
        attempt->body();
        failing_arm(number + 1); /* the first is the buffer of the test's own receive() */
        int error = ask().error;
        if (!failing_disarm()) {
            assert_int_equal(error, 0);
            assert_true(number > 1);
            return;
        }
        if (error == 0)
            fail_msg("%s, failure %u: success", attempt->name, number);
        if (error != -ENOMEM)
            fail_msg("%s, failure %u: %s", attempt->name, number, strerror(-error));
        if (nodes() != nodes_before || handles() != handles_before)
            fail_msg("%s, failure %u: a node or a handle is left", attempt->name, number);
        if (access("/dev/shm/new", F_OK) == 0)
            fail_msg("%s, failure %u: the object is left", attempt->name, number);
    }
}

static void test_lookup_out_of_memory(void **state)
{
    (void)state;
    make_object("a");
    run_out_of_memory(&(struct attempt){"LOOKUP", FUSE_LOOKUP, walk("shm"), name_body});
}

static void test_control_lookup_out_of_memory(void **state)
{
    (void)state;
    make_object("a");
    run_out_of_memory(&(struct attempt){"LOOKUP in ctl", FUSE_LOOKUP, walk("ctl/shm"), name_body});
}

static void test_getattr_out_of_memory(void **state)
{
    (void)state;
    make_object("a");
    run_out_of_memory(&(struct attempt){"GETATTR", FUSE_GETATTR, walk("shm/a"), getattr_body});
}

static void test_open_out_of_memory(void **state)
{
    (void)state;
    make_object("a");
    run_out_of_memory(&(struct attempt){"OPEN", FUSE_OPEN, walk("shm/a"), open_body});
}

static void test_opendir_out_of_memory(void **state)
{
    (void)state;
    run_out_of_memory(&(struct attempt){"OPENDIR", FUSE_OPENDIR, walk("shm"), open_body});
}

static void test_create_out_of_memory(void **state)
{
    (void)state;
    run_out_of_memory(&(struct attempt){"CREATE", FUSE_CREATE, walk("shm"), new_name_body});
}

static void test_mknod_out_of_memory(void **state)
{
    (void)state;
    run_out_of_memory(&(struct attempt){"MKNOD", FUSE_MKNOD, walk("shm"), mknod_body});
}

static void test_read_out_of_memory(void **state)
{
    (void)state;
    struct fuse_open_out open;
    make_object("a");
    uint64_t node = walk("shm/a");
    assert_int_equal(do_open(node, O_RDWR, &open), 0);
    run_out_of_memory(&(struct attempt){"READ", FUSE_READ, node, read_body});
}

static void test_readdir_out_of_memory(void **state)
{
    (void)state;
    struct fuse_open_out open;
    make_object("a");
    uint64_t node = walk("ctl");
    assert_int_equal(do_opendir(node, &open), 0);
    run_out_of_memory(&(struct attempt){"READDIR", FUSE_READDIR, node, read_body});
}

static void read_control_out_of_memory(const char *path)
{
    struct fuse_open_out open;
    make_object("a");
    uint64_t node = walk(path);
    assert_int_equal(do_open(node, O_RDONLY, &open), 0);
    run_out_of_memory(&(struct attempt){path, FUSE_READ, node, read_body});
}

static void test_control_read_out_of_memory(void **state)
{
    (void)state;
    read_control_out_of_memory("ctl/shm/a/state");
}

static void test_list_out_of_memory(void **state)
{
    (void)state;
    read_control_out_of_memory("ctl/shm/list");
}

static void test_list_json_out_of_memory(void **state)
{
    (void)state;
    read_control_out_of_memory("ctl/shm/list.json");
}

static void test_readme_out_of_memory(void **state)
{
    (void)state;
    read_control_out_of_memory("ctl/README");
}

static const struct CMUnitTest tests[] = {
    TEST(test_init),
    TEST(test_one_reply_to_every_opcode),
    TEST(test_not_offered),
    TEST(test_destroy),
    TEST(test_interrupt_first),
    TEST(test_unknown_nodes),
    TEST(test_forgotten_node),
    TEST(test_node_of_a_removed_object),
    TEST(test_unknown_parents),
    TEST(test_unknown_handles),
    TEST(test_wrong_sort_of_handle),
    TEST(test_tree_entries_cannot_be_changed),
    TEST(test_nothing_can_be_made_elsewhere),
    TEST(test_malformed_names),
    TEST(test_lookup_out_of_memory),
    TEST(test_control_lookup_out_of_memory),
    TEST(test_getattr_out_of_memory),
    TEST(test_open_out_of_memory),
    TEST(test_opendir_out_of_memory),
    TEST(test_create_out_of_memory),
    TEST(test_mknod_out_of_memory),
    TEST(test_read_out_of_memory),
    TEST(test_readdir_out_of_memory),
    TEST(test_control_read_out_of_memory),
    TEST(test_list_out_of_memory),
    TEST(test_list_json_out_of_memory),
    TEST(test_readme_out_of_memory),
};

const struct suite requests_suite = {"requests", tests, ARRAY_LENGTH(tests)};
