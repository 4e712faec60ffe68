/* SPDX-License-Identifier: MIT */
/* System V message queues beside native users: names, identity, creation, walks, and what ctl/ shows. */
#include "sysv_msg_subject.h"

#include "fields.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <unistd.h>

/* ---- tables ---- */

static void test_tables(void **state)
{
    (void)state;
    check_slots();
    assert_true(kind->messages);
    assert_string_equal(kind->directories[BY_ID], "sysv/msg/by-id");
    assert_string_equal(kind->directories[BY_KEY], "sysv/msg/by-key");
    assert_true(fields_count(kind->fields) <= IPCFS_FIELDS_MAX);
    for (const struct ipcfs_verb *verb = kind->verbs; verb->name; verb++) {
        assert_int_equal(verb->type == IPCFS_VERB_TEXT, verb->read != NULL);
        assert_int_equal(verb->type == IPCFS_VERB_FILE, verb->open != NULL);
        assert_int_equal(verb->numbered, verb->unlisted);
        assert_true(verb->help && *verb->help);
    }
}

static void test_directories(void **state)
{
    (void)state;
    check_naming_directories();
}

static void test_system(void **state)
{
    (void)state;
    struct statvfs system;
    struct ipcfs_created object = new_queue();
    long msgmni = set_kernel("msgmni", 7);
    assert_int_equal(kind->stat_system(&system), 0);
    (void)set_kernel("msgmni", msgmni);
    assert_true(system.f_files == 7 && system.f_ffree == 6 && system.f_bsize == 4096);
    assert_int_equal(system.f_namemax, 10);
    let_go(&object);
}

/* ---- names ---- */

static void test_names_of_a_native_queue(void **state)
{
    (void)state;
    char name[16];
    int id = native_queue(0x1abcdef, 0640);
    (void)snprintf(name, sizeof name, "%d", id);
    assert_int_equal(find_in(BY_ID, name), id);
    static const char *const keys[] = {"0x01abcdef", "0x1abcdef", "0x01ABCDEF", "0x1aBcDeF"};
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++)
        assert_int_equal(find_in(BY_KEY, keys[i]), id);
    struct ipcfs_found by_id;
    struct ipcfs_found by_key;
    assert_int_equal(kind->find(BY_ID, name, &by_id, NULL), 0);
    assert_int_equal(kind->find(BY_KEY, keys[0], &by_key, NULL), 0);
    assert_true(ipcfs_same_object(by_id.id, by_key.id));
    assert_int_equal(by_id.stat.stx_nlink, 2);
    assert_int_equal(by_id.stat.stx_mode, S_IFREG | 0640);
}

static void test_highest_key(void **state)
{
    (void)state;
    int id = native_queue((key_t)0xffffffff, 0600);
    assert_int_equal(find_in(BY_KEY, "0xffffffff"), id);
    assert_int_equal(find_in(BY_KEY, "0xFFFFFFFF"), id);
}

static void test_wrong_names(void **state)
{
    (void)state;
    check_wrong_names(native_queue(0x2a, 0600));
}

/* IPC_PRIVATE is not looked for: msgget(2) would make a queue. */
static void test_private_queue(void **state)
{
    (void)state;
    check_private_object(native_queue(IPC_PRIVATE, 0600));
}

/* ---- identity ---- */

static void must_be_stale(const struct ipcfs_ref *ref)
{
    struct statx stat;
    struct ipcfs_hold *hold = NULL;
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    const struct ipcfs_change change = {.mask = IPCFS_CHANGE_MODE, .mode = 0666};
    AUTO_TEXT text = {0};
    struct ipcfs_file *file = NULL;
    assert_int_equal(kind->stat(ref, &stat), -ESTALE);
    assert_int_equal(kind->hold(ref, &hold), -ESTALE);
    assert_int_equal(kind->change(ref, NULL, &change), -ESTALE);
    assert_int_equal(kind->render(ref, values), -ESTALE);
    assert_int_equal(find_verb("qbytes")->read(ref, 0, &text), -ESTALE);
    assert_int_equal(find_verb("peek")->read(ref, 0, &text), -ESTALE);
    assert_int_equal(write_qbytes(ref, "1", 1, &text), -ESTALE);
    assert_int_equal(find_verb("type")->open(ref, 1, O_RDWR, &file), -ESTALE);
    if (ref->hold)
        assert_int_equal(kind->open(ref, O_RDWR, &file), -ESTALE);
}

