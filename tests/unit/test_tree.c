/* SPDX-License-Identifier: MIT */
#include "cmocka_api.h"
#include "failing.h"
#include "random.h"

#include "tree.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* Kinds with one directory, with two nested ones, and with a name that another's begins with. */
static const char *const shm_directories[] = {"shm", NULL};
static const char *const short_directories[] = {"sh", NULL};
static const char *const msg_directories[] = {"sysv/msg/by-id", "sysv/msg/by-key", NULL};
static const char *const sem_directories[] = {"sysv/sem/by-id", "sysv/sem/by-key", NULL};
static const struct ipcfs_field no_options[] = {{0}};
static const struct ipcfs_field msg_options[] = {{"qbytes", IPCFS_UNSIGNED, "bytes", "room"}, {0}};
static const struct ipcfs_backend shm = {
    .kind = "shm", .directories = shm_directories, .options = no_options};
static const struct ipcfs_backend shorter = {
    .kind = "sh", .directories = short_directories, .options = no_options};
static const struct ipcfs_backend msg = {
    .kind = "sysv/msg", .directories = msg_directories, .options = msg_options};
static const struct ipcfs_backend sem = {
    .kind = "sysv/sem", .directories = sem_directories, .options = no_options};

static const struct ipcfs_backend *all_kinds[] = {&shm, &shorter, &msg, &sem, NULL};
static const struct ipcfs_backend *no_kinds[] = {NULL};

static int set_up(void **state)
{
    static struct tree tree;
    *state = &tree;
    return tree_init(&tree, all_kinds);
}

static int tear_down(void **state)
{
    tree_destroy(*state);
    return 0;
}

static const struct tree_entry *walk(const struct tree *tree, const char *path)
{
    const struct tree_entry *entry = tree_by_id(tree, TREE_ROOT_ID);
    while (entry && *path) {
        char name[NAME_MAX + 1];
        size_t length = strcspn(path, "/");
        (void)snprintf(name, sizeof name, "%.*s", (int)length, path);
        entry = tree_child(tree, entry, name);
        path += length + (path[length] == '/');
    }
    return entry;
}

static const struct tree_entry *must_walk(const struct tree *tree, const char *path)
{
    const struct tree_entry *entry = walk(tree, path);
    if (!entry)
        fail_msg("%s is missing", path);
    return entry;
}

/* ---- shape ---- */

static const struct {
    const char *path;
    bool directory;
    const struct ipcfs_backend *objects;
    const struct ipcfs_backend *controls;
    const struct ipcfs_backend *kind;
    unsigned naming;
} expected[] = {
    {"", true, NULL, NULL, NULL, 0},
    {"shm", true, &shm, NULL, NULL, 0},
    {"sh", true, &shorter, NULL, NULL, 0},
    {"sysv", true, NULL, NULL, NULL, 0},
    {"sysv/msg", true, NULL, NULL, NULL, 0},
    {"sysv/msg/by-id", true, &msg, NULL, NULL, 0},
    {"sysv/msg/by-key", true, &msg, NULL, NULL, 1},
    {"sysv/sem/by-id", true, &sem, NULL, NULL, 0},
    {"sysv/sem/by-key", true, &sem, NULL, NULL, 1},
    {"ctl", true, NULL, NULL, NULL, 0},
    {"ctl/README", false, NULL, NULL, NULL, 0},
    {"ctl/version", false, NULL, NULL, NULL, 0},
    {"ctl/metrics", false, NULL, NULL, NULL, 0},
    {"ctl/last-error", false, NULL, NULL, NULL, 0},
    {"sysv/ftok", false, NULL, NULL, NULL, 0},
    {"ctl/shm", true, NULL, &shm, NULL, 0},
    {"ctl/shm/list", false, NULL, NULL, &shm, 0},
    {"ctl/shm/list.json", false, NULL, NULL, &shm, 0},
    {"ctl/shm/limits", false, NULL, NULL, &shm, 0},
    {"ctl/sh/list", false, NULL, NULL, &shorter, 0},
    {"ctl/sysv", true, NULL, NULL, NULL, 0},
    {"ctl/sysv/msg", true, NULL, NULL, NULL, 0},
    {"ctl/sysv/msg/list", false, NULL, NULL, &msg, 0},
    {"ctl/sysv/msg/limits", false, NULL, NULL, &msg, 0},
    {"ctl/sysv/msg/create", false, NULL, NULL, &msg, 0},
    {"ctl/sysv/msg/by-id", true, NULL, &msg, NULL, 0},
    {"ctl/sysv/msg/by-key", true, NULL, &msg, NULL, 1},
    {"ctl/sysv/sem/list.json", false, NULL, NULL, &sem, 0},
    {"ctl/sysv/sem/by-key", true, NULL, &sem, NULL, 1},
};

