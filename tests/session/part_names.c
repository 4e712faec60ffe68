/* SPDX-License-Identifier: MIT */
/* Objects that are directories: their names and what is in them, attributes, READDIR, MKDIR and RMDIR. */
#include "parts.h"

#include "failing.h"
#include "logged.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { ENTRIES_MAX = 64, ALL_IN_ONE = 4096 };

/* ---- lookup ---- */

struct expected {
    const char *name;
    uint32_t mode;
    bool open_size;
};

static void must_be(const char *directory, const struct expected *expected, uint32_t uid, uint32_t gid)
{
    struct fuse_entry_out entry;
    struct fuse_attr attr;
    int error = do_lookup(walk(directory), expected->name, &entry);
    if (error)
        fail_msg("%s/%s: %s", directory, expected->name, strerror(-error));
    if (entry.attr.mode != expected->mode)
        fail_msg("%s/%s has mode %o, not %o", directory, expected->name, entry.attr.mode, expected->mode);
    assert_true(entry.attr.uid == uid && entry.attr.gid == gid);
    assert_true(entry.attr.ino != 0 && entry.nodeid != 0);
    /* The name of a file that has a node for good may be kept; never that of a member. */
    bool kept = !expected->open_size && !S_ISDIR(expected->mode);
    assert_true((entry.entry_valid > 0) == kept && entry.entry_valid_nsec == 0);
    assert_true(entry.attr_valid == 0 && entry.attr_valid_nsec == 0);
    assert_int_equal(entry.attr.size != 0, expected->open_size);
    assert_int_equal(do_getattr(entry.nodeid, &attr), 0);
    assert_true(attr.mode == entry.attr.mode && attr.ino == entry.attr.ino && attr.uid == uid);
    assert_true(attr.gid == gid && attr.size == 0);
}

static void test_lookup(void **state)
{
    (void)state;
    static const struct expected object = {"one", S_IFDIR | 0640, false};
    static const struct expected inside[] = {
        {"value", S_IFREG | 0640, true}, {"post", S_IFREG | 0200, true}, {"wait", S_IFREG | 0400, true},
        {"hold", S_IFREG | 0600, true},  {"op", S_IFREG | 0640, true},   {"words", S_IFREG | 0444, false},
        {"0", S_IFDIR | 0640, false},    {"2", S_IFDIR | 0640, false},
    };
    must_be("set", &object, 1000, 1001);
    for (size_t i = 0; i < ARRAY_LENGTH(inside); i++)
        must_be("set/one", &inside[i], 1000, 1001);
    for (size_t i = 0; i < 5; i++)
        must_be("set/one/2", &inside[i], 1000, 1001);
}

static void test_lookup_of_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *directory, *name;
        int error;
    } cases[] = {
        {"set", "none", -ENOENT},
        {"set/one", "3", -ENOENT},
        {"set/one", "-1", -ENOENT},
        {"set/one", "00", -ENOENT},
        {"set/one", "+1", -ENOENT},
        {"set/one", "x", -ENOENT},
        {"set/one", "", -ENOENT},
        {"set/one", "state", -ENOENT},
        {"set/one", "9223372036854775808", -ENOENT},
        {"set/one/0", "0", -ENOENT},
        {"set/one/0", "x", -ENOENT},
        {"set/one/0", "words", -ENOENT},
        {"set/one/0/op", "x", -ENOTDIR},
        {"set/one/op", "0", -ENOTDIR},
        {"set/one", "4294967296", -ENOENT},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        int error = do_lookup(walk(cases[i].directory), cases[i].name, NULL);
        if (error != cases[i].error)
            fail_msg("%s/%s: %s", cases[i].directory, cases[i].name, strerror(-error));
    }
}