/* The first queue of a name space has the id 0, which must not be taken for "whatever bears the name". */
static void test_id_zero(void **state)
{
    (void)state;
    assert_int_equal(unshare(CLONE_NEWIPC), 0);
    struct ipcfs_created object = new_queue();
    assert_int_equal(id_of(&object), 0);
    struct ipcfs_ref ref = key_ref(&object, false);
    struct statx stat;
    assert_int_equal(kind->stat(&ref, &stat), 0);
    native_remove(0);
    must_be_stale(&ref);
    (void)native_queue(0x2a, 0600);
    must_be_stale(&ref);
    let_go(&object);
}

/* By every way to it a queue that is gone stays gone, also when another has its key, or its index. */
static void test_recycled(void **state)
{
    (void)state;
    struct ipcfs_created object = new_queue();
    int id = id_of(&object);
    char name[16];
    (void)snprintf(name, sizeof name, "%d", id);
    const struct ipcfs_ref refs[] = {key_ref(&object, false),
                                     key_ref(&object, true),
                                     {.id = object.found.id, .directory = BY_ID, .name = name},
                                     {.directory = BY_ID, .name = name}};
    native_remove(id);
    int again = id;
    for (int i = 0; again == id || (again & 0x7FFF) != (id & 0x7FFF); i++) {
        assert_true(i < 100000);
        if (again != id)
            native_remove(again);
        again = native_queue(0x2a, 0600);
    }
    native_send(again, 1, "of another");
    for (size_t i = 0; i < ARRAY_LENGTH(refs); i++)
        must_be_stale(&refs[i]);
    assert_int_equal(find_in(BY_ID, name), -ENOENT);
    assert_int_equal(kind->remove(BY_ID, name), -ENOENT);
    kind->uncreate(BY_KEY, "0x2a", &object);
    assert_int_equal(find_in(BY_KEY, "0x2a"), again);
    assert_int_equal(receive(object.file, name, sizeof name), -EIDRM);
    assert_int_equal(native_state(again).msg_qnum, 1);
    assert_int_equal(native_state(again).msg_perm.mode & 0777, 0600);
    /* Without an identity it is whatever bears the key. */
    struct statx stat;
    const struct ipcfs_ref any = {.directory = BY_KEY, .name = "0x2a"};
    assert_int_equal(kind->stat(&any, &stat), 0);
    assert_int_equal(stat.stx_size, strlen("of another"));
    let_go(&object);
}

/* ---- create and remove ---- */

static void test_create(void **state)
{
    (void)state;
    static const mode_t modes[] = {0600, 0644, 0, 0777, 0200};
    for (size_t i = 0; i < ARRAY_LENGTH(modes); i++) {
        struct ipcfs_created object = create_key("0xBeef", O_RDWR | O_EXCL, modes[i]);
        assert_true(object.made);
        assert_int_equal(msgget(0xbeef, 0), id_of(&object));
        struct msqid_ds native;
        assert_int_equal(msgctl(id_of(&object), IPC_STAT, &native), 0);
        assert_int_equal(native.msg_perm.mode & 0777, modes[i]);
        assert_int_equal(object.found.stat.stx_mode, S_IFREG | modes[i]);
        assert_int_equal(object.found.stat.stx_size, 0);
        assert_int_equal(object.found.stat.stx_mtime.tv_sec, native.msg_ctime);
        let_go(&object);
        assert_int_equal(kind->remove(BY_KEY, "0x0000beef"), 0);
        assert_int_equal(kind->remove(BY_KEY, "0x0000beef"), -ENOENT);
    }
}

