/* SPDX-License-Identifier: MIT */
/* System V semaphore sets beside native users: names, identity, creation, walks, and what ctl/ shows. */
#include "sysv_sem_subject.h"

#include "fields.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- tables ---- */

static void check_verbs(const struct ipcfs_verb *verb)
{
    for (; verb->name; verb++) {
        assert_true(verb->help && *verb->help);
        assert_false(verb->numbered || verb->unlisted);
        assert_int_equal(verb->type == IPCFS_VERB_FILE || verb->type == IPCFS_VERB_HOLD, verb->open != NULL);
        assert_int_equal(verb->type == IPCFS_VERB_COMMAND, verb->prepare != NULL);
        if (verb->type == IPCFS_VERB_TEXT) {
            assert_int_equal((verb->mode & 0444) != 0, verb->read != NULL);
            assert_int_equal((verb->mode & 0222) != 0, verb->write != NULL);
        }
    }
}

static void test_tables(void **state)
{
    (void)state;
    check_slots();
    assert_false(kind->messages);
    assert_true(ipcfs_is_directory(kind));
    assert_string_equal(kind->directories[BY_ID], "sysv/sem/by-id");
    assert_string_equal(kind->directories[BY_KEY], "sysv/sem/by-key");
    assert_true(fields_count(kind->fields) <= IPCFS_FIELDS_MAX);
    check_verbs(kind->files);
    check_verbs(kind->member_files);
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
    (void)native_set(1, 3, 0600);
    set_kernel_sem("32000 1024000000 500 7");
    assert_int_equal(kind->stat_system(&system), 0);
    reset_kernel_sem();
    assert_true(system.f_files == 7 && system.f_ffree == 6 && system.f_bsize == 4096);
    assert_int_equal(system.f_namemax, 10);
}

/* ---- names ---- */

static void test_names_of_a_native_set(void **state)
{
    (void)state;
    char name[16];
    int id = native_set(0x1abcdef, 2, 0640);
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
    assert_int_equal(by_id.stat.stx_nlink, 1);
    assert_int_equal(by_id.stat.stx_size, 0);
    assert_int_equal(by_id.stat.stx_mode, S_IFDIR | 0750);
    int highest = native_set((key_t)0xffffffff, 1, 0600);
    assert_int_equal(find_in(BY_KEY, "0xffffffff"), highest);
}

/* Each class that may do something may look into the directory. */
static void test_directory_modes(void **state)
{
    (void)state;
    static const mode_t modes[][2] = {{0, 0},       {0600, 0700}, {0400, 0500}, {0200, 0300},
                                      {0642, 0753}, {0777, 0777}, {0111, 0},    {0666, 0777}};
    int id = native_set(0x2a, 1, 0600);
    const struct ipcfs_ref ref = {.directory = BY_KEY, .name = "0x2a"};
    for (size_t i = 0; i < ARRAY_LENGTH(modes); i++) {
        native_set_change(id, 12, 34, (int)modes[i][0]);
        struct statx stat = stat_object(&ref);
        assert_int_equal(stat.stx_mode, S_IFDIR | modes[i][1]);
        assert_true(stat.stx_uid == 12 && stat.stx_gid == 34);
    }
}

static void test_times(void **state)
{
    (void)state;
    int id = native_set(0x2a, 1, 0600);
    const struct ipcfs_ref ref = {.directory = BY_KEY, .name = "0x2a"};
    time_t made = native_set_state(id).sem_ctime;
    struct statx stat = stat_object(&ref);
    assert_true(stat.stx_atime.tv_sec == made && stat.stx_mtime.tv_sec == made &&
                stat.stx_ctime.tv_sec == made);
    for (int i = 0; i < 300 && native_set_state(id).sem_otime <= made; i++) {
        native_op(id, 0, 1);
        usleep(10000);
    }
    stat = stat_object(&ref);
    assert_true(stat.stx_atime.tv_sec > made && stat.stx_mtime.tv_sec > made &&
                stat.stx_ctime.tv_sec == made);
}

