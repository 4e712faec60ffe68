/* SPDX-License-Identifier: MIT */
#include "tree.h"

#include "control.h"
#include "ipcfs/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct tree_entry *tree_by_id(const struct tree *tree, uint64_t id)
{
    return id >= 1 && id <= tree->count ? &tree->entries[id - 1] : NULL;
}

const struct tree_entry *tree_next_child(const struct tree *tree, const struct tree_entry *parent,
                                         const struct tree_entry *after)
{
    /* Entries are in order of id; the root (id 1) is nobody's child. */
    for (uint64_t id = after ? after->id + 1 : TREE_ROOT_ID + 1; id <= tree->count; id++) {
        if (tree->entries[id - 1].parent == parent->id)
            return &tree->entries[id - 1];
    }
    return NULL;
}

static const struct tree_entry *find_child(const struct tree *tree, const struct tree_entry *parent,
                                           const char *name, size_t length)
{
    const struct tree_entry *child = NULL;
    while ((child = tree_next_child(tree, parent, child))) {
        if (strncmp(child->name, name, length) == 0 && child->name[length] == '\0')
            return child;
    }
    return NULL;
}

const struct tree_entry *tree_child(const struct tree *tree, const struct tree_entry *parent,
                                    const char *name)
{
    return find_child(tree, parent, name, strlen(name));
}

const struct tree_entry *tree_controls(const struct tree *tree, const struct ipcfs_backend *kind,
                                       unsigned naming)
{
    for (size_t i = 0; i < tree->count; i++) {
        const struct tree_entry *entry = &tree->entries[i];
        if (entry->controls == kind && entry->naming == naming)
            return entry;
    }
    return NULL;
}

const struct tree_entry *tree_objects(const struct tree *tree, const struct ipcfs_backend *kind,
                                      unsigned naming)
{
    for (size_t i = 0; i < tree->count; i++) {
        const struct tree_entry *entry = &tree->entries[i];
        if (entry->objects == kind && entry->naming == naming)
            return entry;
    }
    return NULL;
}

mode_t tree_type(const struct tree_entry *entry)
{
    if (entry->directory)
        return S_IFDIR;
    return entry->self ? S_IFLNK : S_IFREG;
}

void tree_path(const struct tree *tree, const struct tree_entry *entry, struct text *out)
{
    /* From the root down: for each step, the ancestor of the entry whose parent is where the last step led. */
    for (uint64_t id = TREE_ROOT_ID; id != entry->id;) {
        const struct tree_entry *step = entry;
        while (step->parent != id)
            step = tree_by_id(tree, step->parent);
        text_printf(out, "%s%s", id == TREE_ROOT_ID ? "" : "/", step->name);
        id = step->id;
    }
}

/* ---- names of control directories ---- */

static bool is_reserved(const struct tree *tree, const struct tree_entry *parent, const char *name)
{
    return tree_child(tree, parent, name + strspn(name, "@")) != NULL;
}

int tree_control_name(const struct tree *tree, const struct tree_entry *parent, const char *object,
                      char *shown, size_t room)
{
    int length = snprintf(shown, room, "%s%s", is_reserved(tree, parent, object) ? "@" : "", object);
    return length < 0 || (size_t)length >= room ? -ENAMETOOLONG : 0;
}

const char *tree_object_name(const struct tree *tree, const struct tree_entry *parent, const char *shown)
{
    if (!is_reserved(tree, parent, shown))
        return shown;
    return *shown == '@' ? shown + 1 : NULL;
}

/* ---- building ---- */

/* Adds an entry and returns its id, or 0 when out of memory. */
static uint64_t add(struct tree *tree, uint64_t parent, const char *name, size_t length)
{
    struct tree_entry *entries = realloc(tree->entries, (tree->count + 1) * sizeof *entries);
    if (!entries)
        return 0;
    tree->entries = entries;
    char *copy = strndup(name, length);
    if (!copy)
        return 0;
    struct tree_entry *entry = &entries[tree->count++];
    *entry = (struct tree_entry){.id = tree->count, .parent = parent, .name = copy, .directory = true};
    return entry->id;
}