static void test_create_what_is_there(void **state)
{
    (void)state;
    int id = native_queue(0x2a, 0640);
    char name[16];
    (void)snprintf(name, sizeof name, "%d", id);
    native_send(id, 1, "kept");
    struct ipcfs_created object = {0};
    assert_int_equal(try_create_key("0x2a", O_RDWR | O_EXCL, 0600, &object), -EEXIST);
    assert_int_equal(try_create(name, O_RDWR | O_EXCL, 0600, &object), -EEXIST);
    object = create_key("0x2a", O_RDWR | O_TRUNC, 0600);
    assert_int_equal(id_of(&object), id);
    assert_false(object.made);
    kind->uncreate(BY_KEY, "0x2a", &object);
    must_receive(object.file, "kept");
    let_go(&object);
    object = create_object(name, O_RDWR, 0600);
    assert_int_equal(id_of(&object), id);
    assert_false(object.made);
    let_go(&object);
    assert_int_equal(native_state(id).msg_perm.mode & 0777, 0640);
}

static void test_uncreate(void **state)
{
    (void)state;
    struct ipcfs_created object = new_queue();
    kind->uncreate(BY_KEY, "0x2a", &object);
    assert_int_equal(msgget(0x2a, 0), -1);
    kind->uncreate(BY_KEY, "0x2a", &object);
    let_go(&object);
}

static void test_create_refused(void **state)
{
    (void)state;
    const struct ipcfs_value options[] = {{.known = true, .number = 1000}};
    check_create_refused(options);
    long msgmni = set_kernel("msgmni", 1);
    (void)native_queue(0x1, 0600);
    int error = create_because(BY_KEY, "0x2", NULL, "kernel.msgmni (1)");
    (void)set_kernel("msgmni", msgmni);
    assert_int_equal(error, -ENOSPC);
    assert_int_equal(count_objects(), 1);
}

static void test_create_option(void **state)
{
    (void)state;
    struct ipcfs_value options[] = {{.known = true, .number = 1000}};
    assert_int_equal(create_because(BY_KEY, "0x2a", options, ""), 0);
    assert_int_equal(native_state(msgget(0x2a, 0)).msg_qbytes, 1000);
    assert_int_equal(kind->remove(BY_KEY, "0x2a"), 0);
    options[0] = (struct ipcfs_value){.known = false, .number = 5};
    assert_int_equal(create_because(BY_KEY, "0x2a", options, ""), 0);
    assert_int_not_equal(native_state(msgget(0x2a, 0)).msg_qbytes, 5);
    assert_int_equal(kind->remove(BY_KEY, "0x2a"), 0);
}

static int create_too_large(void *data)
{
    AUTO_TEXT reason = {0};
    struct ipcfs_created object = {0};
    const struct ipcfs_value options[] = {{.known = true, .number = 99999999}};
    const struct ipcfs_wish wish = {.directory = BY_KEY,
                                    .name = "0x2a",
                                    .flags = O_RDWR | O_CREAT,
                                    .mode = 0600,
                                    .caller = &self,
                                    .options = options,
                                    .reason = &reason};
    const char *expected = data;
    if (kind->create(&wish, &object) != -EPERM || reason.length != strlen(expected))
        return 1;
    return memcmp(reason.data, expected, reason.length) != 0;
}

/* Refused for one who has not CAP_SYS_RESOURCE, and nothing is left behind. */
static void test_create_with_too_large_an_option(void **state)
{
    (void)state;
    long msgmnb = set_kernel("msgmnb", 5000);
    char expected[] = "qbytes=99999999: over kernel.msgmnb (5000), needs CAP_SYS_RESOURCE";
    as_user(1234, 1234, create_too_large, expected);
    (void)set_kernel("msgmnb", msgmnb);
    assert_int_equal(count_objects(), 0);
}