static void test_wrong_names(void **state)
{
    (void)state;
    check_wrong_names(native_set(0x2a, 1, 0600));
}

/* IPC_PRIVATE is not looked for: semget(2) would make a set. */
static void test_private_set(void **state)
{
    (void)state;
    check_private_object(native_set(IPC_PRIVATE, 1, 0600));
}

/* ---- identity ---- */

static void must_be_stale(const struct ipcfs_ref *ref)
{
    struct statx stat;
    struct ipcfs_hold *hold = NULL;
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    const struct ipcfs_change change = {.mask = IPCFS_CHANGE_MODE, .mode = 0666};
    static const char *const opened[] = {"wait", "zero", "hold"};
    AUTO_TEXT text = {0};
    struct ipcfs_file *file = NULL;
    const struct ipcfs_written written = {.data = "0:+1", .size = 4, .caller = &self, .reason = &text};
    assert_int_equal(kind->stat(ref, &stat), -ESTALE);
    assert_int_equal(kind->hold(ref, &hold), -ESTALE);
    assert_int_equal(kind->change(ref, NULL, &change), -ESTALE);
    assert_int_equal(kind->render(ref, values), -ESTALE);
    assert_int_equal(kind->members(ref), -ESTALE);
    assert_int_equal(set_file("nsems")->read(ref, 0, &text), -ESTALE);
    assert_int_equal(set_file("values")->read(ref, 0, &text), -ESTALE);
    assert_int_equal(write_line(set_file("values"), ref, 0, "5"), -ESTALE);
    assert_int_equal(set_file("op")->prepare(ref, 0, &written, &file), -ESTALE);
    assert_int_equal(member_file("value")->read(ref, 0, &text), -ESTALE);
    assert_int_equal(write_line(member_file("value"), ref, 0, "5"), -ESTALE);
    assert_int_equal(write_line(member_file("post"), ref, 0, ""), -ESTALE);
    for (size_t i = 0; i < ARRAY_LENGTH(opened); i++)
        assert_int_equal(member_file(opened[i])->open(ref, 0, O_RDONLY, &file), -ESTALE);
}

/* The first set of a name space has the id 0, which must not be taken for "whatever bears the name". */
static void test_id_zero(void **state)
{
    (void)state;
    assert_int_equal(unshare(CLONE_NEWIPC), 0);
    struct ipcfs_created object = new_set(1, 0600);
    assert_int_equal(id_of(&object), 0);
    struct ipcfs_ref ref = key_ref(&object, false);
    struct statx stat;
    assert_int_equal(kind->stat(&ref, &stat), 0);
    native_set_remove(0);
    must_be_stale(&ref);
    (void)native_set(0x2a, 1, 0600);
    must_be_stale(&ref);
    let_go(&object);
}

/* By every way to it a set that is gone stays gone, also when another has its key, or its index. */
static void test_recycled(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(1, 0600);
    int id = id_of(&object);
    char name[16];
    (void)snprintf(name, sizeof name, "%d", id);
    const struct ipcfs_ref refs[] = {key_ref(&object, false),
                                     key_ref(&object, true),
                                     {.id = object.found.id, .directory = BY_ID, .name = name},
                                     {.directory = BY_ID, .name = name}};
    native_set_remove(id);
    int again = id;
    for (int i = 0; again == id || (again & 0x7FFF) != (id & 0x7FFF); i++) {
        assert_true(i < 100000);
        if (again != id)
            native_set_remove(again);
        again = native_set(0x2a, 1, 0600);
    }
    native_put(again, 0, 7);
    for (size_t i = 0; i < ARRAY_LENGTH(refs); i++)
        must_be_stale(&refs[i]);
    assert_int_equal(find_in(BY_ID, name), -ENOENT);
    assert_int_equal(kind->remove(BY_ID, name), -ENOENT);
    kind->uncreate(BY_KEY, "0x2a", &object);
    assert_int_equal(find_in(BY_KEY, "0x2a"), again);
    assert_int_equal(native_value(again, 0), 7);
    /* Without an identity it is whatever bears the key. */
    const struct ipcfs_ref any = {.directory = BY_KEY, .name = "0x2a"};
    must_read(member_file("value"), &any, 0, "7\n");
    let_go(&object);
}

