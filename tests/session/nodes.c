/* SPDX-License-Identifier: MIT */
/* Nodes as the kernel sees them: lookups and forgets, names that come and go, attributes. */
#include "wire.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct fuse_entry_out must_lookup(uint64_t parent, const char *name)
{
    struct fuse_entry_out entry;
    int error = do_lookup(parent, name, &entry);
    if (error)
        fail_msg("LOOKUP of %s: %s", name, strerror(-error));
    return entry;
}

/* ---- lookups and forgets ---- */

static void test_lookups_and_forgets(void **state)
{
    (void)state;
    uint64_t shm = walk("shm");
    make_object("a");
    assert_int_equal(nodes(), 0);
    struct fuse_entry_out entry = must_lookup(shm, "a");
    for (int i = 0; i < 4; i++)
        assert_int_equal(must_lookup(shm, "a").nodeid, entry.nodeid);
    assert_int_equal(nodes(), 1);
    do_forget(entry.nodeid, 4);
    assert_int_equal(nodes(), 1);
    do_forget(entry.nodeid, 1);
    assert_int_equal(nodes(), 0);
    assert_true(must_lookup(shm, "a").nodeid > entry.nodeid); /* never the same id again */
    assert_int_equal(must_lookup(shm, "a").entry_valid, 0);
}

static void test_failed_lookups_count_nothing(void **state)
{
    (void)state;
    struct fuse_entry_out entry;
    uint64_t shm = walk("shm");
    make_object("a");
    uint64_t object = walk("shm/a");
    uint64_t control = walk("ctl/shm/a");
    size_t known = nodes();
    assert_int_equal(do_lookup(shm, "missing", &entry), -ENOENT);
    assert_int_equal(do_lookup(walk("ctl/shm"), "missing", &entry), -ENOENT);
    assert_int_equal(do_lookup(control, "missing", &entry), -ENOENT);
    assert_int_equal(do_lookup(object, "x", &entry), -ENOTDIR);
    assert_int_equal(nodes(), known);
}

/* The tree's own entries have no count: forgets of them mean nothing. */
static void test_forget_of_the_tree(void **state)
{
    (void)state;
    uint64_t shm = walk("shm");
    for (uint64_t id = 0; id <= wire.fs.tree.count + 5; id++)
        do_forget(id, UINT64_MAX);
    assert_int_equal(walk("shm"), shm);
    assert_int_equal(nodes(), 0);
}

static void batch_forget(const struct fuse_forget_one *forgets, uint32_t count)
{
    const struct fuse_batch_forget_in in = {.count = count};
    begin(FUSE_BATCH_FORGET, 0);
    add(&in, sizeof in);
    add(forgets, count * sizeof *forgets);
    tell();
}

static void test_batch_forget(void **state)
{
    (void)state;
    make_object("a");
    make_object("b");
    make_object("c");
    uint64_t a = walk("shm/a");
    uint64_t b = walk("shm/b");
    uint64_t c = walk("shm/c");
    assert_int_equal(walk("shm/b"), b);
    const struct fuse_forget_one forgets[] = {{a, 1}, {b, 1}, {1, 5}, {99999, 1}, {a, 1}, {c, 1}};
    batch_forget(forgets, ARRAY_LENGTH(forgets));
    assert_int_equal(nodes(), 1);
    assert_int_equal(do_getattr(b, NULL), 0);
    batch_forget(forgets, 0);
    batch_forget(&forgets[1], 1);
    assert_int_equal(nodes(), 0);
}

/* A node in use outlives its forget, not its release. */
static void test_forgotten_while_open(void **state)
{
    (void)state;
    struct fuse_open_out open;
    make_object("a");
    uint64_t node = walk("shm/a");
    assert_int_equal(do_open(node, O_RDWR, &open), 0);
    do_forget(node, 1);
    assert_int_equal(do_write(node, open.fh, "x", 1, 0, 0), 1);
    assert_int_equal(walk("shm/a"), node);
    do_forget(node, 1);
    assert_int_equal(do_release(node, open.fh), 0);
    assert_int_equal(nodes(), 0);
    assert_int_equal(handles(), 0);
}

/* ---- interrupted ---- */

/* What a reply would have handed out is taken back when it is not accepted. */
static void must_leave_nothing(size_t known)
{
    ask_and_go_away();
    assert_int_equal(nodes(), known);
    assert_int_equal(handles(), 0);
}