static void test_shape(void **state)
{
    const struct tree *tree = *state;
    for (size_t i = 0; i < ARRAY_LENGTH(expected); i++) {
        const struct tree_entry *entry = must_walk(tree, expected[i].path);
        bool same = entry->directory == expected[i].directory && entry->objects == expected[i].objects &&
                    entry->controls == expected[i].controls && entry->kind == expected[i].kind &&
                    entry->naming == expected[i].naming && (entry->file != NULL) == !entry->directory &&
                    entry->lister_of == (entry->objects ? entry->objects : entry->controls);
        if (!same)
            fail_msg("%s is not what it should be", expected[i].path);
    }
}

static void test_processes(void **state)
{
    const struct tree *tree = *state;
    const struct tree_entry *proc = must_walk(tree, "proc");
    const struct tree_entry *self = must_walk(tree, "proc/self");
    assert_true(proc->processes && !proc->self && tree_type(proc) == S_IFDIR);
    assert_true(self->self && !self->processes && !self->file && tree_type(self) == S_IFLNK);
    assert_true(tree_type(must_walk(tree, "ctl/version")) == S_IFREG);
}

static void test_what_is_not_there(void **state)
{
    const struct tree *tree = *state;
    static const char *const paths[] = {"s",
                                        "shmm",
                                        "ctl/shm/lis",
                                        "ctl/list",
                                        "shm/list",
                                        "sysv/shm",
                                        "sysv/msg/list",
                                        "by-id",
                                        "ctl/sysv/list",
                                        "ctl/ctl",
                                        "ctl/shm/create",
                                        "ctl/sysv/ftok",
                                        "ctl/sysv/msg/by-id/list"};
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++)
        if (walk(tree, paths[i]))
            fail_msg("%s is there", paths[i]);
    const struct tree_entry *root = tree_by_id(tree, TREE_ROOT_ID);
    assert_null(tree_child(tree, root, ""));
    assert_null(tree_child(tree, root, "."));
    assert_null(tree_child(tree, root, "sysv/msg"));
}

static void test_ids(void **state)
{
    const struct tree *tree = *state;
    assert_null(tree_by_id(tree, 0));
    assert_null(tree_by_id(tree, tree->count + 1));
    assert_null(tree_by_id(tree, UINT64_MAX));
    for (uint64_t id = 1; id <= tree->count; id++) {
        const struct tree_entry *entry = tree_by_id(tree, id);
        assert_non_null(entry);
        assert_int_equal(entry->id, id);
        const struct tree_entry *parent = tree_by_id(tree, entry->parent);
        assert_non_null(parent);
        assert_true(parent->directory);
        if (id == TREE_ROOT_ID)
            assert_int_equal(entry->parent, id);
        else
            assert_ptr_equal(tree_child(tree, parent, entry->name),
                             entry); /* so no name stands there twice */
    }
}

static void test_paths(void **state)
{
    const struct tree *tree = *state;
    for (size_t i = 0; i < ARRAY_LENGTH(expected); i++) {
        AUTO_TEXT path = {0};
        tree_path(tree, must_walk(tree, expected[i].path), &path);
        text_bytes(&path, "", 1);
        assert_int_equal(text_error(&path), 0);
        assert_string_equal(path.data, expected[i].path);
    }
}

static void test_control_directories(void **state)
{
    const struct tree *tree = *state;
    assert_ptr_equal(tree_controls(tree, &shm, 0), must_walk(tree, "ctl/shm"));
    assert_ptr_equal(tree_controls(tree, &msg, 0), must_walk(tree, "ctl/sysv/msg/by-id"));
    assert_ptr_equal(tree_controls(tree, &msg, 1), must_walk(tree, "ctl/sysv/msg/by-key"));
    assert_null(tree_controls(tree, &shm, 1));
}

/* A file without a text can be written, or is a log; one that can be written has the mode for it. */
static void test_modes(void **state)
{
    const struct tree *tree = *state;
    for (uint64_t id = 1; id <= tree->count; id++) {
        const struct control_file *file = tree_by_id(tree, id)->file;
        if (!file)
            continue;
        assert_true(file->render || file->write || file->events);
        assert_int_equal(file->mode, file->write ? 0666 : 0444);
    }
}

/* Walking all children of all directories meets every entry but the root once. */
static void test_children(void **state)
{
    const struct tree *tree = *state;
    unsigned char met[256] = {0};
    assert_true(tree->count < sizeof met);
    for (uint64_t id = 1; id <= tree->count; id++) {
        const struct tree_entry *parent = tree_by_id(tree, id);
        const struct tree_entry *child = NULL;
        while ((child = tree_next_child(tree, parent, child))) {
            assert_int_equal(child->parent, id);
            met[child->id]++;
        }
    }
    assert_int_equal(met[TREE_ROOT_ID], 0);
    for (uint64_t id = TREE_ROOT_ID + 1; id <= tree->count; id++)
        assert_int_equal(met[id], 1);
}

