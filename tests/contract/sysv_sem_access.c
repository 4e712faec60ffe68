/* SPDX-License-Identifier: MIT */
/* Who may do what with a System V semaphore set: as the kernel decides for the same user. */
#include "sysv_sem_subject.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* ---- every file beside the kernel's own call ---- */

/* The value of semaphore 0 is 0: one that takes waits, unless it may not. */
static bool kernel_allows_write(int id)
{
    struct sembuf take = {0, -1, IPC_NOWAIT};
    return semop(id, &take, 1) == 0 || errno == EAGAIN;
}

static bool kernel_allows_read(int id)
{
    struct sembuf zero = {0, 0, IPC_NOWAIT};
    bool by_operation = semop(id, &zero, 1) == 0;
    bool by_value = semctl(id, 0, GETVAL) == 0;
    if (by_operation != by_value)
        _exit(98);
    return by_value;
}

static int try_open_file(const char *name, const struct ipcfs_ref *ref)
{
    struct ipcfs_file *file = NULL;
    int error = member_file(name)->open(ref, 0, O_RDONLY, &file);
    if (!error)
        kind->close(file);
    return error;
}

static int try_prepare(const struct ipcfs_created *object, const char *line)
{
    struct ipcfs_file *file = NULL;
    int error = prepare(object, line, NULL, &file);
    if (!error)
        kind->close(file);
    return error;
}

static int try_to_read(const struct ipcfs_verb *verb, const struct ipcfs_ref *ref)
{
    AUTO_TEXT text = {0};
    return verb->read(ref, 0, &text);
}

/* Names what is otherwise than natively; NULL where nothing is. */
static const char *difference(const struct ipcfs_created *object, const struct ipcfs_ref *ref, int id)
{
    int may_read = kernel_allows_read(id) ? 0 : -EACCES;
    int may_write = kernel_allows_write(id) ? 0 : -EACCES;
    const struct {
        const char *what;
        int result;
        int expected;
    } calls[] = {
        {"values", try_to_read(set_file("values"), ref), may_read},
        {"value", try_to_read(member_file("value"), ref), may_read},
        {"nsems", try_to_read(set_file("nsems"), ref), 0},
        {"zero", try_open_file("zero", ref), may_read},
        {"wait", try_open_file("wait", ref), may_write},
        {"hold", try_open_file("hold", ref), may_write},
        {"op to wait for 0", try_prepare(object, "0:0 1:0"), may_read},
        {"op", try_prepare(object, "0:0 1:+1"), may_write},
        {"op that waits for 0 last", try_prepare(object, "1:+1 0:0"), may_write},
        {"set values", write_line(set_file("values"), ref, 0, "0 0"), may_write},
        {"set value", write_line(member_file("value"), ref, 0, "0"), may_write},
        {"post 0", write_line(member_file("post"), ref, 0, "0"), may_write},
        {"post", write_line(member_file("post"), ref, 0, "1"), may_write},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(calls); i++)
        if (calls[i].result != calls[i].expected)
            return calls[i].what;
    return may_write == 0 && write_line(member_file("value"), ref, 0, "0") ? "set back" : NULL;
}

static int compare_all_modes(const int *ids, const struct identity *identity)
{
    if (become(identity))
        return 2;
    int wrong = 0;
    for (int mode = 0; mode < MODES; mode++) {
        char name[16];
        struct ipcfs_created object = {0};
        (void)snprintf(name, sizeof name, "%d", ids[mode]);
        if (kind->find(BY_ID, name, &object.found, &object.hold))
            return 3;
        struct ipcfs_ref ref = ref_by_hold(&object, name);
        const char *what = difference(&object, &ref, ids[mode]);
        kind->release(object.hold);
        if (!what)
            continue;
        (void)fprintf(stderr, "%s, mode %03o: %s\n", identity->what, (unsigned)mode, what);
        wrong = 1;
    }
    return wrong;
}

static int make_set_of_mode(int mode)
{
    assert_true(setegid(CREATING_GROUP) == 0 && seteuid(CREATOR) == 0);
    int id = native_set(mode + 1, 2, 0600);
    native_set_change(id, OWNER, OWNING_GROUP, mode);
    assert_true(seteuid(0) == 0 && setegid(0) == 0);
    return id;
}