static void test_interrupted_lookup(void **state)
{
    (void)state;
    make_object("a");
    uint64_t shm = walk("shm");
    begin(FUSE_LOOKUP, shm);
    add_name("a");
    must_leave_nothing(0);
}

static void test_interrupted_lookup_of_a_known_one(void **state)
{
    (void)state;
    make_object("a");
    uint64_t shm = walk("shm");
    (void)walk("shm/a");
    begin(FUSE_LOOKUP, shm);
    add_name("a");
    must_leave_nothing(1);
}

static void test_interrupted_open(void **state)
{
    (void)state;
    make_object("a");
    begin(FUSE_OPEN, walk("shm/a"));
    add_open(O_RDWR);
    must_leave_nothing(1);
}

static void test_interrupted_opendir(void **state)
{
    (void)state;
    uint64_t shm = walk("shm");
    begin(FUSE_OPENDIR, shm);
    add_open(O_RDONLY);
    must_leave_nothing(0);
}

static void test_interrupted_create(void **state)
{
    (void)state;
    uint64_t shm = walk("shm");
    begin(FUSE_CREATE, shm);
    add_create("new", O_RDWR, 0600);
    must_leave_nothing(0);
}

static void test_interrupted_mknod(void **state)
{
    (void)state;
    const struct fuse_mknod_in in = {.mode = S_IFREG | 0600};
    uint64_t shm = walk("shm");
    begin(FUSE_MKNOD, shm);
    add(&in, sizeof in);
    add_name("new");
    must_leave_nothing(0);
}

static void test_interrupted_link(void **state)
{
    (void)state;
    make_object("a");
    uint64_t shm = walk("shm");
    const struct fuse_link_in in = {.oldnodeid = walk("shm/a")};
    begin(FUSE_LINK, shm);
    add(&in, sizeof in);
    add_name("b");
    must_leave_nothing(1);
}

/* ---- names ---- */

static void test_hard_links_are_one_node(void **state)
{
    (void)state;
    struct fuse_entry_out entry;
    make_object("a");
    uint64_t shm = walk("shm");
    uint64_t node = walk("shm/a");
    assert_int_equal(do_link(node, shm, "b", &entry), 0);
    assert_int_equal(entry.nodeid, node);
    assert_int_equal(entry.attr.nlink, 2);
    assert_int_equal(walk("shm/b"), node);
    assert_int_equal(do_link(node, shm, "b", &entry), -EEXIST);
    do_forget(node, 3);
    assert_int_equal(nodes(), 0);
    /* Made natively, too. */
    assert_int_equal(link("/dev/shm/a", "/dev/shm/c"), 0);
    assert_int_equal(walk("shm/a"), walk("shm/c"));
    assert_int_not_equal(walk("ctl/shm/a"), walk("ctl/shm/c"));
}

static void test_rename(void **state)
{
    (void)state;
    struct fuse_entry_out entry;
    make_object("a");
    make_object("b");
    uint64_t shm = walk("shm");
    uint64_t a = walk("shm/a");
    uint64_t b = walk("shm/b");
    assert_int_equal(do_rename(shm, "a", shm, "c", 0), 0);
    assert_int_equal(do_getattr(a, NULL), 0); /* the node has learnt its name */
    assert_int_equal(do_lookup(shm, "a", &entry), -ENOENT);
    assert_int_equal(walk("shm/c"), a);
    assert_int_equal(do_rename(shm, "c", shm, "b", RENAME_NOREPLACE), -EEXIST);
    assert_int_equal(do_rename(shm, "c", shm, "b", RENAME_EXCHANGE), 0);
    assert_int_equal(do_getattr(a, NULL), 0);
    assert_int_equal(do_getattr(b, NULL), 0);
    assert_int_equal(walk("shm/b"), a);
    assert_int_equal(walk("shm/c"), b);
    assert_int_equal(do_rename(shm, "c", shm, "b", 0), 0);
    assert_int_equal(do_getattr(a, NULL), -ESTALE);
    assert_int_equal(do_rename(shm, "missing", shm, "b", 0), -ENOENT);
    assert_int_equal(do_rename(shm, "b", shm, "sem.b", 0), -EPERM);
}

