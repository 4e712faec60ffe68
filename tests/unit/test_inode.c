/* SPDX-License-Identifier: MIT */
/* Inode numbers are read back, for every kind there is and all that is of its objects. */
#include "cmocka_api.h"

#include "control.h"
#include "inode.h"

#include <string.h>

static const uint64_t numbers[] = {0, 1, 4711, INT32_MAX, UINT32_MAX};
static const uint64_t large[] = {UINT64_C(1) << 32, (UINT64_C(1) << 48) - 1};

/* Whether two descriptions mean the same, as far as a number tells. */
static void must_be(uint64_t inode, const struct node_kin *expected)
{
    struct node_kin kin;
    if (!inode_meaning(inode, &kin))
        fail_msg("%#lx means nothing", inode);
    assert_int_equal(kin.type, expected->type);
    assert_ptr_equal(kin.backend, expected->backend);
    assert_int_equal(kin.object.number, expected->object.number);
    assert_int_equal(kin.verb, expected->verb);
    assert_int_equal(kin.number, expected->number);
}

/* The control files of a place, one by one; those with numbers are passed over. */
static unsigned check_files(struct node_kin kin)
{
    const struct ipcfs_verb *verb = NULL;
    for (kin.verb = 0; (verb = control_verb(kin.backend, kin.type, kin.verb)); kin.verb++) {
        if (verb->numbered)
            continue;
        must_be(part_inode(&kin), &kin);
        if (verb->type == IPCFS_VERB_CONNECTION)
            for (unsigned look = 0; look < 2 * INODE_LOOKS; look++)
                must_be(look_inode(&kin, look), &kin);
    }
    return kin.verb;
}

static void check_object(const struct ipcfs_backend *kind, uint64_t number)
{
    struct node_kin kin = {.backend = kind, .object.number = number, .type = NODE_OBJECT};
    must_be(object_inode(kind, number), &kin);
    kin.type = NODE_CTL_DIR;
    must_be(control_inode(kind, number), &kin);
    kin.type = NODE_CTL_FILE;
    assert_true(check_files(kin) > 0);
    kin.type = NODE_OBJECT_FILE;
    (void)check_files(kin);
}

static void test_objects(void **state)
{
    (void)state;
    for (size_t i = 0; ipcfs_backends[i]; i++) {
        for (size_t j = 0; j < ARRAY_LENGTH(numbers); j++)
            check_object(ipcfs_backends[i], numbers[j]);
        for (size_t j = 0; j < ARRAY_LENGTH(large); j++)
            check_object(ipcfs_backends[i], large[j]);
    }
}

static void test_members(void **state)
{
    (void)state;
    static const int64_t members[] = {0, 1, 250, 32767};
    unsigned kinds = 0;
    for (size_t i = 0; ipcfs_backends[i]; i++) {
        if (!ipcfs_backends[i]->member_files->name)
            continue;
        kinds++;
        for (size_t j = 0; j < ARRAY_LENGTH(numbers) * ARRAY_LENGTH(members); j++) {
            struct node_kin kin = {.backend = ipcfs_backends[i],
                                   .type = NODE_MEMBER,
                                   .object.number = numbers[j / ARRAY_LENGTH(members)],
                                   .number = members[j % ARRAY_LENGTH(members)]};
            must_be(part_inode(&kin), &kin);
            kin.type = NODE_MEMBER_FILE;
            assert_true(check_files(kin) > 0);
        }
    }
    assert_int_equal(kinds, 1);
}

/* Of files with numbers the object is known; those near each other differ, and from their directory. */
static void check_numbered(struct node_kin kin)
{
    kin.type = NODE_CTL_NUMBERS;
    const uint64_t directory = part_inode(&kin);
    must_be(directory, &kin);
    uint64_t before = directory;
    for (int64_t number = -1000; number < 1000; number++) {
        struct node_kin meant = kin;
        kin.type = meant.type = NODE_CTL_FILE;
        meant.number = 0;
        kin.number = number;
        uint64_t inode = part_inode(&kin);
        must_be(inode, &meant);
        assert_true(inode != before && inode != directory);
        before = inode;
    }
}

static void test_numbered(void **state)
{
    (void)state;
    unsigned found = 0;
    for (size_t i = 0; ipcfs_backends[i]; i++) {
        struct node_kin kin = {.backend = ipcfs_backends[i], .type = NODE_CTL_FILE};
        const struct ipcfs_verb *verb = NULL;
        for (; (verb = control_verb(kin.backend, NODE_CTL_FILE, kin.verb)); kin.verb++) {
            for (size_t j = 0; verb->numbered && j < ARRAY_LENGTH(numbers); j++) {
                kin.object.number = numbers[j];
                check_numbered(kin);
                found++;
            }
        }
    }
    assert_true(found > 0);
}

/* Looks in a row differ. */
static void test_looks(void **state)
{
    (void)state;
    struct node_kin kin = {.backend = ipcfs_backends[0], .type = NODE_OBJECT_FILE, .object.number = 7};
    for (unsigned i = 0; i < INODE_LOOKS; i++)
        for (unsigned j = 0; j < i; j++)
            assert_true(look_inode(&kin, i) != look_inode(&kin, j));
}

static void test_nothing(void **state)
{
    (void)state;
    size_t kinds = 0;
    while (ipcfs_backends[kinds])
        kinds++;
    const struct tree_entry entry = {.id = 3};
    const uint64_t meaningless[] = {entry_inode(&entry),
                                    (uint64_t)kinds << 48 | 1,
                                    UINT64_C(0x5F) << 56 | 1,
                                    UINT64_C(0x7F) << 56 | 1,
                                    UINT64_C(0x9F) << 56 | 1,
                                    UINT64_C(0xFE) << 56 | 1,
                                    UINT64_MAX};
    struct node_kin kin;
    for (size_t i = 0; i < ARRAY_LENGTH(meaningless); i++)
        assert_false(inode_meaning(meaningless[i], &kin));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_objects), cmocka_unit_test(test_members), cmocka_unit_test(test_numbered),
        cmocka_unit_test(test_looks),   cmocka_unit_test(test_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