static void test_every_mode_and_identity(void **state)
{
    (void)state;
    int ids[MODES];
    for (int mode = 0; mode < MODES; mode++)
        ids[mode] = make_set_of_mode(mode);
    compare_for_every_identity(ids, compare_all_modes);
}

/* ---- permission is the file's, once it is open ---- */

static void test_permission_goes_with_the_file(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(1, 0666);
    assert_int_equal(seteuid(STRANGER), 0);
    struct ipcfs_file *wait = open_member(&object, "wait", 0);
    struct ipcfs_file *op = must_prepare(&object, "0:+2");
    assert_int_equal(seteuid(0), 0);
    struct ipcfs_wait source = {0};
    assert_int_equal(write_once(op, "0:+2", &source), 4);
    must_give(wait, "1\n");
    kind->close(wait);
    kind->close(op);
    let_go(&object);
}

/* Of the set that was opened, too: owner or mode have changed, and he is asked again. */
static void test_permission_taken_back(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(1, 0666);
    assert_int_equal(seteuid(STRANGER), 0);
    struct ipcfs_file *wait = open_member(&object, "wait", 0);
    assert_int_equal(seteuid(0), 0);
    native_put(id_of(&object), 0, 1);
    native_set_change(id_of(&object), 0, 0, 0644);
    char text[32];
    assert_int_equal(read_once(wait, text), -EACCES);
    native_set_change(id_of(&object), STRANGER, 0, 0600);
    must_give(wait, "0\n");
    kind->close(wait);
    let_go(&object);
}

/* ---- change ---- */

static void test_change_attributes(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(1, 0600);
    struct ipcfs_ref ref = key_ref(&object, false);
    check_change_attributes(&object, S_IFDIR | 07755, 0644, look_at_set); /* without the directory's x */
    assert_int_equal(stat_object(&ref).stx_mode, S_IFDIR | 0755);
    let_go(&object);
}

static void test_change_size(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(1, 0600);
    struct ipcfs_ref ref = key_ref(&object, true);
    struct ipcfs_file *file = open_member(&object, "wait", 0);
    const struct ipcfs_change change = {.mask = IPCFS_CHANGE_SIZE | IPCFS_CHANGE_MODE, .mode = 0666};
    assert_int_equal(kind->change(&ref, NULL, &change), -EISDIR);
    assert_int_equal(kind->change(&ref, file, &change), -EINVAL);
    assert_int_equal(native_set_state(id_of(&object)).sem_perm.mode & 0777, 0600);
    kind->close(file);
    let_go(&object);
}

static void test_change_times(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(1, 0600);
    check_change_times(&object, look_at_set);
    let_go(&object);
}

static int do_as_stranger(void *data)
{
    const struct ipcfs_ref *ref = data;
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
    struct statx stat;
    return kind->stat(ref, &stat) || kind->members(ref) != 1 ? 3 : 0;
}

/* Everybody sees the set; only owner and creator change it. */
static void test_stranger(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(1, 0666);
    struct ipcfs_ref ref = key_ref(&object, false);
    as_user(1234, 1234, do_as_stranger, &ref);
    assert_int_equal(native_set_state(id_of(&object)).sem_perm.mode & 0777, 0666);
    let_go(&object);
}

static int do_as_owner(void *data)
{
    const struct ipcfs_ref *ref = data;
    const struct ipcfs_change change = {.mask = IPCFS_CHANGE_MODE, .mode = 0640};
    if (kind->change(ref, NULL, &change))
        return 1;
    return kind->remove(BY_KEY, "0x2a") ? 2 : 0;
}

static void test_owner(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(1, 0);
    struct ipcfs_ref ref = key_ref(&object, false);
    native_set_change(id_of(&object), 1234, 0, 0);
    as_user(1234, 1234, do_as_owner, &ref);
    assert_int_equal(semget(0x2a, 0, 0), -1);
    let_go(&object);
}

static const struct CMUnitTest tests[] = {
    TEST(test_every_mode_and_identity),
    TEST(test_permission_goes_with_the_file),
    TEST(test_permission_taken_back),
    TEST(test_change_attributes),
    TEST(test_change_size),
    TEST(test_change_times),
    TEST(test_stranger),
    TEST(test_owner),
};

const struct suite sysv_sem_access_suite = {
    .name = "access", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "sysv/sem"};
