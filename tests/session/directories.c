/* SPDX-License-Identifier: MIT */
/* READDIR: sizes and offsets of all sorts. */
#include "wire.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ENTRIES_MAX = 600 };

/* A directory as it was read. */
struct listing {
    size_t count;
    struct listed {
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
        assert_true(answer.size - at >= FUSE_NAME_OFFSET);
        memcpy(&head, answer.data + at, FUSE_NAME_OFFSET);
        assert_true(head.namelen <= NAME_MAX && FUSE_NAME_OFFSET + head.namelen <= answer.size - at);
        assert_true(listing->count < ENTRIES_MAX);
        struct listed *entry = &listing->entries[listing->count++];
        (void)snprintf(entry->name, sizeof entry->name, "%.*s", (int)head.namelen,
                       answer.data + at + FUSE_NAME_OFFSET);
        entry->ino = head.ino;
        entry->off = head.off;
        entry->type = head.type;
        assert_int_not_equal(head.off, 0);
        at += FUSE_DIRENT_SIZE(&head);
    }
    return count;
}

/* Reads on from the last entry's offset, in pieces of `size`, until the end. */
static void read_rest(uint64_t node, uint64_t handle, uint32_t size, struct listing *listing)
{
    uint64_t offset = listing->count ? listing->entries[listing->count - 1].off : 0;
    while (parse(do_readdir(node, handle, size, offset), listing) > 0)
        offset = listing->entries[listing->count - 1].off;
}

static struct listing *list(const char *path, uint32_t size)
{
    struct fuse_open_out open;
    struct listing *listing = calloc(1, sizeof *listing);
    uint64_t node = walk(path);
    assert_non_null(listing);
    assert_int_equal(do_opendir(node, &open), 0);
    read_rest(node, open.fh, size, listing);
    assert_int_equal(do_releasedir(node, open.fh), 0);
    return listing;
}

static const struct listed *find(const struct listing *listing, const char *name)
{
    const struct listed *found = NULL;
    for (size_t i = 0; i < listing->count; i++) {
        if (strcmp(listing->entries[i].name, name) != 0)
            continue;
        if (found)
            fail_msg("%s is listed twice", name);
        found = &listing->entries[i];
    }
    return found;
}

static void make_objects(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "object %u", i);
        make_object(name);
    }
}

/* ---- contents ---- */

/* Everything listed can be looked up, and is what the listing says. */
static void check_entries(const char *path, const struct listing *listing)
{
    uint64_t node = walk(path);
    struct fuse_attr self;
    assert_int_equal(do_getattr(node, &self), 0);
    assert_string_equal(listing->entries[0].name, ".");
    assert_int_equal(listing->entries[0].ino, self.ino);
    assert_string_equal(listing->entries[1].name, "..");
    for (size_t i = 2; i < listing->count; i++) {
        const struct listed *listed = &listing->entries[i];
        struct fuse_entry_out entry;
        assert_int_equal(do_lookup(node, listed->name, &entry), 0);
        assert_int_equal(entry.attr.ino, listed->ino);
        assert_int_equal(entry.attr.mode & S_IFMT, listed->type << 12);
        (void)find(listing, listed->name);
    }
}

static void test_contents(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const char *names[9];
        size_t count;
    } cases[] = {
        {"", {"shm", "mq", "sem", "sysv", "ctl", "proc"}, 8},
        {"sysv", {"ftok", "shm", "msg", "sem"}, 6},
        {"shm", {"a", "list"}, 4},
        {"ctl", {"shm", "mq", "sem", "sysv", "README", "version", "metrics", "last-error"}, 20},
        {"ctl/shm", {"list", "list.json", "limits", "limits.json", "a", "@list"}, 8},
        {"ctl/shm/a", {"state", "state.json", "native"}, 9},
        {"ctl/shm/@list", {"state", "state.json", "native"}, 9},
    };
    make_object("a");
    make_object("list");
    assert_int_equal(mkfifo("/dev/shm/fifo", 0600), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct listing *listing = list(cases[i].path, 4096);
        for (const char *const *name = cases[i].names; *name; name++)
            if (!find(listing, *name))
                fail_msg("%s/%s is not listed", cases[i].path, *name);
        assert_int_equal(listing->count, cases[i].count);
        check_entries(cases[i].path, listing);
        free(listing);
    }
}

