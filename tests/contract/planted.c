/* SPDX-License-Identifier: MIT */
/*
 * Things planted beside objects that are files of their names: of other types, or under names that are not the kind's. They
 * are not shown, opened, followed or removed.
 */
#include "subject.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Whatever the kind makes not, and two names that are hidden, whatever they are. */
static struct thing {
    const char *name;
    mode_t type; /* 0: that of the objects */
    bool there;
    ino_t inode;
} things[] = {
    {.name = "link", .type = S_IFLNK},
    {.name = "dangling", .type = S_IFLNK},
    {.name = "fifo", .type = S_IFIFO},
    {.name = "socket", .type = S_IFSOCK},
    {.name = "directory", .type = S_IFDIR},
    {.name = "file", .type = S_IFREG},
    {.name = "device", .type = S_IFCHR},
    {.name = ".ipcfs.x"},
    {.name = "sem.x"},
};

struct path {
    char text[PATH_MAX];
};

static struct path native(const char *name)
{
    struct path path;
    (void)snprintf(path.text, sizeof path.text, "%s/%s", traits->path, name);
    return path;
}

static void must(int result, const char *what)
{
    if (result < 0)
        fail_msg("%s: %s", what, strerror(errno));
}

static bool is_hidden(const struct thing *thing)
{
    return thing->type == 0;
}

static bool is_to_be_planted(const struct thing *thing)
{
    if (strcmp(thing->name, "sem.x") == 0)
        return traits->hides_sem;
    return is_hidden(thing) || !ipcfs_makes(kind, thing->type);
}

static void make_thing(struct thing *thing)
{
    struct path path = native(thing->name);
    mode_t type = thing->type ? thing->type : traits->type ? traits->type : S_IFREG;
    struct stat stat;
    if (S_ISLNK(type))
        must(symlink(native(strcmp(thing->name, "link") == 0 ? "target" : "nowhere").text, path.text),
             path.text);
    else if (S_ISDIR(type))
        must(mkdir(path.text, 0777), path.text);
    else if (mknod(path.text, type | 0666, makedev(1, 3)) < 0 && S_ISCHR(type))
        return; /* without the right to make devices */
    must(lstat(path.text, &stat), path.text);
    thing->inode = stat.st_ino;
    thing->there = true;
}

static int plant(void **state)
{
    if (begin_test(state))
        return -1;
    make_object("target");
    if (traits->bytes)
        must(truncate(native("target").text, 8), "target");
    for (size_t i = 0; i < ARRAY_LENGTH(things); i++)
        if (is_to_be_planted(&things[i]))
            make_thing(&things[i]);
    return 0;
}

/* Whatever was tried, what was planted is there as it was. */
static int unplant(void **state)
{
    int missing = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(things); i++) {
        struct stat stat;
        struct path path = native(things[i].name);
        if (things[i].there && (lstat(path.text, &stat) < 0 || stat.st_ino != things[i].inode)) {
            (void)fprintf(stderr, "%s was removed or replaced\n", path.text);
            missing++;
        }
        if (things[i].there && unlink(path.text) < 0)
            (void)rmdir(path.text);
        things[i].there = false;
    }
    return end_test(state) || missing ? -1 : 0;
}

/* What links lead to is as it was. */
static void check_target(void)
{
    if (traits->bytes)
        assert_int_equal(find_object("target").stat.stx_size, 8);
    assert_true(exists("target"));
    assert_int_equal(access(native("nowhere").text, F_OK), -1);
}

/* What is planted, one thing after another; the first after NULL. */
static const struct thing *next(const struct thing *thing)
{
    const struct thing *end = things + ARRAY_LENGTH(things);
    thing = thing ? thing + 1 : things;
    while (thing < end && !thing->there)
        thing++;
    return thing < end ? thing : NULL;
}

