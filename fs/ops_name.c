/* SPDX-License-Identifier: MIT */
/* Names: lookup and forget, and what makes, moves and removes names. */
#include "ops.h"

#include "control.h"
#include "ipcfs/number.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

/* ---- lookup ---- */

static int lookup_fixed(struct ipcfs *fs, const struct tree_entry *child, struct fuse_entry_param *entry)
{
    struct target target = {.entry = child};
    struct statx shown;
    double timeout = 0;
    int error = target_stat(fs, &target, &shown, &timeout);
    if (error)
        return error;
    *entry =
        (struct fuse_entry_param){.ino = child->id, .attr_timeout = timeout, .entry_timeout = TIMEOUT_FIXED};
    statx_to_stat(&shown, &entry->attr);
    if (target_has_open_size(&target))
        entry->attr.st_size = OPEN_SIZE;
    return 0;
}

/* Pins a node just looked up, by the hold it was found with. */
static void pin_node(struct ipcfs *fs, const struct ipcfs_backend *backend, uint64_t id,
                     struct ipcfs_hold *hold)
{
    AUTO_NODE_USE use;
    if (node_use(&fs->nodes, id, &use)) {
        backend->release(hold);
        return;
    }
    node_set_hold(&use, hold);
    pins_add(&fs->pins, &use);
}

/* As the caller, who is to learn of no object that he could not find natively; but that is seldom in question. */
static int find_as_caller(struct ipcfs *fs, fuse_req_t req, const struct tree_entry *directory,
                          const char *name, struct ipcfs_found *found, struct ipcfs_hold **hold)
{
    struct ipcfs_directory native;
    AUTO_ACTING acting = {0};
    int error = directory_look(fs, directory, &native);
    if (!error && !native.open_to_all)
        error = act_as_caller(&acting, req);
    return error ? error : directory->lister_of->find(directory->naming, name, found, hold);
}

static int lookup_object(struct ipcfs *fs, fuse_req_t req, const struct tree_entry *parent, const char *name,
                         struct fuse_entry_param *entry)
{
    struct ipcfs_found found;
    struct ipcfs_hold *hold = NULL;
    int error = find_as_caller(fs, req, parent, name, &found, pins_wanted(&fs->pins) ? &hold : NULL);
    if (error)
        return error;
    error = make_object_entry(fs, parent->objects, parent->naming, name, &found, entry);
    if (hold)
        pin_node(fs, parent->objects, error ? 0 : entry->ino, hold);
    return error;
}

/* A control directory or file: its attributes are constant, and so is its name if `name_timeout` says so. */
static int make_control_entry(struct ipcfs *fs, const struct node_kin *kin, const char *object,
                              double name_timeout, struct fuse_entry_param *entry)
{
    *entry = (struct fuse_entry_param){.attr_timeout = kin->fresh ? TIMEOUT_OBJECT : TIMEOUT_FIXED,
                                       .entry_timeout = name_timeout};
    struct statx shown;
    control_attributes(fs, kin, &shown);
    statx_to_stat(&shown, &entry->attr);
    if (kin->fresh)
        entry->attr.st_size = open_size(kin);
    return node_lookup(&fs->nodes, kin, object, &entry->ino);
}

static int lookup_control_directory(struct ipcfs *fs, fuse_req_t req, const struct tree_entry *parent,
                                    const char *shown_name, struct fuse_entry_param *entry)
{
    const char *object = tree_object_name(&fs->tree, parent, shown_name);
    if (!object)
        return -ENOENT;
    struct ipcfs_found found;
    int error = find_as_caller(fs, req, parent, object, &found, NULL);
    if (error)
        return error;
    struct node_kin kin = {
        .type = NODE_CTL_DIR,
        .backend = parent->controls,
        .directory = parent->naming,
        .object = found.id,
    };
    return make_control_entry(fs, &kin, object, TIMEOUT_OBJECT, entry);
}