/* Of a file's permission bits, class by class, those that the object's grant. */
static void test_granted_rights(void **state)
{
    (void)state;
    static const struct {
        mode_t object;
        uint32_t value, post, wait, op, words;
    } cases[] = {
        {0000, 0000, 0000, 0000, 0000, 0444},  {0777, 0666, 0222, 0444, 0666, 0444},
        {0444, 0444, 0000, 0000, 0444, 0444},  {0222, 0222, 0222, 0444, 0000, 0444},
        {0640, 0640, 0200, 0400, 0640, 0444},  {0426, 0426, 0022, 0044, 0406, 0444},
        {07111, 0000, 0000, 0000, 0000, 0444}, {0600, 0600, 0200, 0400, 0600, 0444},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        parts_object("one")->mode = cases[i].object;
        const struct expected files[] = {{"value", S_IFREG | cases[i].value, true},
                                         {"post", S_IFREG | cases[i].post, true},
                                         {"wait", S_IFREG | cases[i].wait, true},
                                         {"op", S_IFREG | cases[i].op, true},
                                         {"words", S_IFREG | cases[i].words, false}};
        for (size_t j = 0; j < ARRAY_LENGTH(files); j++)
            must_be("set/one", &files[j], 1000, 1001);
    }
}

/* ---- readdir ---- */

struct listing {
    size_t count;
    struct {
        char name[NAME_MAX + 1];
        uint64_t ino, off;
        uint32_t type;
    } entries[ENTRIES_MAX];
};

/* Adds the entries of one reply; returns how many. */
static size_t parse(struct answer answer, struct listing *listing)
{
    size_t count = 0;
    assert_int_equal(answer.error, 0);
    for (size_t at = 0; at < answer.size; count++) {
        struct fuse_dirent head;
        memcpy(&head, answer.data + at, FUSE_NAME_OFFSET);
        assert_true(listing->count < ENTRIES_MAX);
        size_t i = listing->count++;
        (void)snprintf(listing->entries[i].name, sizeof listing->entries[i].name, "%.*s", (int)head.namelen,
                       answer.data + at + FUSE_NAME_OFFSET);
        listing->entries[i].ino = head.ino;
        listing->entries[i].off = head.off;
        listing->entries[i].type = head.type;
        at += FUSE_DIRENT_SIZE(&head);
    }
    return count;
}

static void list(const char *path, uint32_t size, uint64_t offset, struct listing *listing)
{
    struct fuse_open_out open;
    uint64_t node = walk(path);
    listing->count = 0;
    assert_int_equal(do_opendir(node, &open), 0);
    while (parse(do_readdir(node, open.fh, size, offset), listing) > 0)
        offset = listing->entries[listing->count - 1].off;
    assert_int_equal(do_releasedir(node, open.fh), 0);
}