static void test_unlink(void **state)
{
    (void)state;
    struct fuse_entry_out entry;
    make_object("a");
    uint64_t shm = walk("shm");
    uint64_t node = walk("shm/a");
    wire.asker = stranger;
    assert_int_equal(do_unlink(shm, "a"), -EPERM); /* sticky */
    wire.asker = (struct asker){0};
    assert_int_equal(do_unlink(shm, "a"), 0);
    assert_int_equal(do_unlink(shm, "a"), -ENOENT);
    assert_int_equal(access("/dev/shm/a", F_OK), -1);
    assert_int_equal(do_lookup(shm, "a", &entry), -ENOENT);
    assert_int_equal(do_getattr(node, NULL), -ESTALE);
    make_object("a");
    assert_int_not_equal(walk("shm/a"), node);
}

static void test_hidden_names(void **state)
{
    (void)state;
    struct fuse_entry_out entry;
    struct fuse_open_out open;
    uint64_t shm = walk("shm");
    assert_int_equal(mkfifo("/dev/shm/fifo", 0666), 0);
    assert_int_equal(symlink("/etc/hostname", "/dev/shm/link"), 0);
    assert_int_equal(do_lookup(shm, "fifo", &entry), -ENOENT);
    assert_int_equal(do_lookup(shm, "link", &entry), -ENOENT);
    assert_int_equal(do_lookup(walk("ctl/shm"), "link", &entry), -ENOENT);
    assert_true(do_create(shm, "fifo", O_RDWR, 0600, &entry, &open) < 0);
    assert_true(do_create(shm, "link", O_RDWR | O_TRUNC, 0600, &entry, &open) < 0);
    assert_int_equal(do_create(shm, "sem.x", O_RDWR, 0600, &entry, &open), -EPERM);
    assert_int_equal(do_mknod(shm, ".ipcfs.x", S_IFREG | 0600, &entry), -EPERM);
    assert_int_equal(nodes(), 0);
}

/* ---- control directories ---- */

static void test_reserved_names(void **state)
{
    (void)state;
    struct fuse_entry_out entry;
    make_object("list");
    make_object("@list");
    uint64_t controls = walk("ctl/shm");
    uint64_t file = walk("ctl/shm/list");
    assert_true(file <= wire.fs.tree.count); /* the fixed file, not the object's directory */
    uint64_t first = walk("ctl/shm/@list/state");
    uint64_t second = walk("ctl/shm/@@list/state");
    assert_int_not_equal(first, second);
    assert_int_equal(do_lookup(controls, "@@@list", &entry), -ENOENT);
    assert_int_equal(do_lookup(controls, "@limits", &entry), -ENOENT);
}

static void test_readlink(void **state)
{
    (void)state;
    make_object("a b");
    uint64_t native = walk("ctl/shm/a b/native");
    begin(FUSE_READLINK, native);
    struct answer answer = ask();
    assert_int_equal(answer.size, strlen("/dev/shm/a b"));
    assert_memory_equal(answer.data, "/dev/shm/a b", answer.size);
    const uint64_t others[] = {walk("shm"), walk("shm/a b"), walk("ctl/shm/a b"), walk("ctl/shm/a b/state"),
                               walk("ctl/version")};
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
        begin(FUSE_READLINK, others[i]);
        assert_int_equal(ask().error, -EINVAL);
    }
}

/* ---- attributes ---- */

static void test_attributes(void **state)
{
    (void)state;
    struct fuse_attr attr;
    struct stat native;
    make_object("a");
    assert_int_equal(truncate("/dev/shm/a", 12345), 0);
    assert_int_equal(chmod("/dev/shm/a", 0741), 0);
    assert_int_equal(chown("/dev/shm/a", 11, 22), 0);
    assert_int_equal(stat("/dev/shm/a", &native), 0);
    struct fuse_entry_out entry = must_lookup(walk("shm"), "a");
    assert_int_equal(do_getattr(entry.nodeid, &attr), 0);
    assert_memory_equal(&attr, &entry.attr, sizeof attr);
    assert_int_equal(attr.size, 12345);
    assert_int_equal(attr.mode, S_IFREG | 0741);
    assert_true(attr.uid == 11 && attr.gid == 22 && attr.nlink == 1 && attr.ino == native.st_ino);
    assert_int_equal(do_getattr(walk("ctl/shm/a"), &attr), 0);
    assert_true(S_ISDIR(attr.mode));
    assert_int_equal(do_getattr(walk("ctl/shm/a/state"), &attr), 0);
    assert_int_equal(attr.mode, S_IFREG | 0444);
    assert_int_equal(do_getattr(walk("ctl/shm/a/native"), &attr), 0);
    assert_true(S_ISLNK(attr.mode));
}

