/* SPDX-License-Identifier: MIT */
/* The reply guard (fs/reply.h): exactly one reply, whatever a handler does. */
#include "wire.h"

#include "logged.h"
#include "reply.h"

#include <string.h>
#include <sys/statvfs.h>

/* What the handler of GETATTR does is told by the node id. */
enum behaviour {
    FORGETS = 100,
    NO_SUCH_CALL,
    NOT_OFFERED,
    ERROR,
    ATTR,
    ENTRY,
    CREATE,
    CREATE_STREAM,
    OPEN,
    OPEN_STREAM,
    LINK,
    BUFFER,
    EMPTY,
    WRITE,
    STATFS,
    LSEEK,
    STATX,
    NONE
};

static const struct fuse_entry_param *entry_answer; /* NULL: the usual one */
static int first_result;
static int second_result;
static bool answer_twice;

/* Something in every member that the kernel is told. */
static const struct fuse_entry_param stream_entry = {
    .ino = 17,
    .generation = 3,
    .attr_timeout = 1.5,
    .entry_timeout = 86400,
    .attr =
        {
            .st_ino = 18,
            .st_mode = S_IFREG | 0640,
            .st_nlink = 2,
            .st_uid = 3,
            .st_gid = 4,
            .st_rdev = 5,
            .st_size = 99,
            .st_blksize = 65536,
            .st_blocks = 7,
            .st_atim = {.tv_sec = 8, .tv_nsec = 9},
            .st_mtim = {.tv_sec = -10, .tv_nsec = 11},
            .st_ctim = {.tv_sec = 12, .tv_nsec = 13},
        },
};
static const struct fuse_file_info stream_info = {.fh = 23, .noflush = 1};

static int reply_as(struct reply *reply, enum behaviour behaviour)
{
    static const struct stat attr = {.st_ino = 5, .st_mode = S_IFREG | 0640, .st_size = 99};
    static const struct fuse_entry_param entry = {.ino = 17, .attr = {.st_ino = 17}};
    const struct fuse_entry_param *answered = entry_answer ? entry_answer : &entry;
    static const struct fuse_file_info info = {.fh = 23};
    static const struct statvfs system = {.f_blocks = 7};
    static struct statx statx = {.stx_size = 11};
    switch (behaviour) {
    case ERROR:
        return reply_error(reply, -ENOTTY);
    case NO_SUCH_CALL:
        return reply_error(reply, -ENOSYS);
    case NOT_OFFERED:
        return reply_not_offered(reply);
    case ATTR:
        return reply_attr(reply, &attr, 1.5);
    case ENTRY:
        return reply_entry(reply, answered);
    case CREATE:
        return reply_create(reply, &entry, &info);
    case CREATE_STREAM:
        return reply_create_stream(reply, &stream_entry, &stream_info);
    case OPEN:
        return reply_open(reply, &info);
    case OPEN_STREAM:
        return reply_open_stream(reply, &stream_info);
    case LINK:
        return reply_readlink(reply, "target");
    case BUFFER:
        return reply_buffer(reply, "bytes", 5);
    case EMPTY:
        return reply_buffer(reply, NULL, 0);
    case WRITE:
        return reply_write(reply, 12345);
    case STATFS:
        return reply_statfs(reply, &system);
    case LSEEK:
        return reply_lseek(reply, (off_t)1 << 40);
    case STATX:
        return reply_statx(reply, &statx, 0);
    case NONE:
        return reply_none(reply);
    default:
        return 0;
    }
}

static void handle_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
    REPLY_GUARD(reply, req);
    (void)info;
    first_result = reply_as(&reply, (enum behaviour)ino);
    if (answer_twice)
        second_result = reply_as(&reply, (enum behaviour)ino);
}

static const struct fuse_lowlevel_ops guard_operations = {.getattr = handle_getattr};

static int begin_guard_test(void **state)
{
    struct fuse_init_in in = {.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION};
    (void)state;
    first_result = second_result = 1;
    answer_twice = false;
    entry_answer = NULL;
    logged_forget();
    wire_start(&guard_operations);
    begin(FUSE_INIT, 0);
    add(&in, sizeof in);
    return ask().error;
}

static int end_guard_test(void **state)
{
    (void)state;
    wire_stop();
    return 0;
}

static void begin_getattr(enum behaviour behaviour)
{
    const struct fuse_getattr_in in = {0};
    begin(FUSE_GETATTR, behaviour);
    add(&in, sizeof in);
}

static struct answer ask_for(enum behaviour behaviour)
{
    begin_getattr(behaviour);
    return ask();
}

static void test_a_handler_that_forgets(void **state)
{
    (void)state;
    assert_int_equal(ask_for(FORGETS).error, -EIO);
    assert_true(logged("without an answer"));
    assert_int_equal(ask_for(ERROR).error, -ENOTTY); /* the session goes on */
}

/* The kernel would not ask for anything of the kind again. */
static void test_a_missing_system_call(void **state)
{
    (void)state;
    assert_int_equal(ask_for(NO_SUCH_CALL).error, -EOPNOTSUPP);
    assert_int_equal(ask_for(NOT_OFFERED).error, -ENOSYS);
}