/* The id of the directory `path` below `id`, made where it is missing; 0 when out of memory. */
static uint64_t make_directories(struct tree *tree, uint64_t id, const char *path)
{
    while (id && *path) {
        size_t length = strcspn(path, "/");
        const struct tree_entry *child = find_child(tree, tree_by_id(tree, id), path, length);
        id = child ? child->id : add(tree, id, path, length);
        path += length + (path[length] == '/');
    }
    return id;
}

static int add_files(struct tree *tree, uint64_t directory, const struct control_file *files,
                     const struct ipcfs_backend *kind)
{
    for (; files->name; files++) {
        uint64_t id = add(tree, directory, files->name, strlen(files->name));
        if (!id)
            return -ENOMEM;
        struct tree_entry *entry = &tree->entries[id - 1];
        entry->directory = false;
        entry->file = files;
        entry->kind = kind;
    }
    return 0;
}

static int add_naming_directory(struct tree *tree, uint64_t control, const struct ipcfs_backend *kind,
                                unsigned naming)
{
    uint64_t objects = make_directories(tree, TREE_ROOT_ID, kind->directories[naming]);
    uint64_t controls = make_directories(tree, control, kind->directories[naming]);
    if (!objects || !controls)
        return -ENOMEM;
    struct tree_entry *entry = &tree->entries[objects - 1];
    entry->objects = entry->lister_of = kind;
    entry->naming = naming;
    entry = &tree->entries[controls - 1];
    entry->controls = entry->lister_of = kind;
    entry->naming = naming;
    return 0;
}

static int add_kind(struct tree *tree, uint64_t control, const struct ipcfs_backend *kind)
{
    for (unsigned i = 0; kind->directories[i]; i++) {
        int error = add_naming_directory(tree, control, kind, i);
        if (error)
            return error;
    }
    uint64_t directory = make_directories(tree, control, kind->kind);
    int error = directory ? add_files(tree, directory, control_kind_files, kind) : -ENOMEM;
    if (!error && kind->options->name)
        error = add_files(tree, directory, control_create_files, kind);
    return error;
}

static int add_processes(struct tree *tree)
{
    uint64_t directory = add(tree, TREE_ROOT_ID, "proc", strlen("proc"));
    uint64_t self = directory ? add(tree, directory, "self", strlen("self")) : 0;
    if (!self)
        return -ENOMEM;
    tree->entries[directory - 1].processes = true;
    tree->entries[self - 1].directory = false;
    tree->entries[self - 1].self = true;
    return 0;
}

static int build(struct tree *tree)
{
    if (add(tree, TREE_ROOT_ID, "", 0) != TREE_ROOT_ID)
        return -ENOMEM;
    uint64_t control = make_directories(tree, TREE_ROOT_ID, "ctl");
    if (!control)
        return -ENOMEM;
    int error = add_files(tree, control, control_files, NULL);
    for (size_t i = 0; !error && tree->kinds[i]; i++)
        error = add_kind(tree, control, tree->kinds[i]);
    uint64_t sysv = error ? 0 : make_directories(tree, TREE_ROOT_ID, "sysv");
    if (!error)
        error = sysv ? add_files(tree, sysv, control_sysv_files, NULL) : -ENOMEM;
    return error ? error : add_processes(tree);
}

int tree_init(struct tree *tree, const struct ipcfs_backend **kinds)
{
    *tree = (struct tree){.kinds = kinds};
    int error = build(tree);
    if (error)
        tree_destroy(tree);
    return error;
}

void tree_destroy(struct tree *tree)
{
    for (size_t i = 0; i < tree->count; i++)
        free(tree->entries[i].name);
    free(tree->entries);
    *tree = (struct tree){0};
}