/* ---- sizes ---- */

static void test_tiny_sizes(void **state)
{
    (void)state;
    static const char *const paths[] = {"", "shm", "ctl", "ctl/shm", "ctl/shm/object 1"};
    make_objects(20);
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
        struct listing *whole = list(paths[i], 65536);
        for (uint32_t size = 40; size < 200; size += 24) { /* from one entry at a time on */
            struct listing *pieces = list(paths[i], size);
            assert_int_equal(pieces->count, whole->count);
            assert_memory_equal(pieces->entries, whole->entries, sizeof whole->entries);
            free(pieces);
        }
        free(whole);
    }
}

/* Too small for one entry: nothing, and nothing is lost by it. */
static void test_no_room(void **state)
{
    (void)state;
    struct fuse_open_out open;
    struct listing *listing = calloc(1, sizeof *listing);
    make_objects(3);
    uint64_t node = walk("shm");
    assert_non_null(listing);
    assert_int_equal(do_opendir(node, &open), 0);
    for (uint32_t size = 0; size < 32; size++) {
        struct answer answer = do_readdir(node, open.fh, size, 0);
        assert_true(answer.size == 0 && (answer.error == 0 || answer.error == -EINVAL));
    }
    assert_int_equal(parse(do_readdir(node, open.fh, 64, 0), listing), 2);
    for (uint32_t size = 0; size < 32; size++)
        assert_int_equal(do_readdir(node, open.fh, size, listing->entries[1].off).size, 0);
    read_rest(node, open.fh, 4096, listing);
    assert_int_equal(listing->count, 5);
    assert_int_equal(do_releasedir(node, open.fh), 0);
    free(listing);
}

/* ---- offsets ---- */

/* From each entry's offset the rest follows, in any order of asking. */
static void test_offsets(void **state)
{
    (void)state;
    static const char *const paths[] = {"", "shm", "ctl", "ctl/shm", "ctl/shm/object 1"};
    make_objects(50);
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
        struct fuse_open_out open;
        struct listing *whole = list(paths[i], 65536);
        uint64_t node = walk(paths[i]);
        assert_int_equal(do_opendir(node, &open), 0);
        for (size_t j = whole->count; j-- > 0;) {
            struct listing *rest = calloc(1, sizeof *rest);
            assert_non_null(rest);
            (void)parse(do_readdir(node, open.fh, 65536, whole->entries[j].off), rest);
            assert_int_equal(rest->count, whole->count - j - 1);
            assert_memory_equal(rest->entries, whole->entries + j + 1, rest->count * sizeof *rest->entries);
            free(rest);
        }
        assert_int_equal(do_releasedir(node, open.fh), 0);
        free(whole);
    }
}

/* Offsets that nobody was given: a reply, an end, and only names that are there. */
static void test_invented_offsets(void **state)
{
    (void)state;
    static const uint64_t offsets[] = {7,
                                       100,
                                       UINT32_MAX,
                                       (UINT64_C(1) << 32) + 2,
                                       (UINT64_C(1) << 62) - 1,
                                       UINT64_C(1) << 62,
                                       (UINT64_C(1) << 62) + 7,
                                       (UINT64_C(3) << 61) + 1,
                                       INT64_MAX};
    static const char *const paths[] = {"", "shm", "ctl", "ctl/shm", "ctl/shm/object 1"};
    make_objects(5);
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
        struct fuse_open_out open;
        struct listing *whole = list(paths[i], 65536);
        uint64_t node = walk(paths[i]);
        assert_int_equal(do_opendir(node, &open), 0);
        for (size_t j = 0; j < ARRAY_LENGTH(offsets); j++) {
            struct listing *rest = calloc(1, sizeof *rest);
            assert_non_null(rest);
            (void)parse(do_readdir(node, open.fh, 65536, offsets[j]), rest);
            assert_true(rest->count <= whole->count);
            for (size_t k = 0; k < rest->count; k++)
                assert_non_null(find(whole, rest->entries[k].name));
            free(rest);
        }
        assert_int_not_equal(do_readdir(node, open.fh, 4096, UINT64_C(1) << 63).error, 0);
        assert_int_equal(do_releasedir(node, open.fh), 0);
        free(whole);
    }
}