/*
 * Owner and sticky bit of shm are those of the native directory; a change is told to the kernel, which keeps them, at
 * the next look at a name in it.
 */
static void test_attributes_of_shm(void **state)
{
    (void)state;
    struct fuse_attr attr;
    struct fuse_entry_out entry;
    uint64_t shm = walk("shm");
    assert_int_equal(do_getattr(shm, &attr), 0);
    assert_int_equal(attr.mode, S_IFDIR | 01777);
    assert_true(attr.uid == 0 && attr.gid == 0);
    unsigned told = wire.notifications;
    assert_int_equal(do_lookup(shm, "missing", &entry), -ENOENT);
    assert_int_equal(wire.notifications, told);
    assert_int_equal(chown("/dev/shm", 7, 8), 0);
    assert_int_equal(do_lookup(shm, "missing", &entry), -ENOENT);
    assert_int_equal(wire.notifications, told + 1);
    assert_int_equal(do_lookup(shm, "missing", &entry), -ENOENT);
    assert_int_equal(wire.notifications, told + 1);
    assert_int_equal(do_getattr(shm, &attr), 0);
    assert_true(attr.uid == 7 && attr.gid == 8);
    assert_int_equal(chmod("/dev/shm", 0777), 0);
    assert_int_equal(do_lookup(shm, "missing", &entry), -ENOENT);
    assert_int_equal(wire.notifications, told + 2);
    assert_int_equal(do_getattr(shm, &attr), 0);
    assert_int_equal(attr.mode, S_IFDIR | 0777);
    assert_int_equal(chown("/dev/shm", 0, 0), 0);
    assert_int_equal(chmod("/dev/shm", 01777), 0);
}

/* Whoever may not search the native directory finds nothing through the mount. */
static void test_closed_directory(void **state)
{
    (void)state;
    struct fuse_entry_out entry;
    make_object("a");
    uint64_t shm = walk("shm");
    uint64_t controls = walk("ctl/shm");
    assert_int_equal(chmod("/dev/shm", 01770), 0);
    wire.asker = stranger;
    assert_int_equal(do_lookup(shm, "a", &entry), -EACCES);
    assert_int_equal(do_lookup(shm, "missing", &entry), -EACCES);
    assert_int_equal(do_lookup(controls, "a", &entry), -EACCES);
    wire.asker = (struct asker){0};
    assert_int_equal(do_lookup(shm, "a", &entry), 0);
    assert_int_equal(chmod("/dev/shm", 01777), 0);
    wire.asker = stranger;
    assert_int_equal(do_lookup(shm, "a", &entry), 0);
}

static void test_setattr(void **state)
{
    (void)state;
    struct fuse_attr attr;
    make_object("a");
    uint64_t node = walk("shm/a");
    struct fuse_setattr_in in = {.valid = FATTR_MODE, .mode = S_IFREG | 0640};
    assert_int_equal(do_setattr(node, &in, &attr), 0);
    assert_int_equal(attr.mode, S_IFREG | 0640);
    in = (struct fuse_setattr_in){.valid = FATTR_SIZE | FATTR_UID, .size = 777, .uid = 5};
    assert_int_equal(do_setattr(node, &in, &attr), 0);
    assert_true(attr.size == 777 && attr.uid == 5 && attr.gid == 0);
    in = (struct fuse_setattr_in){.valid = FATTR_ATIME, .atime = 1000, .atimensec = 7};
    assert_int_equal(do_setattr(node, &in, &attr), 0);
    assert_true(attr.atime == 1000 && attr.atimensec == 7 && attr.mtime > 1000);
    in = (struct fuse_setattr_in){.valid = 0};
    assert_int_equal(do_setattr(node, &in, &attr), 0);
    in = (struct fuse_setattr_in){.valid = FATTR_SIZE, .size = UINT64_MAX};
    assert_int_equal(do_setattr(node, &in, NULL), -EINVAL);
    wire.asker = stranger;
    in = (struct fuse_setattr_in){.valid = FATTR_MODE, .mode = S_IFREG | 0777};
    assert_int_equal(do_setattr(node, &in, NULL), -EPERM);
    in = (struct fuse_setattr_in){.valid = FATTR_SIZE, .size = 0};
    assert_int_equal(do_setattr(node, &in, NULL), -EACCES);
    wire.asker = (struct asker){0};
    assert_int_equal(do_getattr(node, &attr), 0);
    assert_true(attr.size == 777 && attr.mode == (S_IFREG | 0640));
}

