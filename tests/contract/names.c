/* SPDX-License-Identifier: MIT */
/* The tables of a kind, and names: find, create, remove, rename, link; and what identity is. */
#include "subject.h"

#include "fields.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

/* ---- tables ---- */

static void test_every_slot_is_filled(void **state)
{
    (void)state;
    check_slots();
}

static void check_fields(const struct ipcfs_field *fields)
{
    assert_in_range(fields_count(fields), 1, IPCFS_FIELDS_MAX);
    for (const struct ipcfs_field *field = fields; field->name; field++) {
        assert_true(*field->name && field->help && *field->help && field->unit);
        assert_int_equal(strspn(field->name, "abcdefghijklmnopqrstuvwxyz0123456789_"), strlen(field->name));
        for (const struct ipcfs_field *other = fields; other < field; other++)
            assert_string_not_equal(other->name, field->name);
    }
}

/* What each type needs, and a right for what each does. */
static void check_verb(const struct ipcfs_verb *verb)
{
    bool opens =
        verb->type == IPCFS_VERB_FILE || verb->type == IPCFS_VERB_HOLD || verb->type == IPCFS_VERB_CONNECTION;
    bool is_text = verb->type == IPCFS_VERB_TEXT;
    assert_true(opens ? verb->open != NULL : !verb->open || (is_text && verb->write));
    assert_int_equal(verb->type == IPCFS_VERB_LINK, verb->link != NULL);
    assert_int_equal(verb->type == IPCFS_VERB_COMMAND, verb->prepare != NULL);
    if (is_text)
        assert_true(verb->read || verb->write);
    if (is_text)
        assert_int_equal(verb->read != NULL, (verb->mode & 0444) != 0);
    if (is_text)
        assert_int_equal(verb->write != NULL, (verb->mode & 0222) != 0);
    assert_true(verb->help && *verb->help);
    assert_int_equal(verb->mode & ~0777U, 0);
}

static void check_verbs(const struct ipcfs_verb *verbs)
{
    for (const struct ipcfs_verb *verb = verbs; verb->name; verb++) {
        check_verb(verb);
        for (const struct ipcfs_verb *other = verbs; other < verb; other++)
            assert_string_not_equal(other->name, verb->name);
    }
}

static void test_tables(void **state)
{
    (void)state;
    assert_true(kind->kind[0] && kind->kind[0] != '/' && kind->kind[strlen(kind->kind) - 1] != '/');
    assert_non_null(kind->directories[0]);
    for (size_t i = 0; kind->directories[i]; i++)
        assert_int_equal(strncmp(kind->directories[i], kind->kind, strlen(kind->kind)), 0);
    check_fields(kind->fields);
    check_fields(kind->limit_fields);
    check_verbs(kind->verbs);
    for (const struct ipcfs_verb *verb = kind->verbs; verb->name; verb++) {
        assert_string_not_equal(verb->name, "state");
        assert_string_not_equal(verb->name, "state.json");
    }
    check_verbs(kind->files);
    check_verbs(kind->member_files);
}

/* ---- find ---- */

static void fill_name(char *name, size_t length)
{
    memset(name, 'n', length);
    name[length] = '\0';
}

static void test_find_nothing(void **state)
{
    (void)state;
    char name[NAME_MAX + 2];
    assert_int_equal(find_error("missing"), -ENOENT);
    assert_int_equal(find_error(""), -ENOENT);
    assert_int_equal(find_error("."), -ENOENT);
    assert_int_equal(find_error(".."), -ENOENT);
    fill_name(name, longest_name());
    assert_int_equal(find_error(name), -ENOENT);
    fill_name(name, longest_name() + 1);
    assert_int_equal(find_error(name), -ENAMETOOLONG);
}

