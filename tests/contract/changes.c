/* SPDX-License-Identifier: MIT */
/* Reaching an object by name and by hold; its attributes, changes of them, and what ctl/ shows. */
#include "subject.h"

#include "fields.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

static const struct ipcfs_change change_mode = {.mask = IPCFS_CHANGE_MODE, .mode = 0640};

/* ---- references ---- */

static void must_be_stale(const struct ipcfs_ref *ref)
{
    struct statx stat;
    struct ipcfs_hold *hold = NULL;
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    assert_int_equal(kind->stat(ref, &stat), -ESTALE);
    assert_int_equal(kind->hold(ref, &hold), -ESTALE);
    assert_int_equal(kind->change(ref, NULL, &change_mode), -ESTALE);
    assert_int_equal(kind->render(ref, values), -ESTALE);
    if (traits->links)
        assert_int_equal(kind->link(ref, 0, "link"), -ESTALE);
    assert_false(exists("link"));
}

static void test_stale_names(void **state)
{
    (void)state;
    struct ipcfs_found found = make_object("a");
    struct ipcfs_ref ref = ref_by_name(&found, "a");
    (void)stat_object(&ref);
    remove_object("a");
    must_be_stale(&ref);
    struct ipcfs_found other = make_object("a");
    must_be_stale(&ref);
    assert_int_equal(find_object("a").stat.stx_mode, other.stat.stx_mode);
    if (!traits->renames)
        return;
    struct ipcfs_ref other_ref = ref_by_name(&other, "a");
    assert_int_equal(kind->rename(0, "a", 0, "b", 0), 0);
    must_be_stale(&other_ref);
    other_ref.name = "b";
    (void)stat_object(&other_ref);
}

/* No identity is asked for: whatever bears the name is meant. */
static void test_any_object_of_the_name(void **state)
{
    (void)state;
    struct statx stat;
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    struct ipcfs_ref ref = {.name = "a"};
    assert_int_equal(kind->stat(&ref, &stat), -ESTALE);
    assert_int_equal(kind->render(&ref, values), -ESTALE);
    for (int again = 0; again < 2; again++) {
        struct ipcfs_found found = make_object("a");
        assert_int_equal(stat_object(&ref).stx_ino, found.stat.stx_ino);
        assert_int_equal(kind->render(&ref, values), 0);
        ipcfs_values_release(kind->fields, values);
        remove_object("a");
    }
}

/* Everything that works on an object works on one that is held, whatever became of its name. */
static void must_work_by_hold(const struct ipcfs_created *object, unsigned links)
{
    struct ipcfs_ref ref = ref_by_hold(object, "a");
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    struct statx stat = stat_object(&ref);
    assert_int_equal(stat.stx_ino, object->found.stat.stx_ino);
    assert_int_equal(stat.stx_nlink, links);
    assert_int_equal(kind->change(&ref, NULL, &change_mode), 0);
    assert_int_equal(stat_object(&ref).stx_mode & 07777, shown_mode(0640));
    assert_int_equal(kind->render(&ref, values), 0);
    ipcfs_values_release(kind->fields, values);
    struct ipcfs_file *file = NULL;
    int error = try_open(&ref, O_RDWR, &file);
    assert_int_equal(error, are_opened() ? 0 : are_directories() ? -EISDIR : -ENXIO);
    if (file)
        kind->close(file);
    int fd = kind->backing(&ref);
    assert_true(fd >= 0 || fd == -EOPNOTSUPP);
    if (fd >= 0)
        assert_int_equal(close(fd), 0);
}

static void test_holds(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    must_work_by_hold(&object, 1);
    if (traits->renames) {
        assert_int_equal(kind->rename(0, "a", 0, "b", 0), 0);
        must_work_by_hold(&object, 1);
        assert_int_equal(kind->rename(0, "b", 0, "a", 0), 0);
    }
    remove_object("a");
    must_work_by_hold(&object, 0);
    make_object("a");
    must_work_by_hold(&object, 0);
    assert_int_equal(find_object("a").stat.stx_mode & 07777,
                     shown_mode(0600)); /* the new one was not meant */
    let_go(&object);
}

static void test_several_holds(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    struct ipcfs_ref ref = ref_by_name(&object.found, "a");
    struct ipcfs_hold *first = NULL;
    struct ipcfs_hold *second = NULL;
    assert_int_equal(kind->hold(&ref, &first), 0);
    assert_int_equal(kind->hold(&ref, &second), 0);
    remove_object("a");
    kind->release(first);
    ref.hold = second;
    (void)stat_object(&ref);
    kind->release(second);
    let_go(&object);
}

/* ---- changes ---- */