static void test_it_is_not_found(void **state)
{
    (void)state;
    for (const struct thing *thing = NULL; (thing = next(thing));)
        if (find_error(thing->name) != -ENOENT)
            fail_msg("%s is found", thing->name);
    check_target();
}

static void test_it_is_not_listed(void **state)
{
    (void)state;
    struct ipcfs_lister *lister = NULL;
    struct ipcfs_entry entry;
    unsigned count = 0;
    assert_int_equal(kind->list_open(0, &lister), 0);
    while (kind->list_next(lister, &entry) == 1) {
        assert_string_equal(entry.name, "target");
        count++;
    }
    assert_int_equal(count, 1);
    kind->list_close(lister);
}

/* Also not with O_TRUNC, which would empty what a link leads to; and no open of a FIFO or device happens at all. */
static void test_it_is_not_opened(void **state)
{
    (void)state;
    static const int flags[] = {O_RDONLY,         O_WRONLY,          O_RDWR,
                                O_RDWR | O_TRUNC, O_WRONLY | O_EXCL, O_RDONLY | O_NONBLOCK};
    for (const struct thing *thing = NULL; (thing = next(thing));)
        for (size_t i = 0; i < ARRAY_LENGTH(flags); i++) {
            struct ipcfs_created object = {0};
            int error = try_create(thing->name, flags[i], 0600, &object);
            if (!error)
                fail_msg("%s is opened with %#o", thing->name, (unsigned)flags[i]);
            if (is_hidden(thing))
                assert_int_equal(error, -EPERM);
            else if (flags[i] & O_EXCL)
                assert_int_equal(error, -EEXIST);
        }
    check_target();
}

/* Somebody puts a link, a FIFO … in the place of an object that was found: it is stale then. */
static void test_an_object_is_replaced_by_it(void **state)
{
    (void)state;
    if (are_directories())
        return; /* what else there is of one would not learn of it */
    for (const struct thing *thing = NULL; (thing = next(thing));) {
        struct statx stat;
        struct ipcfs_hold *hold = NULL;
        struct ipcfs_found found = make_object("victim");
        struct ipcfs_change change = {.mask = IPCFS_CHANGE_MODE, .mode = 0777};
        struct path path = native(thing->name);
        struct path victim = native("victim");
        must(unlink(victim.text), "unlink");
        must(rename(path.text, victim.text), path.text);
        struct ipcfs_ref ref = ref_by_name(&found, "victim");
        assert_int_equal(kind->stat(&ref, &stat), -ESTALE);
        assert_int_equal(kind->hold(&ref, &hold), -ESTALE);
        assert_int_equal(kind->change(&ref, NULL, &change), -ESTALE);
        change.mask |= IPCFS_CHANGE_SIZE;
        int error = kind->change(&ref, NULL, &change);
        assert_true(error == -ESTALE || (error == -EINVAL && !traits->bytes));
        assert_int_equal(kind->link(&ref, 0, "other"), -ESTALE);
        must(rename(victim.text, path.text), path.text);
    }
    check_target();
}

/* A reference that claims to be of the planted thing itself. */
static void test_it_is_not_reached(void **state)
{
    (void)state;
    for (const struct thing *thing = NULL; (thing = next(thing));) {
        struct statx stat;
        struct path path = native(thing->name);
        if (is_hidden(thing))
            continue; /* only its name is hidden, and find() gives no reference to it */
        must(statx(AT_FDCWD, path.text, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &stat),
             path.text);
        uint64_t birth = (uint64_t)stat.stx_btime.tv_sec * 1000000000U + stat.stx_btime.tv_nsec;
        const struct ipcfs_ref refs[] = {{.id = {stat.stx_ino, birth}, .name = thing->name},
                                         {.name = thing->name}};
        for (size_t i = 0; i < ARRAY_LENGTH(refs); i++) {
            struct ipcfs_hold *hold = NULL;
            struct ipcfs_value values[IPCFS_FIELDS_MAX] = {0};
            assert_int_equal(kind->stat(&refs[i], &stat), -ESTALE);
            assert_int_equal(kind->hold(&refs[i], &hold), -ESTALE);
            assert_int_equal(kind->render(&refs[i], values), -ESTALE);
            assert_int_equal(kind->link(&refs[i], 0, "other"), -ESTALE);
        }
    }
}