static void test_find_and_hold(void **state)
{
    (void)state;
    struct ipcfs_created object = {0};
    struct ipcfs_found first = make_object("a");
    assert_int_equal(kind->find(0, "a", &object.found, &object.hold), 0);
    assert_true(ipcfs_same_object(object.found.id, first.id));
    assert_memory_equal(&object.found.stat.stx_ino, &first.stat.stx_ino, sizeof first.stat.stx_ino);
    /* The hold is of what was found, whatever becomes of the name. */
    remove_object("a");
    struct ipcfs_found second = make_object("a");
    struct ipcfs_ref ref = ref_by_hold(&object, "a");
    assert_int_equal(stat_object(&ref).stx_ino, first.stat.stx_ino);
    assert_int_not_equal(second.stat.stx_ino, first.stat.stx_ino);
    kind->release(object.hold);
}

/* ---- create ---- */

static void test_create(void **state)
{
    (void)state;
    static const mode_t modes[] = {0600, 0644, 0, 0777, 04755};
    for (size_t i = 0; i < ARRAY_LENGTH(modes); i++) {
        struct ipcfs_created object = create_object("a", O_RDWR | O_EXCL, modes[i]);
        struct ipcfs_found found = find_object("a");
        assert_true(object.made);
        assert_int_equal(object.found.stat.stx_mode & 07777, shown_mode(modes[i]));
        assert_int_equal(object.found.stat.stx_mode & S_IFMT, traits->type ? traits->type : S_IFREG);
        assert_int_equal(object.found.stat.stx_nlink, 1);
        assert_int_equal(object.found.stat.stx_size, 0);
        assert_true(ipcfs_same_object(found.id, object.found.id));
        assert_true(found.id.number < UINT64_C(1) << 48);
        assert_int_equal(found.stat.stx_ino, object.found.stat.stx_ino);
        assert_int_equal(found.stat.stx_uid, geteuid());
        let_go(&object);
        remove_object("a");
    }
}

static void test_create_what_is_there(void **state)
{
    (void)state;
    struct ipcfs_found made = make_object("a");
    struct ipcfs_created object = {0};
    int error = try_create("a", O_RDWR | O_EXCL, 0644, &object);
    assert_int_equal(error, -EEXIST);
    object = create_object("a", O_RDONLY, 0644);
    assert_true(ipcfs_same_object(object.found.id, made.id));
    assert_int_equal(object.found.stat.stx_mode & 07777, shown_mode(0600)); /* as it was */
    assert_false(object.made);
    let_go(&object);
    assert_int_equal(count_objects(), 1);
}

/* Takes back what create() made, and nothing else. */
static void test_uncreate(void **state)
{
    (void)state;
    struct ipcfs_created made = create_object("a", O_RDWR, 0600);
    struct ipcfs_created opened = create_object("a", O_RDWR, 0600);
    kind->uncreate(0, "a", &opened);
    assert_true(exists("a"));
    kind->uncreate(0, "a", &made);
    assert_false(exists("a"));
    struct ipcfs_ref ref = ref_by_hold(&made, "a");
    assert_int_equal(stat_object(&ref).stx_nlink, 0); /* hold and file are still the caller's */
    kind->uncreate(0, "a", &made);
    make_object("a");
    kind->uncreate(0, "a", &made); /* that name means another object now */
    assert_true(exists("a"));
    let_go(&made);
    let_go(&opened);
}

static void test_create_and_truncate(void **state)
{
    (void)state;
    if (!traits->bytes)
        return;
    struct ipcfs_wait wait = {0};
    struct ipcfs_created object = create_object("a", O_RDWR, 0600);
    assert_int_equal(kind->try_write(object.file, "content", 7, 0, 0, &wait), 7);
    let_go(&object);
    object = create_object("a", O_RDWR, 0600);
    assert_int_equal(object.found.stat.stx_size, 7);
    let_go(&object);
    object = create_object("a", O_WRONLY | O_TRUNC, 0600);
    assert_int_equal(object.found.stat.stx_size, 0);
    assert_int_equal(find_object("a").stat.stx_size, 0);
    let_go(&object);
}

static int create_error(const char *name)
{
    struct ipcfs_created object = {0};
    int error = try_create(name, O_RDWR, 0600, &object);
    if (!error)
        let_go(&object);
    return error;
}

