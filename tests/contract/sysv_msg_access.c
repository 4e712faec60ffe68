/* SPDX-License-Identifier: MIT */
/* Who may do what with a System V message queue: as the kernel decides for the same user. */
#include "sysv_msg_subject.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* ---- the permission check beside the kernel's ---- */

/* qbytes is 0, so that nothing can be sent, and the queue is empty: only the permission makes a
 * difference. */
static bool kernel_allows(int id, bool read, bool write)
{
    struct native_message message = {.type = 1};
    if (read && msgrcv(id, &message, sizeof message.text, 0, IPC_NOWAIT) < 0 && errno != ENOMSG)
        return false;
    return !write || msgsnd(id, &message, 0, IPC_NOWAIT) == 0 || errno == EAGAIN;
}

static int compare_with_kernel(int id, mode_t mode, const struct identity *identity)
{
    static const int flags[] = {O_RDONLY, O_WRONLY, O_RDWR, O_ACCMODE};
    char name[16];
    struct ipcfs_created object = {0};
    (void)snprintf(name, sizeof name, "%d", id);
    if (kind->find(BY_ID, name, &object.found, &object.hold))
        return 1;
    int wrong = 0;
    struct ipcfs_ref ref = ref_by_hold(&object, name);
    for (size_t i = 0; i < ARRAY_LENGTH(flags); i++) {
        struct ipcfs_file *file = NULL;
        bool allowed = kernel_allows(id, flags[i] != O_WRONLY, flags[i] != O_RDONLY);
        int expected = allowed ? 0 : -EACCES;
        int error = kind->open(&ref, flags[i], &file);
        if (!error)
            kind->close(file);
        int type_error = find_verb("type")->open(&ref, 5, flags[i], &file);
        if (!type_error)
            kind->close(file);
        if (error == expected && type_error == expected)
            continue;
        (void)fprintf(stderr, "%s, mode %03o, flags %d: %d, type/5 %d, the kernel %d\n", identity->what,
                      (unsigned)mode, flags[i], error, type_error, expected);
        wrong = 1;
    }
    kind->release(object.hold);
    return wrong;
}

static int compare_all_modes(const int *ids, const struct identity *identity)
{
    if (become(identity))
        return 2;
    int wrong = 0;
    for (unsigned mode = 0; mode < MODES; mode++)
        wrong |= compare_with_kernel(ids[mode], mode, identity);
    return wrong;
}

static int make_queue_of_mode(unsigned mode)
{
    assert_true(setegid(CREATING_GROUP) == 0 && seteuid(CREATOR) == 0);
    int id = native_queue((key_t)mode + 1, 0600);
    struct msqid_ds state = native_state(id);
    state.msg_perm.uid = OWNER;
    state.msg_perm.gid = OWNING_GROUP;
    state.msg_perm.mode = (unsigned short)mode;
    state.msg_qbytes = 0;
    assert_int_equal(msgctl(id, IPC_SET, &state), 0);
    assert_true(seteuid(0) == 0 && setegid(0) == 0);
    return id;
}

static void test_every_mode_and_identity(void **state)
{
    (void)state;
    int ids[MODES];
    for (unsigned mode = 0; mode < MODES; mode++)
        ids[mode] = make_queue_of_mode(mode);
    compare_for_every_identity(ids, compare_all_modes);
}

/* ---- permission is the file's, once it is open ---- */

static void test_permission_goes_with_the_file(void **state)
{
    (void)state;
    struct ipcfs_created object = new_queue();
    struct ipcfs_ref ref = key_ref(&object, true);
    const struct ipcfs_change change = {.mask = IPCFS_CHANGE_MODE, .mode = 0};
    assert_int_equal(kind->change(&ref, NULL, &change), 0);
    assert_int_equal(send_text(object.file, "still"), 5);
    must_receive(object.file, "still");
    let_go(&object);
}

/* ---- an id that was given to another queue ---- */

/* Removes the queue of that id and has the kernel give the id to a new one. */
static void give_id_to_another(int id, key_t key, int mode)
{
    native_remove(id);
    (void)set_kernel("msg_next_id", id);
    assert_int_equal(native_queue(key, mode), id);
    native_send(id, 1, "secret");
}

static void must_reach_nothing(struct ipcfs_file *file, int error)
{
    char buffer[512];
    struct ipcfs_wait wait = {0};
    assert_int_equal(receive(file, buffer, sizeof buffer), error);
    assert_int_equal(send_text(file, "forged"), error);
    wait = (struct ipcfs_wait){.block = true};
    assert_int_equal(kind->try_write(file, "forged", 6, 0, 0, &wait), error);
    assert_true(kind->poll(file, &wait) & POLLHUP);
}

/* Not even root's file, which the permissions would let in. */
static void test_queue_of_another_creator(void **state)
{
    (void)state;
    struct ipcfs_created object = new_queue();
    int id = id_of(&object);
    give_id_to_another(id, IPC_PRIVATE, 0600);
    must_reach_nothing(object.file, -EIDRM);
    assert_int_equal(native_state(id).msg_qnum, 1);
    native_remove(id);
    let_go(&object);
}