static void test_no_kinds(void **state)
{
    struct tree tree;
    (void)state;
    assert_int_equal(tree_init(&tree, no_kinds), 0);
    (void)must_walk(&tree, "ctl/version");
    (void)must_walk(&tree, "sysv/ftok");
    assert_null(walk(&tree, "shm"));
    tree_destroy(&tree);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    long before = failing_live();
    for (unsigned number = 1;; number++) {
        struct tree tree;
        failing_arm(number);
        int error = tree_init(&tree, all_kinds);
        bool failed = failing_disarm();
        assert_int_equal(error, failed ? -ENOMEM : 0);
        tree_destroy(&tree);
        assert_int_equal(failing_live(), before);
        if (failed)
            continue;
        assert_true(number > 2 * ARRAY_LENGTH(expected));
        return;
    }
}

/* ---- names of control directories ---- */

static const struct {
    const char *object;
    const char *shown;
} control_names[] = {
    {"a", "a"},
    {"list", "@list"},
    {"@list", "@@list"},
    {"@@list", "@@@list"},
    {"list.json", "@list.json"},
    {"limits", "@limits"},
    {"lists", "lists"},
    {"List", "List"},
    {"@", "@"},
    {"@@", "@@"},
    {"@a", "@a"},
    {"list@", "list@"},
    {"@limits.", "@limits."},
    {"state", "state"},
    {"a@list", "a@list"},
};

static void test_control_names(void **state)
{
    const struct tree *tree = *state;
    const struct tree_entry *parent = must_walk(tree, "ctl/shm");
    for (size_t i = 0; i < ARRAY_LENGTH(control_names); i++) {
        char shown[NAME_MAX + 1];
        assert_int_equal(tree_control_name(tree, parent, control_names[i].object, shown, sizeof shown), 0);
        assert_string_equal(shown, control_names[i].shown);
        assert_string_equal(tree_object_name(tree, parent, shown), control_names[i].object);
    }
    assert_null(tree_object_name(tree, parent, "list"));
    assert_null(tree_object_name(tree, parent, "limits"));
}

/* A directory without fixed entries needs no '@'. */
static void test_control_names_without_fixed_entries(void **state)
{
    const struct tree *tree = *state;
    const struct tree_entry *parent = must_walk(tree, "ctl/sysv/msg/by-id");
    char shown[NAME_MAX + 1];
    assert_int_equal(tree_control_name(tree, parent, "list", shown, sizeof shown), 0);
    assert_string_equal(shown, "list");
    assert_string_equal(tree_object_name(tree, parent, "list"), "list");
}

static void test_control_names_too_long(void **state)
{
    const struct tree *tree = *state;
    const struct tree_entry *parent = must_walk(tree, "ctl/shm");
    char name[NAME_MAX + 1];
    char shown[NAME_MAX + 1];
    memset(name, '@', NAME_MAX);
    memcpy(name + NAME_MAX - 4, "list", sizeof "list");
    assert_int_equal(tree_control_name(tree, parent, name, shown, sizeof shown), -ENAMETOOLONG);
    assert_int_equal(tree_control_name(tree, parent, name + 1, shown, sizeof shown), 0);
    assert_string_equal(shown, name);
    memset(name, 'n', NAME_MAX);
    assert_int_equal(tree_control_name(tree, parent, name, shown, sizeof shown), 0);
    assert_string_equal(shown, name);
}

/* Names made of what matters: reserved words, '@', and other bytes, in any order. */
static void random_name(struct prng *prng, char *name)
{
    static const char *const parts[] = {"@",     "@",         "@@", "list", "limits",
                                        ".json", "list.json", "x",  "\xFF", " "};
    size_t length = 0;
    for (uint32_t i = 1 + random_below(prng, 4); i > 0; i--)
        length += (size_t)sprintf(name + length, "%s", parts[random_below(prng, ARRAY_LENGTH(parts))]);
}

/*
 * Every object's name has one shown name, which leads back to it and is not that of a fixed entry; and every name that
 * leads to an object is its shown name. So no two objects share a directory and none has two.
 */
static void test_control_names_round_trip(void **state)
{
    const struct tree *tree = *state;
    const struct tree_entry *parent = must_walk(tree, "ctl/shm");
    struct prng prng = random_start(random_seed(), 0);
    for (int round = 0; round < 20000; round++) {
        char name[64];
        char shown[NAME_MAX + 1];
        random_name(&prng, name);
        assert_int_equal(tree_control_name(tree, parent, name, shown, sizeof shown), 0);
        assert_null(tree_child(tree, parent, shown));
        assert_string_equal(tree_object_name(tree, parent, shown), name);
        /* And the other way: take the name as one that is looked up. */
        const char *object = tree_object_name(tree, parent, name);
        if (!object) {
            assert_non_null(tree_child(tree, parent, name));
            continue;
        }
        assert_int_equal(tree_control_name(tree, parent, object, shown, sizeof shown), 0);
        assert_string_equal(shown, name);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_shape),
        TEST(test_processes),
        TEST(test_what_is_not_there),
        TEST(test_ids),
        TEST(test_paths),
        TEST(test_control_directories),
        TEST(test_modes),
        TEST(test_children),
        cmocka_unit_test(test_no_kinds),
        cmocka_unit_test(test_out_of_memory),
        TEST(test_control_names),
        TEST(test_control_names_without_fixed_entries),
        TEST(test_control_names_too_long),
        TEST(test_control_names_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