static void test_create_wrong_names(void **state)
{
    (void)state;
    char name[NAME_MAX + 2];
    fill_name(name, longest_name() + 1);
    assert_int_equal(create_error(name), -ENAMETOOLONG);
    assert_int_equal(create_error(""), -ENOENT);
    assert_int_equal(create_error("."), -EISDIR);
    assert_int_equal(create_error(".."), -EISDIR);
    assert_int_equal(count_objects(), 0);
}

static void test_strange_names(void **state)
{
    (void)state;
    char long_name[NAME_MAX + 1];
    fill_name(long_name, longest_name());
    const char *const names[] = {long_name, " ",     "\n",     "\\", "\xFF\xFE", "-rf",
                                 "...",     "%s%n",  "a b",    "\t", "@list",    "\xF0\x9F\x92\xA9",
                                 "list",    "state", ".hidden"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        struct ipcfs_found made = make_object(names[i]);
        assert_true(ipcfs_same_object(find_object(names[i]).id, made.id));
        assert_int_equal(count_objects(), i + 1);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        remove_object(names[i]);
        assert_false(exists(names[i]));
    }
}

/* ---- remove ---- */

static void test_remove(void **state)
{
    (void)state;
    char name[NAME_MAX + 2];
    make_object("a");
    make_object("b");
    remove_object("a");
    assert_false(exists("a"));
    assert_true(exists("b"));
    assert_int_equal(kind->remove(0, "a"), -ENOENT);
    assert_int_equal(kind->remove(0, ""), -ENOENT);
    assert_true(kind->remove(0, ".") < 0);
    assert_true(kind->remove(0, "..") < 0);
    fill_name(name, longest_name() + 1);
    assert_int_equal(kind->remove(0, name), -ENAMETOOLONG);
}

/* ---- rename ---- */

static void test_rename(void **state)
{
    (void)state;
    struct ipcfs_found a = make_object("a");
    int error = kind->rename(0, "a", 0, "b", 0);
    if (!traits->renames) {
        assert_int_equal(error, -EPERM);
        return;
    }
    assert_int_equal(error, 0);
    assert_false(exists("a"));
    assert_true(ipcfs_same_object(find_object("b").id, a.id));
    /* Over another object, which is gone then. */
    struct ipcfs_found c = make_object("c");
    assert_int_equal(kind->rename(0, "b", 0, "c", 0), 0);
    assert_true(ipcfs_same_object(find_object("c").id, a.id));
    assert_false(ipcfs_same_object(find_object("c").id, c.id));
    assert_int_equal(count_objects(), 1);
    assert_int_equal(kind->rename(0, "c", 0, "c", 0), 0);
    assert_true(exists("c"));
}

static void test_rename_flags(void **state)
{
    (void)state;
    if (!traits->renames)
        return;
    struct ipcfs_found a = make_object("a");
    struct ipcfs_found b = make_object("b");
    assert_int_equal(kind->rename(0, "a", 0, "b", RENAME_NOREPLACE), -EEXIST);
    assert_int_equal(kind->rename(0, "a", 0, "b", RENAME_EXCHANGE), 0);
    assert_true(ipcfs_same_object(find_object("b").id, a.id));
    assert_true(ipcfs_same_object(find_object("a").id, b.id));
    assert_int_equal(kind->rename(0, "a", 0, "missing", RENAME_EXCHANGE), -ENOENT);
    assert_int_equal(kind->rename(0, "a", 0, "c", RENAME_NOREPLACE), 0);
    assert_int_equal(kind->rename(0, "c", 0, "d", 0x1000), -EINVAL);
    assert_int_equal(count_objects(), 2);
}