static struct statx changed(const struct ipcfs_ref *ref, struct ipcfs_file *file,
                            const struct ipcfs_change *change)
{
    int error = kind->change(ref, file, change);
    if (error)
        fail_msg("change(%#x): %s", change->mask, strerror(-error));
    return stat_object(ref);
}

static void check_attribute_changes(const struct ipcfs_ref *ref)
{
    struct ipcfs_change change = {.mask = IPCFS_CHANGE_MODE, .mode = S_IFREG | 0751};
    assert_int_equal(changed(ref, NULL, &change).stx_mode & 07777, shown_mode(0751));
    change = (struct ipcfs_change){.mask = IPCFS_CHANGE_UID, .uid = 1234, .gid = 1};
    struct statx stat = changed(ref, NULL, &change);
    assert_int_equal(stat.stx_uid, 1234);
    assert_int_not_equal(stat.stx_gid, 1);
    change = (struct ipcfs_change){.mask = IPCFS_CHANGE_GID, .uid = 1, .gid = 4321};
    stat = changed(ref, NULL, &change);
    assert_int_equal(stat.stx_uid, 1234);
    assert_int_equal(stat.stx_gid, 4321);
    assert_int_equal(stat.stx_mode & 07777, shown_mode(0751));
    change = (struct ipcfs_change){.mask = 0, .mode = 0, .size = 1, .uid = 9, .gid = 9};
    stat = changed(ref, NULL, &change);
    assert_true(stat.stx_uid == 1234 && stat.stx_gid == 4321 && (stat.stx_mode & 07777) == shown_mode(0751));
}

static void test_change_attributes(void **state)
{
    (void)state;
    for (int by_hold = 0; by_hold < 2; by_hold++) {
        struct ipcfs_created object = create_object("a", O_RDWR, 0600);
        struct ipcfs_ref ref = by_hold ? ref_by_hold(&object, "a") : ref_by_name(&object.found, "a");
        check_attribute_changes(&ref);
        let_go(&object);
        remove_object("a");
    }
}

/* A change of owner takes set-user-ID bits off; the mode asked for in the same change wins. */
static void test_change_owner_and_mode(void **state)
{
    (void)state;
    struct ipcfs_found found = make_object("a");
    struct ipcfs_ref ref = ref_by_name(&found, "a");
    struct ipcfs_change change = {
        .mask = IPCFS_CHANGE_UID | IPCFS_CHANGE_GID | IPCFS_CHANGE_MODE, .uid = 77, .gid = 78, .mode = 06755};
    struct statx stat = changed(&ref, NULL, &change);
    assert_true(stat.stx_uid == 77 && stat.stx_gid == 78);
    assert_int_equal(stat.stx_mode & 07777, shown_mode(06755));
}

static void test_change_times(void **state)
{
    (void)state;
    struct ipcfs_found found = make_object("a");
    struct ipcfs_ref ref = ref_by_name(&found, "a");
    struct ipcfs_change change = {.mask = IPCFS_CHANGE_TIMES, .times = {{1000, 123456789}, {2000, 5}}};
    struct statx stat = changed(&ref, NULL, &change);
    unsigned kept = !traits->whole_seconds;
    assert_true(stat.stx_atime.tv_sec == 1000 && stat.stx_atime.tv_nsec == kept * 123456789);
    assert_true(stat.stx_mtime.tv_sec == 2000 && stat.stx_mtime.tv_nsec == kept * 5);
    change.times[0].tv_nsec = UTIME_OMIT;
    change.times[1] = (struct timespec){3000, 0};
    stat = changed(&ref, NULL, &change);
    assert_true(stat.stx_atime.tv_sec == 1000 && stat.stx_mtime.tv_sec == 3000);
    change.times[1].tv_nsec = UTIME_NOW;
    stat = changed(&ref, NULL, &change);
    assert_int_equal(stat.stx_atime.tv_sec, 1000);
    assert_true(stat.stx_mtime.tv_sec > 1000000000);
    change.times[0].tv_nsec = 1000000000;
    assert_int_equal(kind->change(&ref, NULL, &change), -EINVAL);
}

static void test_change_size(void **state)
{
    (void)state;
    if (!traits->bytes)
        return;
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    struct ipcfs_ref by_name = ref_by_name(&object.found, "a");
    struct ipcfs_ref by_hold = ref_by_hold(&object, "a");
    struct ipcfs_change change = {.mask = IPCFS_CHANGE_SIZE, .size = 12345};
    assert_int_equal(changed(&by_name, NULL, &change).stx_size, 12345);
    change.size = 3;
    assert_int_equal(changed(&by_hold, NULL, &change).stx_size, 3);
    change.size = INT64_C(1) << 40; /* sparse */
    assert_int_equal(changed(&by_hold, object.file, &change).stx_size, change.size);
    change.size = 0;
    assert_int_equal(changed(&by_name, object.file, &change).stx_size, 0);
    change.size = -1;
    assert_int_equal(kind->change(&by_name, NULL, &change), -EINVAL);
    assert_int_equal(kind->change(&by_hold, object.file, &change), -EINVAL);
    let_go(&object);
}