static void test_it_is_not_removed(void **state)
{
    (void)state;
    for (const struct thing *thing = NULL; (thing = next(thing));) {
        int error = kind->remove(0, thing->name);
        if (error != -ENOENT)
            fail_msg("remove(\"%s\"): %s instead of ENOENT", thing->name, strerror(-error));
    }
}

static void test_it_is_not_renamed(void **state)
{
    (void)state;
    for (const struct thing *thing = NULL; (thing = next(thing));) {
        int error = kind->rename(0, thing->name, 0, "renamed", 0);
        if (!error)
            must(rename(native("renamed").text, native(thing->name).text), thing->name);
        if (error != -ENOENT)
            fail_msg("rename(\"%s\"): %s instead of ENOENT", thing->name, strerror(-error));
    }
}

static void must_not_be_made(const struct ipcfs_ref *ref, const char *name)
{
    struct ipcfs_created object = {0};
    int error = try_create(name, O_RDWR, 0600, &object);
    assert_int_equal(error, -EPERM);
    assert_int_equal(kind->rename(0, ref->name, 0, name, 0), -EPERM);
    assert_int_equal(kind->rename(0, ref->name, 0, name, RENAME_NOREPLACE), -EPERM);
    assert_int_equal(kind->link(ref, 0, name), -EPERM);
    assert_int_equal(kind->remove(0, name), -ENOENT);
}

static void test_hidden_names_cannot_be_made(void **state)
{
    (void)state;
    static const char *const names[] = {".ipcfs.y", ".ipcfs.", "sem.y", "sem."};
    struct ipcfs_found found = make_object("a");
    struct ipcfs_ref ref = ref_by_name(&found, "a");
    for (size_t i = 0; i < (traits->hides_sem ? ARRAY_LENGTH(names) : 2); i++)
        must_not_be_made(&ref, names[i]);
    /* Nor by the way of an exchange with a hidden one that is there. */
    for (const struct thing *thing = NULL; (thing = next(thing));) {
        if (!is_hidden(thing))
            continue;
        assert_int_equal(kind->rename(0, thing->name, 0, "b", 0), -ENOENT);
        assert_int_equal(kind->rename(0, "a", 0, thing->name, RENAME_EXCHANGE), -EPERM);
        assert_int_equal(kind->rename(0, thing->name, 0, "a", RENAME_EXCHANGE),
                         traits->renames ? -ENOENT : -EPERM);
    }
    /* These only look like it. */
    static const char *const shown[] = {"sem", "Sem.x", "semx", ".ipcfs", "ipcfs.x", "x.sem.x"};
    for (size_t i = 0; i < ARRAY_LENGTH(shown); i++) {
        (void)make_object(shown[i]);
        assert_true(exists(shown[i]));
    }
}

#define PLANTED_TEST(function) cmocka_unit_test_setup_teardown(function, plant, unplant)

static const struct CMUnitTest tests[] = {
    PLANTED_TEST(test_it_is_not_found),   PLANTED_TEST(test_it_is_not_listed),
    PLANTED_TEST(test_it_is_not_opened),  PLANTED_TEST(test_an_object_is_replaced_by_it),
    PLANTED_TEST(test_it_is_not_reached), PLANTED_TEST(test_it_is_not_removed),
    PLANTED_TEST(test_it_is_not_renamed), PLANTED_TEST(test_hidden_names_cannot_be_made),
};

const struct suite planted_suite = {
    .name = "planted", .tests = tests, .count = ARRAY_LENGTH(tests), .only_nodes = true};