static void test_rename_wrong_names(void **state)
{
    (void)state;
    if (!traits->renames)
        return;
    char name[NAME_MAX + 2];
    fill_name(name, longest_name() + 1);
    make_object("a");
    assert_int_equal(kind->rename(0, "missing", 0, "b", 0), -ENOENT);
    assert_int_equal(kind->rename(0, "a", 0, name, 0), -ENAMETOOLONG);
    assert_int_equal(kind->rename(0, name, 0, "b", 0), -ENAMETOOLONG);
    assert_int_equal(kind->rename(0, "a", 0, "", 0), -ENOENT);
    assert_true(kind->rename(0, "a", 0, ".", 0) < 0);
    assert_true(kind->rename(0, "..", 0, "b", 0) < 0);
    assert_true(exists("a"));
    assert_int_equal(count_objects(), 1);
}

/* ---- link ---- */

static void test_link(void **state)
{
    (void)state;
    struct ipcfs_found found = make_object("a");
    struct ipcfs_ref ref = ref_by_name(&found, "a");
    int error = kind->link(&ref, 0, "b");
    if (!traits->links) {
        assert_int_equal(error, -EPERM);
        return;
    }
    assert_int_equal(error, 0);
    struct ipcfs_found linked = find_object("b");
    assert_true(ipcfs_same_object(linked.id, found.id));
    assert_int_equal(linked.stat.stx_nlink, 2);
    assert_int_equal(kind->link(&ref, 0, "b"), -EEXIST);
    assert_int_equal(kind->link(&ref, 0, "a"), -EEXIST);
    remove_object("a");
    assert_true(ipcfs_same_object(find_object("b").id, found.id));
    assert_int_equal(find_object("b").stat.stx_nlink, 1);
    assert_int_equal(kind->link(&ref, 0, "c"), -ESTALE);
    struct ipcfs_ref other = ref_by_name(&found, "b");
    assert_int_equal(kind->link(&other, 0, "a"), 0);
}

static void test_link_wrong_names(void **state)
{
    (void)state;
    if (!traits->links)
        return;
    char name[NAME_MAX + 2];
    fill_name(name, longest_name() + 1);
    struct ipcfs_found found = make_object("a");
    struct ipcfs_ref ref = ref_by_name(&found, "a");
    assert_int_equal(kind->link(&ref, 0, name), -ENAMETOOLONG);
    assert_int_equal(kind->link(&ref, 0, ""), -ENOENT);
    assert_int_equal(kind->link(&ref, 0, "."), -EEXIST);
    assert_int_equal(find_object("a").stat.stx_nlink, 1);
}

/* ---- identity ---- */

static void test_a_new_object_is_another(void **state)
{
    (void)state;
    struct ipcfs_found before = make_object("a");
    for (int i = 0; i < 500; i++) {
        remove_object("a");
        struct ipcfs_found now = make_object("a");
        assert_false(ipcfs_same_object(now.id, before.id));
        before = now;
    }
}

/* ---- naming directories ---- */

static void test_directories(void **state)
{
    (void)state;
    for (unsigned i = 0; kind->directories[i]; i++) {
        struct ipcfs_directory directory;
        memset(&directory, 0x7F, sizeof directory);
        assert_int_equal(kind->stat_directory(i, &directory), 0);
        assert_int_not_equal(directory.uid, 0x7F7F7F7F);
        assert_int_not_equal(directory.gid, 0x7F7F7F7F);
    }
}

static const struct CMUnitTest tests[] = {
    TEST(test_every_slot_is_filled),
    TEST(test_tables),
    TEST(test_find_nothing),
    TEST(test_find_and_hold),
    TEST(test_create),
    TEST(test_create_what_is_there),
    TEST(test_uncreate),
    TEST(test_create_and_truncate),
    TEST(test_create_wrong_names),
    TEST(test_strange_names),
    TEST(test_remove),
    TEST(test_rename),
    TEST(test_rename_flags),
    TEST(test_rename_wrong_names),
    TEST(test_link),
    TEST(test_link_wrong_names),
    TEST(test_a_new_object_is_another),
    TEST(test_directories),
};

const struct suite names_suite = {.name = "names", .tests = tests, .count = ARRAY_LENGTH(tests)};