static void test_statfs(void **state)
{
    (void)state;
    make_object("a");
    const uint64_t ids[] = {FUSE_ROOT_ID, walk("shm"), walk("shm/a"), walk("ctl/shm/a"), walk("ctl/version")};
    for (size_t i = 0; i < ARRAY_LENGTH(ids); i++) {
        begin(FUSE_STATFS, ids[i]);
        struct answer answer = ask();
        assert_int_equal(answer.error, 0);
        const struct fuse_statfs_out *out = (const void *)answer.data;
        assert_int_equal(out->st.namelen, NAME_MAX);
        if (i == 1 || i == 2)
            assert_int_equal(out->st.blocks * out->st.bsize, 64 << 20);
    }
}

#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 18)
/* The first part of struct fuse_statx_in, and the reply as far as it is looked at (Linux 6.6). */
struct statx_in {
    uint32_t getattr_flags, reserved;
    uint64_t fh;
    uint32_t sx_flags, sx_mask;
};

struct sx_time {
    int64_t seconds;
    uint32_t nanoseconds;
    int32_t reserved;
};

struct statx_out {
    uint64_t attr_valid;
    uint32_t attr_valid_nsec, flags;
    uint64_t spare[2];
    uint32_t mask, blksize;
    uint64_t attributes;
    uint32_t nlink, uid, gid;
    uint16_t mode, spare0;
    uint64_t ino, size, blocks, attributes_mask;
    struct sx_time atime, btime, ctime, mtime;
    uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
    uint64_t spare2[14];
};

static void test_statx(void **state)
{
    (void)state;
    const struct statx_in in = {.sx_mask = STATX_BASIC_STATS | STATX_BTIME};
    struct statx native;
    make_object("a");
    assert_int_equal(statx(AT_FDCWD, "/dev/shm/a", 0, STATX_BASIC_STATS | STATX_BTIME, &native), 0);
    begin(OPCODE_STATX, walk("shm/a"));
    add(&in, sizeof in);
    struct answer answer = ask();
    const struct statx_out *out = (const void *)answer.data;
    assert_int_equal(answer.error, 0);
    assert_int_equal(answer.size, sizeof *out);
    assert_int_equal(out->mask & STATX_BTIME, STATX_BTIME);
    assert_true(out->ino == native.stx_ino && out->mode == native.stx_mode && out->nlink == 1);
    assert_true(out->btime.seconds == native.stx_btime.tv_sec &&
                out->btime.nanoseconds == native.stx_btime.tv_nsec);
    assert_true(out->mtime.seconds == native.stx_mtime.tv_sec &&
                out->mtime.nanoseconds == native.stx_mtime.tv_nsec);
}
#endif

static const struct CMUnitTest tests[] = {
    TEST(test_lookups_and_forgets),
    TEST(test_failed_lookups_count_nothing),
    TEST(test_forget_of_the_tree),
    TEST(test_batch_forget),
    TEST(test_forgotten_while_open),
    TEST(test_interrupted_lookup),
    TEST(test_interrupted_lookup_of_a_known_one),
    TEST(test_interrupted_open),
    TEST(test_interrupted_opendir),
    TEST(test_interrupted_create),
    TEST(test_interrupted_mknod),
    TEST(test_interrupted_link),
    TEST(test_hard_links_are_one_node),
    TEST(test_rename),
    TEST(test_unlink),
    TEST(test_hidden_names),
    TEST(test_reserved_names),
    TEST(test_readlink),
    TEST(test_attributes),
    TEST(test_attributes_of_shm),
    TEST(test_closed_directory),
    TEST(test_setattr),
    TEST(test_statfs),
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 18)
    TEST(test_statx),
#endif
};

const struct suite nodes_suite = {"nodes", tests, ARRAY_LENGTH(tests)};