/* ---- create and remove ---- */

static void test_create(void **state)
{
    (void)state;
    static const mode_t modes[][2] = {{0600, 0600}, {0644, 0644}, {0, 0}, {0777, 0666}, {0755, 0644}};
    for (size_t i = 0; i < ARRAY_LENGTH(modes); i++) {
        struct ipcfs_created object = {0};
        assert_int_equal(try_create_key("0xBeef", O_EXCL, modes[i][0], &object), 0);
        assert_true(object.made && object.hold && !object.file);
        assert_int_equal(semget(0xbeef, 0, 0), id_of(&object));
        struct ipcfs_ref ref = {.directory = BY_KEY, .name = "0xbeef"};
        assert_int_equal(kind->members(&ref), 1); /* as mkdir makes it, which has no options */
        struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
        assert_int_equal(kind->render(&ref, values), 0);
        assert_int_equal(values[2].number, modes[i][1]);
        ipcfs_values_release(kind->fields, values);
        assert_int_equal(native_value(id_of(&object), 0), 0);
        let_go(&object);
        assert_int_equal(kind->remove(BY_KEY, "0x0000beef"), 0);
        assert_int_equal(kind->remove(BY_KEY, "0x0000beef"), -ENOENT);
    }
}

static void test_create_what_is_there(void **state)
{
    (void)state;
    int id = native_set(0x2a, 3, 0640);
    char name[16];
    (void)snprintf(name, sizeof name, "%d", id);
    struct ipcfs_created object = {0};
    assert_int_equal(try_create_key("0x2a", O_EXCL, 0600, &object), -EEXIST);
    assert_int_equal(try_create(name, O_EXCL, 0600, &object), -EEXIST);
    assert_int_equal(try_create_key("0x2a", 0, 0600, &object), 0);
    assert_true(id_of(&object) == id && !object.made);
    kind->uncreate(BY_KEY, "0x2a", &object);
    let_go(&object);
    object = create_object(name, 0, 0600);
    assert_true(id_of(&object) == id && !object.made);
    let_go(&object);
    assert_int_equal(native_set_state(id).sem_nsems, 3);
    assert_int_equal(native_set_state(id).sem_perm.mode & 0777, 0640);
}

static void test_uncreate(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(1, 0600);
    kind->uncreate(BY_KEY, "0x2a", &object);
    assert_int_equal(semget(0x2a, 0, 0), -1);
    kind->uncreate(BY_KEY, "0x2a", &object);
    let_go(&object);
}

static int create_of(const char *name, uint64_t nsems, const char *expected)
{
    const struct ipcfs_value options[] = {{.known = true, .number = nsems}};
    return create_because(BY_KEY, name, options, expected);
}

static void test_create_refused(void **state)
{
    (void)state;
    const struct ipcfs_value options[] = {{.known = true, .number = 1}};
    check_create_refused(options);
    assert_int_equal(create_of("0x2a", 0, "nsems=0"), -EINVAL);
    assert_int_equal(count_objects(), 0);
}

static void test_create_over_a_limit(void **state)
{
    (void)state;
    set_kernel_sem("10 15 500 2");
    assert_int_equal(create_of("0x1", 11, "over semmsl (10)"), -EINVAL);
    assert_int_equal(create_of("0x1", UINT64_MAX, "over semmsl (10)"), -EINVAL);
    assert_int_equal(create_of("0x1", (UINT64_C(1) << 32) + 1, "over semmsl (10)"), -EINVAL);
    assert_int_equal(create_of("0x1", 10, ""), 0);
    assert_int_equal(create_of("0x2", 6, "over semmns (15) of kernel.sem, 10 are"), -ENOSPC);
    assert_int_equal(create_of("0x2", 5, ""), 0);
    set_kernel_sem("10 150 500 2");
    assert_int_equal(create_of("0x3", 1, "semmni (2) of kernel.sem"), -ENOSPC);
    reset_kernel_sem();
    assert_int_equal(count_objects(), 2);
    assert_int_equal(native_set_state(semget(1, 0, 0)).sem_nsems, 10);
    assert_int_equal(native_set_state(semget(2, 0, 0)).sem_nsems, 5);
}