/* Same key and creator: only what its opener might open again. */
static void test_queue_of_the_same_creator(void **state)
{
    (void)state;
    struct ipcfs_created object = new_queue();
    int id = id_of(&object);
    key_t key = native_state(id).msg_perm.__key;
    struct ipcfs_ref ref = key_ref(&object, true);
    const struct ipcfs_change change = {.mask = IPCFS_CHANGE_MODE, .mode = 0666};
    assert_int_equal(kind->change(&ref, NULL, &change), 0);
    struct ipcfs_file *file = NULL;
    assert_int_equal(seteuid(STRANGER), 0);
    int error = kind->open(&ref, O_RDWR, &file);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(error, 0);
    give_id_to_another(id, key, 0600);
    must_reach_nothing(file, -EACCES);
    must_receive(object.file, "secret");
    kind->close(file);
    native_remove(id);
    let_go(&object);
}

/* ---- change ---- */

static void test_change_attributes(void **state)
{
    (void)state;
    struct ipcfs_created object = new_queue();
    unsigned long qbytes = native_state(id_of(&object)).msg_qbytes;
    check_change_attributes(&object, S_IFREG | 06755, 0755, look_at_queue); /* there are no more bits */
    assert_int_equal(native_state(id_of(&object)).msg_qbytes, qbytes);
    let_go(&object);
}

static void test_change_times(void **state)
{
    (void)state;
    struct ipcfs_created object = new_queue();
    check_change_times(&object, look_at_queue);
    let_go(&object);
}

static int do_as_stranger(void *data)
{
    const struct ipcfs_ref *ref = data;
    AUTO_TEXT reason = {0};
    struct ipcfs_created object = {0};
    if (try_create_key("0x2a", O_RDONLY, 0666, &object) != -EACCES || object.hold || object.file)
        return 6;
    const struct ipcfs_change changes[] = {
        {.mask = IPCFS_CHANGE_MODE, .mode = 0777},
        {.mask = IPCFS_CHANGE_UID, .uid = 1234},
        {.mask = IPCFS_CHANGE_TIMES, .times = {{0, UTIME_NOW}, {0, UTIME_NOW}}},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(changes); i++)
        if (kind->change(ref, NULL, &changes[i]) != -EPERM)
            return 1;
    if (kind->remove(BY_KEY, "0x2a") != -EPERM)
        return 2;
    if (write_qbytes(ref, "100", 3, &reason) != -EPERM || !reason.length)
        return 3;
    struct ipcfs_change purge = {.mask = IPCFS_CHANGE_SIZE, .size = 0};
    AUTO_TEXT text = {0};
    if (kind->change(ref, NULL, &purge) != -EACCES || find_verb("peek")->read(ref, 0, &text) != -EACCES)
        return 4;
    struct statx stat;
    return kind->stat(ref, &stat) || find_verb("qbytes")->read(ref, 0, &text) ? 5 : 0;
}

/* Everybody sees the queue; only owner and creator change it, and what is in it is for those who may read. */
static void test_stranger(void **state)
{
    (void)state;
    static const mode_t modes[] = {0600, 0602}; /* to purge is to read, too */
    struct ipcfs_created object = new_queue();
    struct ipcfs_ref ref = key_ref(&object, false);
    native_send(id_of(&object), 1, "secret");
    for (size_t i = 0; i < ARRAY_LENGTH(modes); i++) {
        const struct ipcfs_change change = {.mask = IPCFS_CHANGE_MODE, .mode = modes[i]};
        assert_int_equal(kind->change(&ref, NULL, &change), 0);
        as_user(1234, 1234, do_as_stranger, &ref);
        assert_int_equal(native_state(id_of(&object)).msg_qnum, 1);
        assert_int_equal(native_state(id_of(&object)).msg_perm.mode & 0777, modes[i]);
    }
    let_go(&object);
}

static int do_as_reader(void *data)
{
    const struct ipcfs_ref *ref = data;
    AUTO_TEXT text = {0};
    struct ipcfs_change purge = {.mask = IPCFS_CHANGE_SIZE, .size = 0};
    if (find_verb("peek")->read(ref, 0, &text) || text.length != 6)
        return 1;
    return kind->change(ref, NULL, &purge) == -EACCES ? 0 : 2;
}

static void test_reader(void **state)
{
    (void)state;
    struct ipcfs_created object = create_key("0x2a", O_RDWR, 0644);
    struct ipcfs_ref ref = key_ref(&object, false);
    native_send(id_of(&object), 1, "public");
    as_user(1234, 1234, do_as_reader, &ref);
    assert_int_equal(native_state(id_of(&object)).msg_qnum, 1);
    let_go(&object);
}

static int do_as_owner(void *data)
{
    const struct ipcfs_ref *ref = data;
    const struct ipcfs_change change = {.mask = IPCFS_CHANGE_MODE, .mode = 0640};
    if (kind->change(ref, NULL, &change))
        return 1;
    if (write_qbytes(ref, "100", 3, NULL))
        return 2;
    return kind->remove(BY_KEY, "0x2a") ? 3 : 0;
}