static void must_list(const struct listing *listing, const char *const *names, size_t count)
{
    assert_int_equal(listing->count, count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(listing->entries[i].name, names[i]);
}

static const char *const in_object[] = {".", "..", "value", "post", "hold", "op", "words", "0", "1", "2"};
static const char *const in_member[] = {".", "..", "value", "post", "hold", "op"};

/* What takes or waits is not listed unless its table says so; in pieces of all sizes it is the same. */
static void test_readdir(void **state)
{
    (void)state;
    struct listing listing;
    for (uint32_t size = FUSE_NAME_OFFSET + 8; size < 420; size++) {
        list("set/one", size, 0, &listing);
        must_list(&listing, in_object, ARRAY_LENGTH(in_object));
        list("set/two/1", size, 0, &listing);
        must_list(&listing, in_member, ARRAY_LENGTH(in_member));
    }
    list("set/one", FUSE_NAME_OFFSET, 0, &listing);
    assert_int_equal(listing.count, 0); /* no room for any: never an entry cut in two */
}

static void test_seek(void **state)
{
    (void)state;
    static const uint64_t beyond[] = {
        1000,     INT32_MAX, UINT64_C(1) << 31, UINT64_C(1) << 32, (UINT64_C(1) << 62) - 1, UINT64_C(1) << 62,
        INT64_MAX};
    struct listing all;
    struct listing rest;
    list("set/one", ALL_IN_ONE, 0, &all);
    for (size_t i = 0; i < all.count; i++) {
        list("set/one", ALL_IN_ONE, all.entries[i].off, &rest);
        must_list(&rest, in_object + i + 1, all.count - i - 1);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(beyond); i++) {
        list("set/one", ALL_IN_ONE, beyond[i], &rest);
        assert_int_equal(rest.count, 0);
        list("set/one/0", ALL_IN_ONE, beyond[i], &rest);
        assert_int_equal(rest.count, 0);
    }
}

/* What READDIR and LOOKUP say of a name is the same. Adds the inode numbers of what is in it. */
static size_t compare(const char *path, uint64_t *inodes)
{
    struct listing listing;
    struct fuse_entry_out entry;
    struct fuse_attr attr;
    size_t count = 0;
    memset(&listing, 0, sizeof listing);
    list(path, ALL_IN_ONE, 0, &listing);
    assert_int_equal(do_getattr(walk(path), &attr), 0);
    assert_int_equal(listing.entries[0].ino, attr.ino);
    for (size_t i = 2; i < listing.count; i++) {
        assert_int_equal(do_lookup(walk(path), listing.entries[i].name, &entry), 0);
        assert_int_equal(entry.attr.ino, listing.entries[i].ino);
        assert_int_equal((entry.attr.mode & S_IFMT) >> 12, listing.entries[i].type);
        inodes[count++] = entry.attr.ino;
    }
    return count;
}

static void test_inode_numbers(void **state)
{
    (void)state;
    static const char *const paths[] = {"set",       "set/one",     "set/two",    "set/one/0",
                                        "set/one/1", "set/one/2",   "set/two/0",  "set/two/1",
                                        "set/two/2", "ctl/set/one", "ctl/set/two"};
    uint64_t inodes[ARRAY_LENGTH(paths) * ENTRIES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++)
        count += compare(paths[i], inodes + count);
    assert_true(count > 40);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(inodes[i], inodes[j]);
}

/* Files that may have to wait have a node for every lookup, everything else one; and all are forgotten. */
static void test_nodes(void **state)
{
    (void)state;
    static const char *const paths[] = {"set/one",         "set/one/1",      "set/one/words", "set/one/op",
                                        "set/one/1/value", "set/one/1/hold", "set/one/wait"};
    uint64_t ids[ARRAY_LENGTH(paths)];
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++)
        ids[i] = walk(paths[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++)
        assert_int_equal(walk(paths[i]) == ids[i], i < 3);
    for (uint64_t id = 1; nodes(); id++)
        do_forget(id, 1000);
    assert_int_equal(native.holds, 0);
    assert_true(logged("forgotten")); /* more often than looked up: this test does not count */
    logged_forget();
}

/* ---- MKDIR and what is like it ---- */

static void begin_mkdir(uint64_t parent, const char *name, uint32_t mode)
{
    const struct fuse_mkdir_in in = {.mode = mode};
    begin(FUSE_MKDIR, parent);
    add(&in, sizeof in);
    add_name(name);
}

static int do_mkdir(uint64_t parent, const char *name, struct fuse_entry_out *out)
{
    begin_mkdir(parent, name, S_IFDIR | 01750);
    struct answer answer = ask();
    if (answer.error)
        return answer.error;
    assert_int_equal(answer.size, sizeof *out);
    memcpy(out, answer.data, sizeof *out);
    return 0;
}

static int do_rmdir(uint64_t parent, const char *name)
{
    begin(FUSE_RMDIR, parent);
    add_name(name);
    return ask().error;
}

static void test_mkdir(void **state)
{
    (void)state;
    struct fuse_entry_out entry = {0};
    wire.asker = stranger;
    assert_int_equal(do_mkdir(walk("set"), "new", &entry), 0);
    assert_true(native.maker == stranger.uid && native.mode == 01750);
    assert_int_equal(entry.attr.mode, S_IFDIR | 01750);
    assert_true(entry.attr.uid == stranger.uid && entry.attr.gid == stranger.gid);
    assert_int_equal(walk("set/new"), entry.nodeid);
    assert_int_equal(native.holds, 0);
    assert_int_equal(do_mkdir(walk("set"), "new", &entry), -EEXIST);
    native.create_error = -ENOSPC;
    assert_int_equal(do_mkdir(walk("set"), "other", &entry), -ENOSPC);
    native.maker = 0;
    assert_int_equal(do_rmdir(walk("set"), "new"), 0);
    assert_int_equal(native.maker, stranger.uid);
    assert_int_equal(do_rmdir(walk("set"), "new"), -ENOENT);
    assert_int_equal(do_getattr(entry.nodeid, NULL), -ESTALE);
    assert_int_equal(native.uncreations, 0);
}

static void test_refused(void **state)
{
    (void)state;
    struct fuse_entry_out entry;
    struct fuse_open_out open;
    static const char *const elsewhere[] = {"slab",    "ctl",       "ctl/set", "ctl/set/one",
                                            "set/one", "set/one/0", "sysv"};
    for (size_t i = 0; i < ARRAY_LENGTH(elsewhere); i++)
        assert_int_equal(do_mkdir(walk(elsewhere[i]), "new", &entry), -EPERM);
    for (size_t i = 1; i < ARRAY_LENGTH(elsewhere); i++) {
        assert_int_equal(do_rmdir(walk(elsewhere[i]), "0"), -EPERM);
        assert_int_equal(do_unlink(walk(elsewhere[i]), "value"), -EPERM);
        assert_int_equal(do_create(walk(elsewhere[i]), "x", O_RDWR, 0600, &entry, &open), -EPERM);
        assert_int_equal(do_mknod(walk(elsewhere[i]), "x", S_IFREG | 0600, &entry), -EPERM);
    }
    static const uint32_t types[] = {S_IFREG, 0, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK, S_IFLNK};
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++)
        assert_int_equal(do_mknod(walk("set"), "x", types[i] | 0600, &entry), -EPERM);
    assert_int_equal(do_create(walk("set"), "x", O_RDWR, 0600, &entry, &open), -EPERM);
    assert_int_equal(do_create(walk("set"), "one", O_RDWR, 0600, &entry, &open), -EPERM);
    assert_int_equal(do_unlink(walk("set"), "one"), -EISDIR);
    assert_int_equal(do_rmdir(walk("slab"), "x"), -ENOTDIR);
    assert_int_equal(do_rename(walk("set"), "one", walk("set"), "three", 0), -EPERM);
    assert_int_equal(do_link(walk("set/one"), walk("set"), "three", &entry), -EPERM);
    assert_int_equal(do_link(walk("set/one/value"), walk("set"), "three", &entry), -EPERM);
    assert_int_equal(do_open(walk("set/one"), O_RDONLY, &open), -EISDIR);
    assert_int_equal(do_open(walk("set/one/0"), O_RDONLY, &open), -EISDIR);
    assert_int_equal(do_opendir(walk("set/one/0/op"), &open), -ENOTDIR);
    assert_int_equal(native.creations, 0);
    assert_int_equal(handles(), 0);
}

