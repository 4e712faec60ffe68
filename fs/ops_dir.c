/* SPDX-License-Identifier: MIT */
/*
 * Directories.
 *
 * A position in a directory is the number of the entry that comes next: 0 is ".", 1 is "..", then the fixed entries or
 * control files. Objects follow, at positions that have the bit OBJECTS set and the backend's own position below it,
 * which stays true while objects come and go.
 *
 * READDIRPLUS is not offered: without a timeout the kernel would not use the attributes, and plain `ls` would pay.
 */
#include "ops.h"

#include "control.h"
#include "ipcfs/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define OBJECTS (UINT64_C(1) << 62)

static bool is_directory(const struct target *target)
{
    if (target->entry)
        return target->entry->directory;
    return node_is_directory(target->use.kin.type);
}

/* Takes the target over. */
static int open_directory(struct ipcfs *fs, fuse_req_t req, struct target *target,
                          struct fuse_file_info *info)
{
    if (!is_directory(target))
        return -ENOTDIR;
    struct handle *handle = handle_new(HANDLE_DIRECTORY, fuse_req_ctx(req)->uid);
    if (!handle)
        return -ENOMEM;
    handle->entry = target->entry;
    node_use_move(&target->use, &handle->node);
    int error = handle_add(&fs->handles, handle);
    if (error)
        handle_free(handle);
    else
        info->fh = handle->id;
    return error;
}

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
    OP(opendir);
    AUTO_TARGET target;
    int error = target_get(fs, ino, &target);
    if (!error)
        error = open_directory(fs, req, &target, info);
    if (error)
        reply_error(&reply, error);
    else if (reply_open(&reply, info))
        withdraw(fs, info->fh);
}

void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
    OP(releasedir);
    (void)ino;
    withdraw(fs, info->fh);
    reply_error(&reply, 0);
}

/* ---- filling a reply ---- */

struct filler {
    fuse_req_t req;
    char *buffer;
    size_t size;
    size_t used;
    int members; /* of the object, once that was asked; before −1 */
};

/* False where the entry has no room any more. */
static bool fill(struct filler *filler, const char *name, uint64_t inode, mode_t type, uint64_t next)
{
    struct stat stat = {.st_ino = inode, .st_mode = type};
    size_t room = filler->size - filler->used;
    size_t needed =
        fuse_add_direntry(filler->req, filler->buffer + filler->used, room, name, &stat, (off_t)next);
    if (needed > room)
        return false;
    filler->used += needed;
    return true;
}

static uint64_t own_inode(const struct handle *handle)
{
    if (handle->entry)
        return entry_inode(handle->entry);
    const struct node_kin *kin = &handle->node.kin;
    if (kin->type == NODE_PROCESS)
        return process_inode((pid_t)kin->object.number);
    if (kin->type == NODE_OBJECT_DIR)
        return object_inode(kin->backend, kin->object.number);
    if (kin->type == NODE_MEMBER)
        return part_inode(kin);
    return control_inode(kin->backend, kin->object.number);
}

static uint64_t parent_inode(struct ipcfs *fs, const struct handle *handle)
{
    return handle->entry ? entry_inode(tree_by_id(&fs->tree, handle->entry->parent)) : own_inode(handle);
}

static mode_t verb_type(const struct ipcfs_verb *verb)
{
    if (verb->numbered)
        return S_IFDIR;
    return verb->type == IPCFS_VERB_LINK ? S_IFLNK : S_IFREG;
}

/* What a control file in a directory of that type is. */
static enum node_type file_in(enum node_type type)
{
    if (type == NODE_OBJECT_DIR)
        return NODE_OBJECT_FILE;
    return type == NODE_MEMBER ? NODE_MEMBER_FILE : NODE_CTL_FILE;
}

/* A member of the object; `number` counts its control files before. */
static bool fill_member(struct handle *handle, struct filler *filler, uint64_t number, bool *full)
{
    struct node_kin kin = handle->node.kin;
    unsigned files = 0;
    while (control_verb(kin.backend, kin.type, files))
        files++;
    kin.type = NODE_MEMBER;
    kin.number = (int64_t)(number - files);
    if (filler->members < 0)
        filler->members = kin.backend->members(&handle->node.ref);
    if (kin.number >= filler->members)
        return false; /* or there is no object any more: then the list ends */
    char name[24];
    (void)snprintf(name, sizeof name, "%" PRId64, kin.number);
    *full = !fill(filler, name, part_inode(&kin), S_IFDIR, number + 3);
    return true;
}

/* A link in the directory of a process. */
static bool fill_link(const struct handle *handle, struct filler *filler, uint64_t number, bool *full)
{
    const struct process_links *links = handle->look ? inspected_links(handle->look) : NULL;
    if (!links || number >= links->count)
        return false;
    const char *name = links->links[number].name;
    pid_t pid = (pid_t)handle->node.kin.object.number;
    *full = !fill(filler, name, process_link_inode(pid, name), S_IFLNK, number + 3);
    return true;
}