/* A fixed directory has an end: no offset behind it leads to entries again. */
static void test_offsets_behind_the_end(void **state)
{
    (void)state;
    static const uint64_t offsets[] = {50, UINT32_MAX, (UINT64_C(1) << 32) + 2, (UINT64_C(1) << 40) + 2,
                                       (UINT64_C(1) << 62) - 1};
    static const char *const paths[] = {"", "ctl", "ctl/shm/a"};
    make_object("a");
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
        struct fuse_open_out open;
        uint64_t node = walk(paths[i]);
        assert_int_equal(do_opendir(node, &open), 0);
        for (size_t j = 0; j < ARRAY_LENGTH(offsets); j++)
            if (do_readdir(node, open.fh, 4096, offsets[j]).size)
                fail_msg("%s: entries at offset %#llx", paths[i], (unsigned long long)offsets[j]);
        assert_int_equal(do_releasedir(node, open.fh), 0);
    }
}

/* Rewinding shows what came and went meanwhile. */
static void test_rewind(void **state)
{
    (void)state;
    struct fuse_open_out open;
    uint64_t node = walk("shm");
    struct listing *listing = calloc(1, sizeof *listing);
    assert_non_null(listing);
    make_object("first");
    assert_int_equal(do_opendir(node, &open), 0);
    read_rest(node, open.fh, 4096, listing);
    assert_int_equal(listing->count, 3);
    assert_int_equal(unlink("/dev/shm/first"), 0);
    make_object("second");
    make_object("third");
    memset(listing, 0, sizeof *listing);
    read_rest(node, open.fh, 4096, listing);
    assert_int_equal(listing->count, 4);
    assert_null(find(listing, "first"));
    assert_non_null(find(listing, "second"));
    assert_int_equal(do_releasedir(node, open.fh), 0);
    free(listing);
}

/* `rm -r`: what was just listed is removed between two reads. */
static void test_removing_while_listing(void **state)
{
    (void)state;
    struct fuse_open_out open;
    uint64_t node = walk("shm");
    struct listing *listing = calloc(1, sizeof *listing);
    assert_non_null(listing);
    make_objects(300);
    assert_int_equal(do_opendir(node, &open), 0);
    size_t removed = 0;
    uint64_t offset = 0;
    while (parse(do_readdir(node, open.fh, 512, offset), listing) > 0) {
        offset = listing->entries[listing->count - 1].off;
        for (size_t i = 0; i < listing->count; i++)
            if (listing->entries[i].name[0] == 'o' && do_unlink(node, listing->entries[i].name) == 0)
                removed++;
        listing->count = 0;
    }
    assert_int_equal(removed, 300);
    assert_int_equal(do_releasedir(node, open.fh), 0);
    free(listing);
}

/* Objects whose control directory's name would be too long are passed over, not an end. */
static void test_too_long_with_its_sign(void **state)
{
    (void)state;
    char name[NAME_MAX + 1];
    memset(name, '@', NAME_MAX - 4);
    memcpy(name + NAME_MAX - 4, "list", sizeof "list");
    make_object("before");
    make_object(name);
    make_object("after");
    struct listing *listing = list("ctl/shm", 4096);
    assert_non_null(find(listing, "before"));
    assert_non_null(find(listing, "after"));
    assert_int_equal(listing->count, 8);
    free(listing);
    listing = list("shm", 4096);
    assert_non_null(find(listing, name));
    free(listing);
}

static const struct CMUnitTest tests[] = {
    TEST(test_contents),
    TEST(test_tiny_sizes),
    TEST(test_no_room),
    TEST(test_offsets),
    TEST(test_invented_offsets),
    TEST(test_offsets_behind_the_end),
    TEST(test_rewind),
    TEST(test_removing_while_listing),
    TEST(test_too_long_with_its_sign),
};

const struct suite directories_suite = {"directories", tests, ARRAY_LENGTH(tests)};