/* Each allocation fails in turn: then there is no object, and no node of it. */
static void test_mkdir_out_of_memory(void **state)
{
    (void)state;
    struct fuse_entry_out entry;
    uint64_t set = walk("set");
    bool failed = true;
    for (unsigned number = 2; failed; number++) { /* the first is the buffer of the test's own */
        size_t before = nodes();
        failing_arm(number);
        int error = do_mkdir(set, "new", &entry);
        failed = failing_disarm();
        if (error) {
            assert_true(error == -ENOMEM && failed);
            assert_null(parts_object("new"));
            assert_int_equal(nodes(), before);
        } else {
            assert_int_equal(do_rmdir(set, "new"), 0);
            do_forget(entry.nodeid, 1);
        }
        assert_int_equal(native.holds, 0);
    }
    assert_true(native.uncreations > 1);
}

/* As natively, where the caller is killed while mkdir(2) is at work: the object is there, and nobody knows it. */
static void test_mkdir_that_nobody_takes(void **state)
{
    (void)state;
    begin_mkdir(walk("set"), "new", 0700);
    ask_and_go_away();
    assert_non_null(parts_object("new"));
    assert_int_equal(nodes(), 0);
    assert_int_equal(native.holds, 0);
}

static void test_lookup_that_nobody_takes(void **state)
{
    (void)state;
    uint64_t one = walk("set/one");
    size_t before = nodes();
    begin(FUSE_LOOKUP, one);
    add_name("hold");
    ask_and_go_away();
    assert_int_equal(nodes(), before);
}