/* Each who opens it has a file of his own. */
static int lookup_log(struct ipcfs *fs, const struct tree_entry *child, struct fuse_entry_param *entry)
{
    struct node_kin kin = {.type = NODE_CTL_EVENTS,
                           .fresh = true,
                           .number = (int64_t)child->id,
                           .object.number = events_new_number(fs->events)};
    int error = lookup_fixed(fs, child, entry);
    entry->attr_timeout = entry->entry_timeout = TIMEOUT_OBJECT;
    return error ? error : node_lookup(&fs->nodes, &kin, child->name, &entry->ino);
}

static int lookup_in_tree(struct ipcfs *fs, fuse_req_t req, const struct tree_entry *parent, const char *name,
                          struct fuse_entry_param *entry)
{
    const struct tree_entry *child = tree_child(&fs->tree, parent, name);
    if (child && child->file && child->file->events)
        return lookup_log(fs, child, entry);
    if (child)
        return lookup_fixed(fs, child, entry);
    if (parent->processes)
        return lookup_process(fs, req, name, entry);
    if (parent->objects)
        return lookup_object(fs, req, parent, name, entry);
    return parent->controls ? lookup_control_directory(fs, req, parent, name, entry) : -ENOENT;
}

/*
 * Whether a file may have to wait, or is written. Of what is only written the writers should not wait for each other in the
 * kernel; and a write(2) that ends has the kernel drop the attributes that are on their way to it just then
 * (attr_version in Linux fs/fuse/inode.c), so that somebody else on the same node is judged by an owner and mode of before.
 */
static bool wants_fresh(const struct ipcfs_verb *verb)
{
    switch (verb->type) {
    case IPCFS_VERB_TEXT:
        return verb->write != NULL;
    case IPCFS_VERB_LINK:
        return false;
    case IPCFS_VERB_FILE:
    case IPCFS_VERB_HOLD:
    case IPCFS_VERB_COMMAND:
    case IPCFS_VERB_CONNECTION:
        break;
    }
    return true;
}

static int lookup_verb(struct ipcfs *fs, const struct node_use *parent, const char *name,
                       struct fuse_entry_param *entry)
{
    struct node_kin kin = parent->kin;
    int error = -ENOTDIR;
    if (kin.type == NODE_CTL_DIR)
        error = control_verb_find(kin.backend, kin.type, name, &kin.verb);
    else if (kin.type == NODE_CTL_NUMBERS)
        error = parse_canonical(name, &kin.number) ? 0 : -ENOENT;
    if (error)
        return error;
    const struct ipcfs_verb *verb = control_verb_of(&kin);
    bool directory = kin.type == NODE_CTL_DIR && verb->numbered;
    kin.type = directory ? NODE_CTL_NUMBERS : NODE_CTL_FILE;
    kin.fresh = !directory && wants_fresh(verb);
    return make_control_entry(fs, &kin, parent->name, kin.fresh ? TIMEOUT_OBJECT : TIMEOUT_FIXED, entry);
}

/* What a name in an object, or in a member of one, means. */
static int find_part(const struct node_use *parent, const char *name, struct node_kin *kin)
{
    *kin = parent->kin;
    if (control_verb_find(kin->backend, kin->type, name, &kin->verb) == 0) {
        kin->type = kin->type == NODE_MEMBER ? NODE_MEMBER_FILE : NODE_OBJECT_FILE;
        kin->fresh = wants_fresh(control_verb_of(kin));
        return 0;
    }
    if (kin->type == NODE_MEMBER || !parse_canonical(name, &kin->number) || kin->number < 0)
        return -ENOENT;
    kin->type = NODE_MEMBER;
    int members = kin->backend->members(&parent->ref);
    if (members < 0)
        return members;
    return kin->number < members ? 0 : -ENOENT;
}

/*
 * The name of a file with a node for good may be kept: which there are is a matter of the kind, and every walk to it looks up
 * the object or, from a descriptor of the directory, asks for its attributes (may_lookup() in Linux fs/namei.c). Not that of a
 * member: a later set can have the id, and fewer of them.
 */