static int create_as_user(void *data)
{
    (void)data;
    struct ipcfs_created object = {0};
    if (try_create_key("0x2a", O_RDWR | O_EXCL, 0, &object))
        return 1;
    /* No bit of the mode is set, and its creator's file works all the same. Natively the call would check
     * again. */
    struct ipcfs_file *file = NULL;
    struct ipcfs_ref ref = key_ref(&object, true);
    int open_error = kind->open(&ref, O_RDONLY, &file);
    let_go(&object);
    return open_error == -EACCES ? 0 : 2;
}

static void test_creator(void **state)
{
    (void)state;
    as_user(1234, 4321, create_as_user, NULL);
    struct msqid_ds native = native_state(msgget(0x2a, 0));
    assert_true(native.msg_perm.cuid == 1234 && native.msg_perm.cgid == 4321);
    assert_true(native.msg_perm.uid == 1234 && native.msg_perm.gid == 4321);
    assert_int_equal(native.msg_perm.mode & 0777, 0);
}

/* With mode 0: the file has the access mode it was created with, and goes on to work as the daemon. */
static void test_creator_of_mode_zero(void **state)
{
    (void)state;
    struct ipcfs_created object = {0};
    assert_int_equal(seteuid(1234), 0);
    int error = try_create_key("0x2a", O_RDWR | O_EXCL, 0, &object);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(error, 0);
    assert_int_equal(send_text(object.file, "usable"), 6);
    must_receive(object.file, "usable");
    let_go(&object);
}

/* ---- walks ---- */

static int key_of_row(struct ipcfs_lister *lister, const struct ipcfs_entry *entry)
{
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    assert_int_equal(kind->list_render(lister, entry, values), 0);
    must_be_shown(kind->fields, values, "id", entry->number);
    int key = native_state((int)entry->number).msg_perm.__key;
    must_be_shown(kind->fields, values, "key", (uint64_t)key);
    return key;
}

static void test_many(void **state)
{
    (void)state;
    static int ids[MANY];
    for (int i = 0; i < MANY; i++)
        ids[i] = native_queue(i + 1, 0600);
    check_walk(BY_ID, ids, -1, key_of_row);
    native_remove(ids[MANY / 2]);
    check_walk(BY_ID, ids, MANY / 2, key_of_row);
    check_walk(BY_KEY, ids, MANY / 2, key_of_row);
    for (int i = 0; i < MANY; i++)
        if (i != MANY / 2)
            native_remove(ids[i]);
    assert_int_equal(count_objects(), 0);
}

/* By the object that was listed: its name in by-key/ is none in by-id/. */
static void test_list_render(void **state)
{
    (void)state;
    int id = native_queue(0x2a, 0600);
    for (unsigned directory = BY_ID; directory <= BY_KEY; directory++) {
        struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
        struct ipcfs_lister *lister = NULL;
        struct ipcfs_entry entry;
        assert_int_equal(kind->list_open(directory, &lister), 0);
        assert_int_equal(kind->list_next(lister, &entry), 1);
        assert_int_equal(kind->list_render(lister, &entry, values), 0);
        assert_true(values[0].known && values[0].number == (uint64_t)id && values[1].number == 0x2a);
        if (directory == BY_KEY) {
            native_remove(id);
            assert_int_equal(kind->list_render(lister, &entry, values), 0); /* as it was */
            assert_true(values[0].number == (uint64_t)id);
        }
        kind->list_close(lister);
    }
}

static void test_invented_positions(void **state)
{
    (void)state;
    static const uint64_t positions[] = {1, 1000, INT32_MAX, UINT32_MAX, UINT64_C(1) << 61, UINT64_MAX};
    struct ipcfs_lister *lister = NULL;
    struct ipcfs_entry entry;
    int id = native_queue(0x2a, 0600);
    assert_int_equal(kind->list_open(BY_ID, &lister), 0);
    for (size_t i = 1; i < ARRAY_LENGTH(positions); i++) {
        assert_int_equal(kind->list_seek(lister, positions[i]), 0);
        assert_int_equal(kind->list_next(lister, &entry), 0);
    }
    assert_int_equal(kind->list_seek(lister, 0), 0);
    assert_int_equal(kind->list_next(lister, &entry), 1);
    assert_int_equal(entry.number, id);
    kind->list_close(lister);
}