static int create_as_user(void *data)
{
    (void)data;
    struct ipcfs_created object = {0};
    if (try_create_key("0x2a", O_EXCL, 0, &object))
        return 1;
    let_go(&object);
    return 0;
}

static void test_creator(void **state)
{
    (void)state;
    as_user(1234, 4321, create_as_user, NULL);
    struct semid_ds native = native_set_state(semget(0x2a, 0, 0));
    assert_true(native.sem_perm.cuid == 1234 && native.sem_perm.cgid == 4321);
    assert_true(native.sem_perm.uid == 1234 && native.sem_perm.gid == 4321);
    assert_int_equal(native.sem_perm.mode & 0777, 0);
}

/* ---- walks ---- */

static int key_of_row(struct ipcfs_lister *lister, const struct ipcfs_entry *entry)
{
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    assert_int_equal(kind->list_render(lister, entry, values), 0);
    must_be_shown(kind->fields, values, "id", entry->number);
    assert_false(values[fields_count(kind->fields) - 1].known);
    int key = native_set_state((int)entry->number).sem_perm.__key;
    must_be_shown(kind->fields, values, "key", (uint64_t)key);
    return key;
}

static void test_many(void **state)
{
    (void)state;
    static int ids[MANY];
    for (int i = 0; i < MANY; i++)
        ids[i] = native_set(i + 1, 1, 0600);
    check_walk(BY_ID, ids, -1, key_of_row);
    native_set_remove(ids[MANY / 2]);
    check_walk(BY_ID, ids, MANY / 2, key_of_row);
    check_walk(BY_KEY, ids, MANY / 2, key_of_row);
    for (int i = 0; i < MANY; i++)
        if (i != MANY / 2)
            native_set_remove(ids[i]);
    assert_int_equal(count_objects(), 0);
}

static void test_list_render_of_what_is_gone(void **state)
{
    (void)state;
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    struct ipcfs_lister *lister = NULL;
    struct ipcfs_entry entry;
    int id = native_set(0x2a, 1, 0600);
    assert_int_equal(kind->list_open(BY_KEY, &lister), 0);
    assert_int_equal(kind->list_next(lister, &entry), 1);
    native_set_remove(id);
    assert_int_equal(kind->list_render(lister, &entry, values), 0); /* as it was */
    assert_true(values[0].number == (uint64_t)id && values[1].number == 0x2a);
    kind->list_close(lister);
}

/* ---- what ctl/ shows ---- */

static void test_render(void **state)
{
    (void)state;
    int id = native_set((key_t)0x8000002a, 3, 0);
    native_set_change(id, 12, 34, 0640);
    struct ipcfs_value values[IPCFS_FIELDS_MAX];
    memset(values, 0x7F, sizeof values); /* every value is set */
    const struct ipcfs_ref ref = {.directory = BY_KEY, .name = "0x8000002A"};
    assert_int_equal(kind->render(&ref, values), 0);
    static const struct {
        const char *name;
        uint64_t number;
    } expected[] = {{"key", 0x8000002aU}, {"mode", 0640}, {"uid", 12}, {"gid", 34},
                    {"cuid", 0},          {"cgid", 0},    {"nsems", 3}};
    must_be_shown(kind->fields, values, "id", (uint64_t)id);
    for (size_t i = 0; i < ARRAY_LENGTH(expected); i++)
        must_be_shown(kind->fields, values, expected[i].name, expected[i].number);
    assert_false(find_value(kind->fields, values, "otime")->known);
    assert_int_equal(find_value(kind->fields, values, "ctime")->time.tv_sec, native_set_state(id).sem_ctime);
    assert_int_equal(find_value(kind->fields, values, "semaphore")->table->rows, 3);
    ipcfs_values_release(kind->fields, values);
}