static void test_answers(void **state)
{
    (void)state;
    assert_int_equal(ask_for(ERROR).error, -ENOTTY);
    struct answer answer = ask_for(ATTR);
    const struct fuse_attr_out *attr = (const void *)answer.data;
    assert_int_equal(answer.size, sizeof *attr);
    assert_true(attr->attr.size == 99 && attr->attr.mode == (S_IFREG | 0640) && attr->attr_valid == 1);
    answer = ask_for(ENTRY);
    assert_int_equal(answer.size, sizeof(struct fuse_entry_out));
    assert_int_equal(((const struct fuse_entry_out *)(const void *)answer.data)->nodeid, 17);
    assert_int_equal(ask_for(CREATE).size, sizeof(struct fuse_entry_out) + sizeof(struct fuse_open_out));
    answer = ask_for(OPEN);
    assert_int_equal(((const struct fuse_open_out *)(const void *)answer.data)->fh, 23);
    answer = ask_for(LINK);
    assert_int_equal(answer.size, 6);
    assert_memory_equal(answer.data, "target", 6);
    answer = ask_for(BUFFER);
    assert_int_equal(answer.size, 5);
    assert_memory_equal(answer.data, "bytes", 5);
    assert_int_equal(ask_for(EMPTY).size, 0);
    answer = ask_for(WRITE);
    assert_int_equal(((const struct fuse_write_out *)(const void *)answer.data)->size, 12345);
    answer = ask_for(STATFS);
    assert_int_equal(((const struct fuse_statfs_out *)(const void *)answer.data)->st.blocks, 7);
    answer = ask_for(LSEEK);
    assert_int_equal(((const struct fuse_lseek_out *)(const void *)answer.data)->offset, (off_t)1 << 40);
    assert_int_equal(ask_for(STATX).error, 0);
    assert_int_equal(first_result, 0);
    begin_getattr(NONE);
    tell();
    assert_int_equal(first_result, 0);
    assert_false(logged("answer"));
}

/* What libfuse says of the same entry, and of the handle what it has no words for. */
static void test_streams(void **state)
{
    (void)state;
    struct {
        struct fuse_entry_out entry;
        struct fuse_open_out open;
    } theirs;
    const uint32_t flags =
        FOPEN_STREAM | FOPEN_DIRECT_IO | FOPEN_NOFLUSH | 1 << 6; /* FOPEN_PARALLEL_DIRECT_WRITES */
    entry_answer = &stream_entry;
    struct answer answer = ask_for(ENTRY);
    assert_int_equal(answer.size, sizeof theirs.entry);
    memcpy(&theirs.entry, answer.data, sizeof theirs.entry);
    answer = ask_for(CREATE_STREAM);
    assert_int_equal(answer.size, sizeof theirs);
    assert_memory_equal(answer.data, &theirs.entry, sizeof theirs.entry);
    memcpy(&theirs, answer.data, sizeof theirs);
    assert_true(theirs.open.fh == 23 && theirs.open.open_flags == flags);
    answer = ask_for(OPEN_STREAM);
    assert_int_equal(answer.size, sizeof theirs.open);
    assert_memory_equal(answer.data, &theirs.open, sizeof theirs.open);
}

/* ask() fails on a second reply. */
static void test_a_second_answer_is_not_sent(void **state)
{
    (void)state;
    answer_twice = true;
    for (enum behaviour behaviour = ERROR; behaviour < NONE; behaviour++) {
        assert_int_equal(ask_for(behaviour).error, behaviour == ERROR ? -ENOTTY : 0);
        assert_int_equal(first_result, 0);
        assert_int_equal(second_result, -EALREADY);
        assert_true(logged("answered twice"));
        logged_forget();
    }
    begin_getattr(NONE);
    tell();
    assert_int_equal(second_result, -EALREADY);
}

/* A reply that is not taken is told to the handler, once, and the guard does not try again. */
static void interrupted(enum behaviour behaviour)
{
    begin_getattr(behaviour);
    ask_and_go_away();
    assert_true(first_result < 0);
}

static void test_interrupted_attr(void **state)
{
    (void)state;
    answer_twice = true;
    interrupted(ATTR);
    assert_int_equal(second_result, -EALREADY);
}

static void test_interrupted_open(void **state)
{
    (void)state;
    interrupted(OPEN);
}

static void test_interrupted_create(void **state)
{
    (void)state;
    interrupted(CREATE);
}

static void test_interrupted_stream(void **state)
{
    (void)state;
    interrupted(OPEN_STREAM);
}

static void test_interrupted_entry(void **state)
{
    (void)state;
    interrupted(ENTRY);
}

static void test_interrupted_error(void **state)
{
    (void)state;
    interrupted(ERROR);
}

#define GUARD_TEST(function) cmocka_unit_test_setup_teardown(function, begin_guard_test, end_guard_test)

static const struct CMUnitTest tests[] = {
    GUARD_TEST(test_a_handler_that_forgets),
    GUARD_TEST(test_a_missing_system_call),
    GUARD_TEST(test_answers),
    GUARD_TEST(test_streams),
    GUARD_TEST(test_a_second_answer_is_not_sent),
    GUARD_TEST(test_interrupted_attr),
    GUARD_TEST(test_interrupted_open),
    GUARD_TEST(test_interrupted_create),
    GUARD_TEST(test_interrupted_stream),
    GUARD_TEST(test_interrupted_entry),
    GUARD_TEST(test_interrupted_error),
};

const struct suite replies_suite = {"replies", tests, ARRAY_LENGTH(tests)};
