/* SPDX-License-Identifier: MIT */
/* Objects that have their size for good. */
#include "parts.h"

#include <string.h>

/* Since Linux 6.9, not in the headers of Debian 12: the flag, and the id in what is padding there. */
enum { OPEN_PASSTHROUGH = 1 << 7, BACKING_ID_OFFSET = 12 };

enum { BACKING_ID = 7, ANY_FLAGS = FOPEN_STREAM | FOPEN_DIRECT_IO | FOPEN_KEEP_CACHE | FOPEN_NOFLUSH };

static void test_open(void **state)
{
    (void)state;
    static const int flags[] = {O_RDONLY, O_WRONLY, O_RDWR, O_WRONLY | O_TRUNC, O_RDWR | O_APPEND};
    for (size_t i = 0; i < ARRAY_LENGTH(flags); i++) {
        struct open_file file = must_open("slab/x", flags[i]);
        assert_int_equal(file.flags & ANY_FLAGS,
                         FOPEN_DIRECT_IO | FOPEN_NOFLUSH); /* there is no passthrough */
        assert_int_equal(file.flags & OPEN_PASSTHROUGH, 0);
        must_close(&file);
    }
    assert_int_equal(handles(), 0);
}

/* Passthrough as far as it goes without /dev/fuse: the object has a backing id, as if somebody had it open. */
static void test_open_with_backing(void **state)
{
    (void)state;
    static const struct {
        int flags;
        uint32_t expected;
    } cases[] = {
        {O_RDONLY, OPEN_PASSTHROUGH},
        {O_WRONLY, OPEN_PASSTHROUGH | FOPEN_DIRECT_IO},
        {O_RDWR, OPEN_PASSTHROUGH | FOPEN_DIRECT_IO},
        {O_RDONLY | O_TRUNC, OPEN_PASSTHROUGH},
    };
    AUTO_NODE_USE use;
    uint64_t node = walk("slab/x");
    assert_int_equal(node_use(&wire.fs.nodes, node, &use), 0);
    assert_int_equal(node_backing_set(&use, BACKING_ID), BACKING_ID);
    wire.fs.passthrough = true;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct fuse_open_out out;
        int32_t id = 0;
        assert_int_equal(do_open(node, cases[i].flags, &out), 0);
        assert_int_equal(out.open_flags & (OPEN_PASSTHROUGH | FOPEN_DIRECT_IO), cases[i].expected);
        memcpy(&id, (const char *)&out + BACKING_ID_OFFSET, sizeof id);
        assert_int_equal(id, BACKING_ID);
        assert_int_equal(do_release(node, out.fh), 0);
    }
    assert_int_equal(node_backing_put(&use), BACKING_ID); /* this was the last */
}

static void test_data(void **state)
{
    (void)state;
    struct open_file file = must_open("slab/x", O_RDWR);
    assert_int_equal(do_write(file.node, file.handle, "abc", 3, 5, O_RDWR), 3);
    assert_int_equal(do_write(file.node, file.handle, "abc", 3, 6, O_RDWR), -EFBIG);
    struct answer answer = do_read(file.node, file.handle, 100, 5);
    assert_true(answer.error == 0 && answer.size == 3 && memcmp(answer.data, "abc", 3) == 0);
    must_close(&file);
}

/* What an open(2) with O_TRUNC sends after its OPEN means nothing, every other change of the size is the kind's. */
static void test_truncate(void **state)
{
    (void)state;
    struct fuse_setattr_in in = {.valid = FATTR_SIZE};
    struct fuse_attr attr;
    uint64_t node = walk("slab/x");
    assert_int_equal(do_setattr(node, &in, NULL), -EINVAL); /* truncate(2): nobody has it open */
    struct open_file file = must_open("slab/x", O_WRONLY | O_TRUNC);
    assert_int_equal(file.node, node);
    assert_int_equal(native.changes, 1);
    assert_int_equal(do_setattr(node, &in, &attr), 0);
    assert_true(attr.size == sizeof native.slab && native.changes == 1);
    in.size = 4;
    assert_int_equal(do_setattr(node, &in, NULL), -EINVAL);
    in = (struct fuse_setattr_in){.valid = FATTR_SIZE | FATTR_FH, .fh = file.handle}; /* ftruncate(2) */
    assert_int_equal(do_setattr(node, &in, NULL), -EINVAL);
    in = (struct fuse_setattr_in){.valid = FATTR_SIZE | FATTR_MODE, .mode = 0600};
    assert_int_equal(do_setattr(node, &in, NULL), -EINVAL);
    assert_int_equal(native.changes, 4);
    must_close(&file);
    in = (struct fuse_setattr_in){.valid = FATTR_SIZE};
    assert_int_equal(do_setattr(node, &in, NULL), -EINVAL);
}

/* A handle of something else, as no kernel sends: its file is not given to this kind. */
static void test_change_by_a_foreign_handle(void **state)
{
    (void)state;
    parts_set("one", 0, 1);
    uint64_t node = walk("slab/x");
    struct open_file hold = must_open("set/one/hold", O_RDWR);
    struct open_file text = must_open("set/one/value", O_RDWR);
    struct open_file own = must_open("slab/x", O_RDWR);
    struct fuse_setattr_in in = {.valid = FATTR_MODE | FATTR_FH, .mode = 0600, .fh = hold.handle};
    assert_int_equal(do_setattr(node, &in, NULL), -EBADF);
    in.fh = text.handle;
    assert_int_equal(do_setattr(node, &in, NULL), -EBADF);
    in.fh = own.handle + 1000;
    assert_int_equal(do_setattr(node, &in, NULL), -EBADF);
    in.fh = own.handle;
    assert_int_equal(do_setattr(node, &in, NULL), 0);
    must_close(&hold);
    must_close(&text);
    must_close(&own);
}

static const struct CMUnitTest tests[] = {
    PARTS(test_open),     PARTS(test_open_with_backing),          PARTS(test_data),
    PARTS(test_truncate), PARTS(test_change_by_a_foreign_handle),
};

const struct suite fixed_suite = {"fixed size", tests, ARRAY_LENGTH(tests)};