static void must_show(const struct ipcfs_ref *ref, const char *expected)
{
    AUTO_TEXT text = {0};
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    assert_int_equal(kind->render(ref, values), 0);
    fields_text(&text, kind->fields, values);
    ipcfs_values_release(kind->fields, values);
    text_bytes(&text, "", 1);
    const char *table = strstr(text.data, "semaphore.0");
    assert_non_null(table);
    assert_string_equal(table, expected);
}

/* This thread only: seteuid(3) interrupts the others. */
static void act_alone_as(uid_t uid)
{
    assert_int_equal(syscall(SYS_setresuid, -1, uid, -1), 0);
}

static void test_render_semaphores(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(2, 0600);
    struct ipcfs_ref ref = key_ref(&object, true);
    struct ipcfs_file *wait = open_member(&object, "wait", 0);
    struct ipcfs_file *zero = open_member(&object, "zero", 1);
    struct sem_waiter waiters[2];
    char expected[128];
    native_op(id_of(&object), 1, 5);
    start_waiter(&waiters[0], wait, WAITER_READS);
    start_waiter(&waiters[1], zero, WAITER_READS);
    await_count(id_of(&object), 0, GETNCNT, 1);
    await_count(id_of(&object), 1, GETZCNT, 1);
    (void)snprintf(
        expected, sizeof expected,
        "semaphore.0: value=0 ncount=1 zcount=0 pid=0\nsemaphore.1: value=5 ncount=0 zcount=1 pid=%d\n",
        (int)getpid());
    must_show(&ref, expected);
    /* Who may not read the set is told all but that. */
    act_alone_as(4567);
    must_show(&ref,
              "semaphore.0: value=- ncount=- zcount=- pid=-\nsemaphore.1: value=- ncount=- zcount=- pid=-\n");
    act_alone_as(0);
    native_set_remove(id_of(&object));
    join_waiter(&waiters[0], -EIDRM);
    join_waiter(&waiters[1], -EIDRM);
    kind->close(wait);
    kind->close(zero);
    let_go(&object);
}

static void test_limits(void **state)
{
    (void)state;
    struct ipcfs_value values[IPCFS_FIELDS_MAX];
    memset(values, 0x7F, sizeof values);
    static const struct {
        const char *name;
        uint64_t number;
    } expected[] = {{"semmni", 10}, {"sets", 2},       {"sets_left", 8}, {"semmsl", 100},
                    {"semmns", 50}, {"semaphores", 7}, {"semopm", 20},   {"semvmx", 32767}};
    (void)native_set(1, 3, 0600);
    (void)native_set(2, 4, 0600);
    set_kernel_sem("100 50 20 10");
    assert_int_equal(kind->limits(&self, values), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(expected); i++)
        must_be_shown(kind->limit_fields, values, expected[i].name, expected[i].number);
    assert_string_equal(find_value(kind->limit_fields, values, "create_limit")->string, "kernel.sem semmni");
    set_kernel_sem("100 8 20 10");
    assert_int_equal(kind->limits(&self, values), 0);
    must_be_shown(kind->limit_fields, values, "sets_left", 1);
    assert_string_equal(find_value(kind->limit_fields, values, "create_limit")->string, "kernel.sem semmns");
    set_kernel_sem("100 5 20 1"); /* below what exists */
    assert_int_equal(kind->limits(&self, values), 0);
    must_be_shown(kind->limit_fields, values, "sets_left", 0);
    reset_kernel_sem();
}

/* ---- what cannot be ---- */