/* ---- what ctl/ shows ---- */

static void check_rendered(const struct ipcfs_value *values, int id, const struct msqid_ds *native)
{
    must_be_shown(kind->fields, values, "id", (uint64_t)id);
    must_be_shown(kind->fields, values, "key", 0x8000002aU);
    must_be_shown(kind->fields, values, "mode", 0640);
    must_be_shown(kind->fields, values, "uid", 12);
    must_be_shown(kind->fields, values, "gid", 34);
    must_be_shown(kind->fields, values, "cuid", 0);
    must_be_shown(kind->fields, values, "cgid", 0);
    must_be_shown(kind->fields, values, "cbytes", 7);
    must_be_shown(kind->fields, values, "qnum", 2);
    must_be_shown(kind->fields, values, "qbytes", 4000);
    must_be_shown(kind->fields, values, "lspid", (uint64_t)getpid());
    must_be_shown(kind->fields, values, "lrpid", 0);
    assert_int_equal(find_value(kind->fields, values, "stime")->time.tv_sec, native->msg_stime);
    assert_int_equal(find_value(kind->fields, values, "ctime")->time.tv_sec, native->msg_ctime);
    assert_false(find_value(kind->fields, values, "rtime")->known);
}

static void test_render(void **state)
{
    (void)state;
    int id = native_queue((key_t)0x8000002a, 0);
    struct msqid_ds native = native_state(id);
    native.msg_perm.uid = 12;
    native.msg_perm.gid = 34;
    native.msg_perm.mode = 0640;
    native.msg_qbytes = 4000;
    assert_int_equal(msgctl(id, IPC_SET, &native), 0);
    native_send(id, 5, "one");
    native_send(id, 1, "more");
    native = native_state(id);
    struct ipcfs_value values[IPCFS_FIELDS_MAX];
    memset(values, 0x7F, sizeof values); /* every value is set */
    const struct ipcfs_ref ref = {.directory = BY_KEY, .name = "0x8000002A"};
    assert_int_equal(kind->render(&ref, values), 0);
    check_rendered(values, id, &native);
    assert_int_equal(seteuid(4567), 0); /* everybody sees it, as in /proc/sysvipc/msg */
    int error = kind->render(&ref, values);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(error, 0);
    struct statx stat;
    assert_int_equal(kind->stat(&ref, &stat), 0);
    assert_true(stat.stx_uid == 12 && stat.stx_gid == 34 && stat.stx_size == 7 && stat.stx_blocks == 1);
    assert_int_equal(stat.stx_mtime.tv_sec, native.msg_stime);
    assert_int_equal(stat.stx_atime.tv_sec, native.msg_ctime);
}

static void test_limits(void **state)
{
    (void)state;
    struct ipcfs_value values[IPCFS_FIELDS_MAX];
    memset(values, 0x7F, sizeof values);
    int first = native_queue(1, 0600);
    int second = native_queue(2, 0600);
    native_send(first, 1, "abc");
    native_send(second, 1, "de");
    long msgmni = set_kernel("msgmni", 10);
    long msgmax = set_kernel("msgmax", 1111);
    long msgmnb = set_kernel("msgmnb", 2222);
    int error = kind->limits(&self, values);
    (void)set_kernel("msgmni", msgmni);
    (void)set_kernel("msgmax", msgmax);
    (void)set_kernel("msgmnb", msgmnb);
    assert_int_equal(error, 0);
    must_be_shown(kind->limit_fields, values, "msgmni", 10);
    must_be_shown(kind->limit_fields, values, "queues", 2);
    must_be_shown(kind->limit_fields, values, "queues_left", 8);
    must_be_shown(kind->limit_fields, values, "msgmax", 1111);
    must_be_shown(kind->limit_fields, values, "msgmnb", 2222);
    must_be_shown(kind->limit_fields, values, "messages", 2);
    must_be_shown(kind->limit_fields, values, "bytes", 5);
    assert_string_equal(find_value(kind->limit_fields, values, "create_limit")->string, "kernel.msgmni");
}