/* ftruncate(2) needs a descriptor that may write, and no right to the file any more. */
static void test_change_size_by_descriptor(void **state)
{
    (void)state;
    if (!traits->bytes)
        return;
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    struct ipcfs_file *reader = open_object(&ref, O_RDONLY);
    struct ipcfs_change change = {.mask = IPCFS_CHANGE_SIZE, .size = 10};
    assert_int_equal(kind->change(&ref, reader, &change), -EINVAL);
    kind->close(reader);
    struct ipcfs_change no_rights = {.mask = IPCFS_CHANGE_MODE, .mode = 0};
    (void)changed(&ref, NULL, &no_rights);
    assert_int_equal(seteuid(1234), 0);
    int by_descriptor = kind->change(&ref, object.file, &change);
    int by_name = kind->change(&ref, NULL, &change);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(by_descriptor, 0);
    assert_int_equal(by_name, -EACCES);
    assert_int_equal(stat_object(&ref).stx_size, 10);
    let_go(&object);
}

/* The calling thread's identity decides. */
static void test_change_as_stranger(void **state)
{
    (void)state;
    struct ipcfs_found found = make_object("a");
    struct ipcfs_ref ref = ref_by_name(&found, "a");
    const struct ipcfs_change changes[] = {
        {.mask = IPCFS_CHANGE_MODE, .mode = 0777},
        {.mask = IPCFS_CHANGE_UID, .uid = 1234},
        {.mask = IPCFS_CHANGE_TIMES, .times = {{1, 1}, {1, 1}}},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(changes); i++) {
        assert_int_equal(seteuid(1234), 0);
        int error = kind->change(&ref, NULL, &changes[i]);
        assert_int_equal(seteuid(0), 0);
        assert_int_equal(error, -EPERM);
    }
    struct statx stat = stat_object(&ref);
    assert_true(stat.stx_uid == 0 && (stat.stx_mode & 07777) == shown_mode(0600) &&
                stat.stx_mtime.tv_sec > 1);
}

static void test_open_as_stranger(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a", O_RDWR, 0644);
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    struct ipcfs_file *file = NULL;
    struct ipcfs_file *reader = NULL;
    assert_int_equal(seteuid(1234), 0);
    int write_error = are_opened() ? try_open(&ref, O_RDWR, &file) : -EACCES;
    int read_error = are_opened() ? try_open(&ref, O_RDONLY, &reader) : 0;
    int remove_error = kind->remove(0, "a");
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(write_error, -EACCES);
    assert_int_equal(read_error,
                     are_opened() && are_directories() ? -EACCES : 0); /* what holds also writes */
    assert_true(remove_error == -EPERM || remove_error == -EACCES);    /* sticky directory */
    if (reader)
        kind->close(reader);
    let_go(&object);
}

/* ---- what ctl/ shows ---- */

static const struct ipcfs_value *field(const struct ipcfs_field *fields, const struct ipcfs_value *values,
                                       const char *name)
{
    for (size_t i = 0; fields[i].name; i++)
        if (strcmp(fields[i].name, name) == 0)
            return &values[i];
    return NULL;
}

static void check_number(const struct ipcfs_value *values, const char *name, uint64_t expected)
{
    const struct ipcfs_value *value = field(kind->fields, values, name);
    if (!value)
        return;
    assert_true(value->known);
    if (value->number != expected)
        fail_msg("%s is %llu instead of %llu", name, (unsigned long long)value->number,
                 (unsigned long long)expected);
}

static void check_time(const struct ipcfs_value *values, const char *name,
                       const struct statx_timestamp *expected)
{
    const struct ipcfs_value *value = field(kind->fields, values, name);
    if (!value || !value->known)
        return;
    if (value->time.tv_sec != expected->tv_sec || value->time.tv_nsec != expected->tv_nsec)
        fail_msg("%s is not that of stat", name);
}