static int lookup_part(struct ipcfs *fs, const struct node_use *parent, const char *name,
                       struct fuse_entry_param *entry)
{
    struct node_kin kin;
    struct statx object;
    struct statx shown;
    int error = find_part(parent, name, &kin);
    if (!error)
        error = kin.backend->stat(&parent->ref, &object);
    if (error)
        return error == -ESTALE ? -ENOENT : error;
    part_attributes(fs, &kin, &object, &shown);
    bool constant = kin.type != NODE_MEMBER && !kin.fresh;
    *entry = (struct fuse_entry_param){.attr_timeout = TIMEOUT_OBJECT,
                                       .entry_timeout = constant ? TIMEOUT_FIXED : TIMEOUT_OBJECT};
    statx_to_stat(&shown, &entry->attr);
    if (kin.fresh)
        entry->attr.st_size = open_size(&kin);
    return node_lookup(&fs->nodes, &kin, parent->name, &entry->ino);
}

static int lookup(struct ipcfs *fs, fuse_req_t req, const struct target *parent, const char *name,
                  struct fuse_entry_param *entry)
{
    if (parent->entry)
        return lookup_in_tree(fs, req, parent->entry, name, entry);
    enum node_type type = parent->use.kin.type;
    if (type == NODE_OBJECT_DIR || type == NODE_MEMBER)
        return lookup_part(fs, &parent->use, name, entry);
    return lookup_verb(fs, &parent->use, name, entry);
}

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    OP(lookup);
    AUTO_TARGET target;
    struct fuse_entry_param entry;
    int error = target_get(fs, parent, &target);
    if (!error && is_process(&target, NODE_PROCESS)) {
        lookup_process_link(fs, &target, name, &reply);
        return;
    }
    if (!error)
        error = lookup(fs, req, &target, name, &entry);
    if (error)
        reply_error(&reply, error);
    else if (reply_entry(&reply, &entry))
        node_forget(&fs->nodes, entry.ino, 1);
}

void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
    OP(forget);
    node_forget(&fs->nodes, ino, count);
    reply_none(&reply);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    OP(forget);
    for (size_t i = 0; i < count; i++)
        node_forget(&fs->nodes, forgets[i].ino, forgets[i].nlookup);
    reply_none(&reply);
}

/* ---- changes of names ---- */

/*
 * A pipe whose name is about to be lost may be open all the same, and a socket's may be on its way to connect(2), which
 * has looked it up and will ask for its attributes. `lost`: so many of its names are no more then. No lookup comes in
 * between and makes the node anew: the kernel has the directory locked.
 */
static void note_node(struct ipcfs *fs, const struct tree_entry *directory, const char *name, unsigned lost)
{
    struct ipcfs_found found;
    const struct ipcfs_backend *kind = directory->objects;
    bool nodes = ipcfs_makes(kind, S_IFIFO) || ipcfs_makes(kind, S_IFSOCK);
    if (!nodes || kind->find(directory->naming, name, &found, NULL) || S_ISDIR(found.stat.stx_mode))
        return;
    found.stat.stx_nlink -= lost;
    struct node_kin kin = {.type = NODE_OBJECT, .backend = kind, .object = found.id};
    node_note(&fs->nodes, &kin, &found.stat);
}

/* Whether rmdir(2), or unlink(2), may remove an object of the name. What that is can not change meanwhile: the kernel
 * has the directory locked, and objects of kinds that are of several types are not made natively. */
static int check_removal(const struct tree_entry *directory, const char *name, bool by_rmdir)
{
    const struct ipcfs_backend *kind = directory->objects;
    bool is_directory = ipcfs_is_directory(kind);
    if (!is_directory && ipcfs_makes(kind, S_IFDIR)) {
        struct ipcfs_found found;
        int error = kind->find(directory->naming, name, &found, NULL);
        if (error)
            return error;
        is_directory = S_ISDIR(found.stat.stx_mode);
    }
    if (is_directory == by_rmdir)
        return 0;
    return by_rmdir ? -ENOTDIR : -EISDIR;
}