static void test_refusals(void **state)
{
    (void)state;
    struct ipcfs_created object = new_set(1, 0600);
    struct ipcfs_ref ref = key_ref(&object, true);
    struct ipcfs_file *file = NULL;
    assert_int_equal(kind->rename(BY_KEY, "0x2a", BY_KEY, "0x2b", 0), -EPERM);
    assert_int_equal(kind->link(&ref, BY_KEY, "0x2b"), -EPERM);
    assert_int_equal(kind->open(&ref, O_RDONLY, &file), -EISDIR);
    assert_int_equal(kind->backing(&ref), -EOPNOTSUPP);
    assert_int_equal(kind->may_execute(&ref), -EACCES);
    assert_int_equal(kind->lock_owner(&ref, &file), -EOPNOTSUPP);
    file = open_member(&object, "wait", 0);
    assert_int_equal(kind->allocate(file, 0, 0, 10), -EOPNOTSUPP);
    assert_int_equal(kind->seek(file, 0, SEEK_DATA), -ESPIPE);
    assert_int_equal(kind->get_lock(file, NULL), -EOPNOTSUPP);
    assert_int_equal(hold_once(file), -EOPNOTSUPP);
    kind->close(file);
    let_go(&object);
}

/* ---- out of memory ---- */

static struct ipcfs_created subject;

static int find_and_release(void)
{
    struct ipcfs_created object = {0};
    int error = kind->find(BY_KEY, "0x2a", &object.found, &object.hold);
    if (!error)
        kind->release(object.hold);
    return error;
}

static int create_key_0x2(void)
{
    struct ipcfs_created object = {0};
    int error = try_create_key("0x2", O_EXCL, 0600, &object);
    if (error)
        return error;
    let_go(&object);
    return kind->remove(BY_KEY, "0x2");
}

static int open_and_close(void)
{
    struct ipcfs_file *file = NULL;
    struct ipcfs_ref ref = key_ref(&subject, true);
    int error = member_file("hold")->open(&ref, 0, O_RDONLY, &file);
    if (error)
        return error;
    error = hold_once(file);
    kind->close(file);
    return error;
}

static int prepare_and_close(void)
{
    struct ipcfs_file *file = NULL;
    int error = prepare(&subject, "0:+1 1:-1", NULL, &file);
    if (!error)
        kind->close(file);
    return error;
}

static int read_values(void)
{
    AUTO_TEXT text = {0};
    struct ipcfs_ref ref = key_ref(&subject, true);
    return set_file("values")->read(&ref, 0, &text);
}

static int write_values(void)
{
    struct ipcfs_ref ref = key_ref(&subject, true);
    return write_line(set_file("values"), &ref, 0, "1 2");
}

static int render_all(void)
{
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    struct ipcfs_ref ref = key_ref(&subject, true);
    int error = kind->render(&ref, values);
    ipcfs_values_release(kind->fields, values);
    return error;
}

static void check_subject(void)
{
    assert_int_equal(native_value(id_of(&subject), 0), 1);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    static int (*const operations[])(void) = {find_and_release,  create_key_0x2, open_and_close,
                                              prepare_and_close, read_values,    write_values,
                                              render_all};
    subject = new_set(2, 0600);
    native_put(id_of(&subject), 0, 1);
    for (size_t i = 0; i < ARRAY_LENGTH(operations); i++) {
        unsigned failures = fail_each_allocation(operations[i], 1, check_subject);
        assert_true(failures > 0 || operations[i] == write_values);
    }
    let_go(&subject);
}

static const struct CMUnitTest tests[] = {
    TEST(test_tables),
    TEST(test_directories),
    TEST(test_system),
    TEST(test_names_of_a_native_set),
    TEST(test_directory_modes),
    TEST(test_times),
    TEST(test_wrong_names),
    TEST(test_private_set),
    TEST(test_id_zero),
    TEST(test_recycled),
    TEST(test_create),
    TEST(test_create_what_is_there),
    TEST(test_uncreate),
    TEST(test_create_refused),
    TEST(test_create_over_a_limit),
    TEST(test_creator),
    TEST(test_many),
    TEST(test_list_render_of_what_is_gone),
    TEST(test_render),
    TEST(test_render_semaphores),
    TEST(test_limits),
    TEST(test_refusals),
    TEST(test_out_of_memory),
};

const struct suite sysv_sem_suite = {
    .name = "names and state", .tests = tests, .count = ARRAY_LENGTH(tests), .only_kind = "sysv/sem"};