static void test_owner(void **state)
{
    (void)state;
    struct ipcfs_created object = new_queue();
    struct ipcfs_ref ref = key_ref(&object, false);
    const struct ipcfs_change change = {.mask = IPCFS_CHANGE_UID | IPCFS_CHANGE_MODE, .uid = 1234};
    assert_int_equal(kind->change(&ref, NULL, &change), 0);
    as_user(1234, 1234, do_as_owner, &ref);
    assert_int_equal(msgget(0x2a, 0), -1);
    let_go(&object);
}

/* ---- qbytes ---- */

static void must_refuse(const struct ipcfs_ref *ref, const char *line, size_t length)
{
    AUTO_TEXT reason = {0};
    int error = write_qbytes(ref, line, length, &reason);
    if (error != -EINVAL)
        fail_msg("qbytes \"%.*s\": %s", (int)length, line, strerror(-error));
    assert_true(reason.length > 0);
    assert_int_equal(write_qbytes(ref, line, length, NULL), -EINVAL);
}

static void test_qbytes(void **state)
{
    (void)state;
    struct ipcfs_created object = new_queue();
    struct ipcfs_ref ref = key_ref(&object, false);
    static const char *const wrong[] = {"",   " ",  "x",   "1x",   "-1",  "+1",
                                        " 1", "1 ", "1\n", "0x10", "1.5", "18446744073709551616"};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        must_refuse(&ref, wrong[i], strlen(wrong[i]));
    must_refuse(&ref, "1\0", 2);
    assert_int_equal(write_qbytes(&ref, "12345 not of it", 5, NULL), 0);
    struct msqid_ds native = native_state(id_of(&object));
    assert_true(native.msg_qbytes == 12345 && (native.msg_perm.mode & 0777) == 0600);
    AUTO_TEXT text = {0};
    assert_int_equal(find_verb("qbytes")->read(&ref, 0, &text), 0);
    assert_int_equal(text.length, 6);
    assert_memory_equal(text.data, "12345\n", 6);
    let_go(&object);
}

static int raise_too_far(void *data)
{
    const struct ipcfs_ref *ref = data;
    static const char expected[] = "qbytes=70000: over kernel.msgmnb (16384), needs CAP_SYS_RESOURCE";
    AUTO_TEXT reason = {0};
    int error = write_qbytes(ref, "70000", 5, &reason);
    if (error != -EPERM || reason.length != strlen(expected))
        return 1;
    return memcmp(reason.data, expected, reason.length) != 0;
}

static void test_qbytes_over_the_limit(void **state)
{
    (void)state;
    struct ipcfs_created object = new_queue();
    struct ipcfs_ref ref = key_ref(&object, false);
    const struct ipcfs_change change = {.mask = IPCFS_CHANGE_UID, .uid = 1234};
    assert_int_equal(kind->change(&ref, NULL, &change), 0);
    as_user(1234, 1234, raise_too_far, &ref);
    assert_int_equal(native_state(id_of(&object)).msg_qbytes, 16384);
    let_go(&object);
}

static int change_mode_only(void *data)
{
    const struct ipcfs_change change = {.mask = IPCFS_CHANGE_MODE, .mode = 0640};
    struct msqid_ds native;
    int id = msgget(0x2a, 0);
    if (msgctl(id, IPC_STAT, &native))
        return 1;
    int native_error = msgctl(id, IPC_SET, &native) ? -errno : 0;
    return kind->change(data, NULL, &change) == native_error && native_error == -EPERM ? 0 : 2;
}

/* kernel.msgmnb was lowered below what the queue has: IPC_SET, which sets all or nothing, is refused to
 * its owner. */
static void test_change_of_a_queue_over_the_limit(void **state)
{
    (void)state;
    struct ipcfs_created object = new_queue();
    struct ipcfs_ref ref = key_ref(&object, false);
    const struct ipcfs_change change = {.mask = IPCFS_CHANGE_UID, .uid = 1234};
    assert_int_equal(kind->change(&ref, NULL, &change), 0);
    long msgmnb = set_kernel("msgmnb", 100);
    as_user(1234, 1234, change_mode_only, &ref);
    (void)set_kernel("msgmnb", msgmnb);
    assert_int_equal(native_state(id_of(&object)).msg_qbytes, 16384);
    let_go(&object);
}

static const struct CMUnitTest tests[] = {
    TEST(test_every_mode_and_identity),
    TEST(test_permission_goes_with_the_file),
    TEST(test_queue_of_another_creator),
    TEST(test_queue_of_the_same_creator),
    TEST(test_change_attributes),
    TEST(test_change_times),
    TEST(test_stranger),
    TEST(test_reader),
    TEST(test_owner),
    TEST(test_qbytes),
    TEST(test_qbytes_over_the_limit),
    TEST(test_change_of_a_queue_over_the_limit),
};

const struct suite sysv_msg_access_suite = {
    .name = "access", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "sysv/msg"};