/* ---- what cannot be ---- */

static void test_refusals(void **state)
{
    (void)state;
    struct ipcfs_created object = new_queue();
    struct ipcfs_ref ref = key_ref(&object, true);
    struct ipcfs_file *owner = NULL;
    assert_int_equal(kind->rename(BY_KEY, "0x2a", BY_KEY, "0x2b", 0), -EPERM);
    assert_int_equal(kind->link(&ref, BY_KEY, "0x2b"), -EPERM);
    assert_int_equal(kind->allocate(object.file, 0, 0, 10), -EOPNOTSUPP);
    assert_int_equal(kind->seek(object.file, 0, SEEK_DATA), -ESPIPE);
    assert_int_equal(kind->backing(&ref), -EOPNOTSUPP);
    assert_int_equal(kind->may_execute(&ref), -EACCES);
    assert_int_equal(kind->lock_owner(&ref, &owner), -EOPNOTSUPP);
    assert_int_equal(kind->try_lock(object.file, NULL, NULL), -EOPNOTSUPP);
    assert_int_equal(kind->get_lock(object.file, NULL), -EOPNOTSUPP);
    let_go(&object);
}

/* ---- out of memory ---- */

static int find_hold_and_open(void)
{
    struct ipcfs_created object = {0};
    int error = kind->find(BY_KEY, "0x1", &object.found, &object.hold);
    if (error)
        return error;
    struct ipcfs_ref ref = ref_by_hold(&object, "0x1");
    error = kind->open(&ref, O_RDWR, &object.file);
    if (!error)
        kind->close(object.file);
    kind->release(object.hold);
    return error;
}

static int create_key_0x2(void)
{
    struct ipcfs_created object = {0};
    int error = try_create_key("0x2", O_RDWR, 0600, &object);
    if (error)
        return error;
    let_go(&object);
    return kind->remove(BY_KEY, "0x2");
}

static int create_existing(void)
{
    struct ipcfs_created object = {0};
    int error = try_create_key("0x1", O_RDWR, 0600, &object);
    if (!error)
        let_go(&object);
    return error;
}

static int walk(void)
{
    struct ipcfs_lister *lister = NULL;
    int error = kind->list_open(BY_ID, &lister);
    if (!error)
        kind->list_close(lister);
    return error;
}

static int peek(void)
{
    AUTO_TEXT text = {0};
    const struct ipcfs_ref ref = {.directory = BY_KEY, .name = "0x1"};
    return find_verb("peek")->read(&ref, 0, &text);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    static int (*const operations[])(void) = {find_hold_and_open, create_key_0x2, create_existing, walk,
                                              peek};
    native_send(native_queue(1, 0600), 1, "message");
    for (size_t i = 0; i < ARRAY_LENGTH(operations); i++)
        assert_true(fail_each_allocation(operations[i], 1, NULL) > 0);
}

static const struct CMUnitTest tests[] = {
    TEST(test_tables),
    TEST(test_directories),
    TEST(test_system),
    TEST(test_names_of_a_native_queue),
    TEST(test_highest_key),
    TEST(test_wrong_names),
    TEST(test_private_queue),
    TEST(test_id_zero),
    TEST(test_recycled),
    TEST(test_create),
    TEST(test_create_what_is_there),
    TEST(test_uncreate),
    TEST(test_create_refused),
    TEST(test_create_option),
    TEST(test_create_with_too_large_an_option),
    TEST(test_creator),
    TEST(test_creator_of_mode_zero),
    TEST(test_many),
    TEST(test_list_render),
    TEST(test_invented_positions),
    TEST(test_render),
    TEST(test_limits),
    TEST(test_refusals),
    TEST(test_out_of_memory),
};

const struct suite sysv_msg_suite = {
    .name = "names and state", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "sysv/msg"};