static void test_render_agrees_with_stat(void **state)
{
    (void)state;
    struct ipcfs_created object = create_object("a name", O_RDWR, 04751);
    struct ipcfs_ref ref = ref_by_hold(&object, "a name");
    struct ipcfs_change change = {.mask = IPCFS_CHANGE_UID | IPCFS_CHANGE_GID | IPCFS_CHANGE_MODE |
                                          IPCFS_CHANGE_TIMES,
                                  .uid = 12,
                                  .gid = 34,
                                  .mode = 04751,
                                  .times = {{1000, 1}, {2000, 2}}};
    (void)changed(&ref, NULL, &change);
    if (traits->bytes)
        assert_int_equal(kind->allocate(object.file, 0, 0, 100000), 0);
    struct statx stat = stat_object(&ref);
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    assert_int_equal(kind->render(&ref, values), 0);
    assert_string_equal(field(kind->fields, values, "name")->string, "a name");
    if (field(kind->fields, values, "size") && (traits->bytes || traits->messages))
        check_number(values, "size", stat.stx_size);
    check_number(values, "allocated", stat.stx_blocks * 512);
    if (!are_directories())
        check_number(values, "mode", stat.stx_mode & 07777);
    check_number(values, "uid", 12);
    check_number(values, "gid", 34);
    check_number(values, "nlink", 1);
    check_number(values, "ino", stat.stx_ino);
    check_time(values, "atime", &stat.stx_atime);
    check_time(values, "mtime", &stat.stx_mtime);
    check_time(values, "ctime", &stat.stx_ctime);
    check_time(values, "btime", &stat.stx_btime);
    ipcfs_values_release(kind->fields, values);
    let_go(&object);
}

/* No value is left as it was: the caller's array may be anything. */
static void test_render_fills_every_field(void **state)
{
    (void)state;
    struct ipcfs_found found = make_object("a");
    struct ipcfs_ref ref = ref_by_name(&found, "a");
    struct ipcfs_value values[2][IPCFS_FIELDS_MAX];
    memset(values[0], 0, sizeof values[0]);
    memset(values[1], 0x7F, sizeof values[1]);
    assert_int_equal(kind->render(&ref, values[0]), 0);
    assert_int_equal(kind->render(&ref, values[1]), 0);
    struct text texts[2] = {{0}, {0}};
    fields_text(&texts[0], kind->fields, values[0]);
    fields_text(&texts[1], kind->fields, values[1]);
    assert_int_equal(texts[0].length, texts[1].length);
    assert_memory_equal(texts[0].data, texts[1].data, texts[0].length);
    for (int i = 0; i < 2; i++) {
        text_reset(&texts[i]);
        ipcfs_values_release(kind->fields, values[i]);
    }
}

static void test_limits(void **state)
{
    (void)state;
    struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
    assert_int_equal(kind->limits(&self, values), 0);
    for (size_t i = 0; kind->limit_fields[i].name; i++) {
        assert_true(values[i].known);
        if (kind->limit_fields[i].type == IPCFS_STRING)
            assert_non_null(values[i].string);
    }
}

static void check_verbs(const struct ipcfs_verb *verbs, const struct ipcfs_ref *ref)
{
    for (const struct ipcfs_verb *verb = verbs; verb->name; verb++) {
        char target[PATH_MAX];
        char small[PATH_MAX];
        AUTO_TEXT text = {0};
        if (verb->read) {
            assert_int_equal(verb->read(ref, 0, &text), 0);
            assert_int_equal(text_error(&text), 0);
            continue;
        }
        if (!verb->link)
            continue;
        assert_int_equal(verb->link(ref, target, sizeof target), 0);
        assert_true(*target && strlen(target) < sizeof target);
        for (size_t room = 1; room <= strlen(target); room++) {
            memset(small, '#', sizeof small);
            assert_int_equal(verb->link(ref, small, room), -ENAMETOOLONG);
            assert_int_equal(small[room], '#');
        }
        assert_int_equal(verb->link(ref, small, strlen(target) + 1), 0);
        assert_string_equal(small, target);
    }
}

static void test_verbs(void **state)
{
    (void)state;
    struct ipcfs_found found = make_object("a");
    struct ipcfs_ref ref = ref_by_name(&found, "a");
    check_verbs(kind->verbs, &ref);
    if (are_directories())
        check_verbs(kind->files, &ref);
}

static const struct CMUnitTest tests[] = {
    TEST(test_stale_names),
    TEST(test_any_object_of_the_name),
    TEST(test_holds),
    TEST(test_several_holds),
    TEST(test_change_attributes),
    TEST(test_change_owner_and_mode),
    TEST(test_change_times),
    TEST(test_change_size),
    TEST(test_change_size_by_descriptor),
    TEST(test_change_as_stranger),
    TEST(test_open_as_stranger),
    TEST(test_render_agrees_with_stat),
    TEST(test_render_fills_every_field),
    TEST(test_limits),
    TEST(test_verbs),
};

const struct suite changes_suite = {.name = "changes", .tests = tests, .count = ARRAY_LENGTH(tests)};