/* The fixed entry, link, control file or member number `number` of the directory. False where there is none. */
static bool fill_fixed(struct ipcfs *fs, struct handle *handle, struct filler *filler, uint64_t number,
                       bool *full)
{
    if (handle->entry) {
        const struct tree_entry *child = tree_next_child(&fs->tree, handle->entry, NULL);
        for (uint64_t i = 0; child && i < number; i++)
            child = tree_next_child(&fs->tree, handle->entry, child);
        if (!child)
            return false;
        if (child->file && child->file->unlisted)
            return true;
        *full = !fill(filler, child->name, entry_inode(child), tree_type(child), number + 3);
        return true;
    }
    struct node_kin kin = handle->node.kin;
    if (kin.type == NODE_PROCESS)
        return fill_link(handle, filler, number, full);
    if (kin.type == NODE_CTL_NUMBERS || number > INT_MAX)
        return false;
    kin.verb = (unsigned)number;
    const struct ipcfs_verb *verb = control_verb_of(&kin);
    if (!verb)
        return kin.type == NODE_OBJECT_DIR && fill_member(handle, filler, number, full);
    if (verb->unlisted)
        return true;
    kin.type = verb->numbered ? NODE_CTL_NUMBERS : file_in(kin.type);
    *full = !fill(filler, verb->name, part_inode(&kin), verb_type(verb), number + 3);
    return true;
}

/* "." and "..", then the fixed entries, from `position` on. Tells whether the reply is full. */
static bool fill_head(struct ipcfs *fs, struct handle *handle, struct filler *filler, uint64_t position)
{
    bool full = false;
    if (position == 0)
        full = !fill(filler, ".", own_inode(handle), S_IFDIR, ++position);
    if (!full && position == 1)
        full = !fill(filler, "..", parent_inode(fs, handle), S_IFDIR, ++position);
    for (uint64_t number = position - 2; !full && fill_fixed(fs, handle, filler, number, &full);)
        number++;
    return full;
}

/* Opens the lister, as the caller, who might not be allowed to list natively; and moves it to `position`. */
static int seek_lister(fuse_req_t req, struct handle *handle, uint64_t position)
{
    const struct ipcfs_backend *backend = handle->entry->lister_of;
    if (!handle->lister) {
        AUTO_ACTING acting = {0};
        int error = act_as_caller(&acting, req);
        if (!error)
            error = backend->list_open(handle->entry->naming, &handle->lister);
        if (error)
            return error;
        handle->position = 0;
        handle->has_pending = false;
    }
    if (handle->position == position && position != 0)
        return 0;
    handle->position = position;
    handle->has_pending = false;
    return backend->list_seek(handle->lister, position);
}

static bool fill_object(struct ipcfs *fs, struct handle *handle, struct filler *filler,
                        const struct ipcfs_entry *entry)
{
    uint64_t next = OBJECTS | entry->next;
    const struct ipcfs_backend *backend = handle->entry->lister_of;
    if (handle->entry->objects)
        return fill(filler, entry->name, object_inode(backend, entry->number), entry->type, next);
    char shown[NAME_MAX + 1];
    if (tree_control_name(&fs->tree, handle->entry, entry->name, shown, sizeof shown))
        return true; /* too long with its '@': passed over */
    return fill(filler, shown, control_inode(backend, entry->number), S_IFDIR, next);
}

static int fill_objects(struct ipcfs *fs, struct handle *handle, struct filler *filler, uint64_t position)
{
    int error = seek_lister(filler->req, handle, position);
    while (!error) {
        if (!handle->has_pending) {
            int more = handle->entry->lister_of->list_next(handle->lister, &handle->pending);
            if (more <= 0)
                return more;
            handle->has_pending = true;
        }
        if (!fill_object(fs, handle, filler, &handle->pending))
            return 0;
        handle->position = handle->pending.next;
        handle->has_pending = false;
    }
    return error;
}

static bool fill_process(void *data, pid_t pid, uint64_t next)
{
    char name[16];
    (void)snprintf(name, sizeof name, "%d", pid);
    return fill(data, name, process_inode(pid), S_IFDIR, OBJECTS | next);
}

static int fill_processes(struct filler *filler, uint64_t position)
{
    AUTO_ACTING acting = {0};
    int error = act_as_caller(&acting, filler->req);
    return error ? error : processes_list(position, fill_process, filler);
}

static int fill_directory(struct ipcfs *fs, struct handle *handle, struct filler *filler, uint64_t position)
{
    if (!(position & OBJECTS)) {
        if (fill_head(fs, handle, filler, position))
            return 0;
        position = OBJECTS;
    }
    position &= ~OBJECTS;
    if (handle->entry && handle->entry->processes)
        return fill_processes(filler, position);
    if (!handle->entry || !handle->entry->lister_of)
        return 0;
    return fill_objects(fs, handle, filler, position);
}

void directory_read(struct ipcfs *fs, struct reply *reply, struct handle *handle, size_t size, off_t offset)
{
    AUTO_FREE char *buffer = malloc(size ? size : 1);
    struct filler filler = {.req = reply->request, .buffer = buffer, .size = size, .members = -1};
    lock_take(&handle->lock);
    int error = buffer ? fill_directory(fs, handle, &filler, (uint64_t)offset) : -ENOMEM;
    lock_release(&handle->lock);
    /* What was read before an error is still the caller's; the error meets him at the next call. */
    if (error && !filler.used)
        reply_error(reply, error);
    else
        reply_buffer(reply, buffer, filler.used);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *info)
{
    OP(readdir);
    (void)ino;
    struct handle *handle = handle_get(&fs->handles, info->fh);
    if (!handle || handle->type != HANDLE_DIRECTORY || offset < 0)
        reply_error(&reply, -EBADF);
    else if (is_unread_process(handle, offset))
        list_process_links(fs, handle, size, offset, &reply);
    else
        directory_read(fs, &reply, handle, size, offset);
    if (handle)
        handle_put(&fs->handles, handle);
}