static void test_lookup_out_of_memory(void **state)
{
    (void)state;
    static const char *const names[] = {"value", "1", "hold", "words"};
    uint64_t one = walk("set/one");
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        bool failed = true;
        for (unsigned number = 2; failed; number++) {
            struct fuse_entry_out entry;
            size_t before = nodes();
            failing_arm(number);
            int error = do_lookup(one, names[i], &entry);
            failed = failing_disarm();
            assert_int_equal(error, failed ? -ENOMEM : 0);
            if (!error)
                do_forget(entry.nodeid, 1);
            assert_int_equal(nodes(), before);
        }
    }
}

/* ---- gone ---- */

static void must_be_gone(const uint64_t *ids, size_t count)
{
    static const char *const names[] = {"words", "value", "wait", "op", "1"};
    struct fuse_open_out open;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        assert_int_equal(do_lookup(ids[0], names[i], NULL), -ENOENT);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(do_getattr(ids[i], NULL), -ESTALE);
    assert_int_equal(do_open(ids[count - 1], O_RDWR, &open), -ENOENT);
    assert_int_equal(do_open(ids[count - 1], O_RDONLY, &open), 0);
    assert_int_equal(do_read(ids[count - 1], open.fh, 100, 0).error, -ENOENT);
    assert_int_equal(do_release(ids[count - 1], open.fh), 0);
}

/* What is in an object goes with it, also where another has its name by now. */
static void test_gone(void **state)
{
    (void)state;
    struct fuse_open_out open;
    struct fuse_entry_out entry;
    struct listing listing = {0};
    const uint64_t ids[] = {walk("set/one"), walk("set/one/1"), walk("set/one/words"),
                            walk("set/one/1/value")};
    assert_int_equal(do_opendir(ids[0], &open), 0);
    assert_int_equal(parts_remove("one"), 0);
    must_be_gone(ids, ARRAY_LENGTH(ids));
    assert_int_equal(do_mkdir(walk("set"), "one", &entry), 0);
    must_be_gone(ids, ARRAY_LENGTH(ids));
    for (size_t i = 0; i < ARRAY_LENGTH(ids); i++)
        assert_int_not_equal(walk("set/one"), ids[i]);
    (void)parse(do_readdir(ids[0], open.fh, ALL_IN_ONE, 0), &listing);
    must_list(&listing, in_object, ARRAY_LENGTH(in_object) - MEMBERS);
    assert_int_equal(do_releasedir(ids[0], open.fh), 0);
}

/* ---- SETATTR ---- */

static void test_setattr(void **state)
{
    (void)state;
    static const char *const parts[] = {"set/one/words", "set/one/0", "set/one/0/hold", "set/one/value"};
    struct fuse_setattr_in in = {.valid = FATTR_MODE, .mode = 0711};
    struct fuse_attr attr;
    assert_int_equal(do_setattr(walk("set/one"), &in, &attr), 0);
    assert_int_equal(attr.mode, S_IFDIR | 0711);
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++)
        assert_int_equal(do_setattr(walk(parts[i]), &in, NULL), -EPERM);
    assert_int_equal(native.changes, 1);
    in = (struct fuse_setattr_in){.valid = FATTR_SIZE};
    assert_int_equal(do_setattr(walk("set/one"), &in, NULL), -EISDIR);
    assert_int_equal(do_setattr(walk("set/one/words"), &in, NULL), -EPERM);
    assert_int_equal(do_setattr(walk("set/one/hold"), &in, &attr), 0); /* `exec 9>hold` */
    assert_int_equal(attr.size != 0, true);
}

static const struct CMUnitTest tests[] = {
    PARTS(test_lookup),
    PARTS(test_lookup_of_nothing),
    PARTS(test_granted_rights),
    PARTS(test_readdir),
    PARTS(test_seek),
    PARTS(test_inode_numbers),
    PARTS(test_nodes),
    PARTS(test_gone),
    PARTS(test_mkdir),
    PARTS(test_refused),
    PARTS(test_mkdir_out_of_memory),
    PARTS(test_mkdir_that_nobody_takes),
    PARTS(test_lookup_that_nobody_takes),
    PARTS(test_lookup_out_of_memory),
    PARTS(test_setattr),
};

const struct suite part_names_suite = {"names of parts", tests, ARRAY_LENGTH(tests)};