static int remove_name(struct ipcfs *fs, fuse_req_t req, fuse_ino_t parent, const char *name, bool by_rmdir)
{
    const struct tree_entry *directory = naming_directory(fs, parent);
    if (!directory)
        return -EPERM;
    AUTO_ACTING acting = {0};
    int error = act_as_caller(&acting, req);
    if (!error)
        error = check_removal(directory, name, by_rmdir);
    if (error)
        return error;
    note_node(fs, directory, name, 1);
    note_request(fs, req, directory, name);
    return directory->objects->remove(directory->naming, name);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    OP(unlink);
    reply_error(&reply, remove_name(fs, req, parent, name, false));
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    OP(rmdir);
    reply_error(&reply, remove_name(fs, req, parent, name, true));
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
    OP(symlink);
    (void)target;
    (void)parent;
    (void)name;
    reply_error(&reply, -EPERM);
}

/* The node of what is now called `name`, if the kernel knows it, learns its new name. */
static void learn_name(struct ipcfs *fs, const struct tree_entry *directory, const char *name)
{
    struct ipcfs_found found;
    if (directory->objects->find(directory->naming, name, &found, NULL) || S_ISDIR(found.stat.stx_mode))
        return;
    struct node_kin kin = {.type = NODE_OBJECT, .backend = directory->objects, .object = found.id};
    node_renamed(&fs->nodes, &kin, directory->naming, name);
}

static int rename_object(struct ipcfs *fs, fuse_req_t req, fuse_ino_t parent, const char *name,
                         fuse_ino_t to_parent, const char *to_name, unsigned flags)
{
    const struct tree_entry *from = naming_directory(fs, parent);
    const struct tree_entry *to = naming_directory(fs, to_parent);
    if (!from || !to)
        return -EPERM;
    if (from->objects != to->objects)
        return -EXDEV;
    if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE))
        return -EINVAL; /* a whiteout is a device: not an object */
    AUTO_ACTING acting = {0};
    int error = act_as_caller(&acting, req);
    if (error)
        return error;
    note_node(fs, from, name, 0);
    note_node(fs, to, to_name, flags & RENAME_EXCHANGE ? 0 : 1);
    note_request(fs, req, from, name);
    note_request(fs, req, to, to_name);
    error = from->objects->rename(from->naming, name, to->naming, to_name, flags);
    acting_end(&acting);
    if (!error) {
        learn_name(fs, to, to_name);
        if (flags & RENAME_EXCHANGE)
            learn_name(fs, from, name);
    }
    return error;
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t to_parent, const char *to_name,
               unsigned flags)
{
    OP(rename);
    reply_error(&reply, rename_object(fs, req, parent, name, to_parent, to_name, flags));
}

static int link_object(struct ipcfs *fs, fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name,
                       struct fuse_entry_param *entry)
{
    const struct tree_entry *directory = naming_directory(fs, parent);
    AUTO_TARGET target;
    int error = target_get(fs, ino, &target);
    if (error)
        return error;
    if (!directory || target.entry || target.use.kin.type != NODE_OBJECT)
        return -EPERM;
    if (target.use.kin.backend != directory->objects)
        return -EXDEV;
    error = hold_node(&target.use); /* so that it is still found when it has been linked */
    AUTO_ACTING acting = {0};
    if (!error)
        error = act_as_caller(&acting, req);
    if (error)
        return error;
    note_request(fs, req, directory, name);
    error = directory->objects->link(&target.use.ref, directory->naming, name);
    acting_end(&acting);
    struct ipcfs_found found = {.id = target.use.kin.object};
    if (!error)
        error = directory->objects->stat(&target.use.ref, &found.stat);
    return error ? error : make_object_entry(fs, directory->objects, directory->naming, name, &found, entry);
}

void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
    OP(link);
    struct fuse_entry_param entry;
    int error = link_object(fs, req, ino, parent, name, &entry);
    if (error)
        reply_node_error(fs, &reply, error);
    else if (reply_entry(&reply, &entry))
        node_forget(&fs->nodes, entry.ino, 1);
}
