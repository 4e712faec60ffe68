/* SPDX-License-Identifier: MIT */
/* New objects: CREATE, MKNOD and MKDIR make them as the caller, and make them known. */
#include "ops.h"

#include <errno.h>
#include <fcntl.h>

/* What a request asks for. */
struct wish {
    fuse_req_t req;
    const struct tree_entry *directory;
    const char *name;
    int flags;
    mode_t mode; /* with its type */
};

static int create_as_caller(struct ipcfs *fs, const struct wish *wish, struct ipcfs_created *created)
{
    note_request(fs, wish->req, wish->directory, wish->name);
    AUTO_ACTING acting = {0};
    int error = act_as_caller(&acting, wish->req);
    struct caller caller = caller_of(wish->req);
    struct ipcfs_wish native = {
        .directory = wish->directory->naming,
        .name = wish->name,
        .type = wish->mode & S_IFMT,
        .flags = wish->flags,
        .mode = wish->mode & 07777,
        .caller = &caller,
    };
    return error ? error : wish->directory->objects->create(&native, created);
}

/* Takes a creation back, as the caller, because what follows it failed. */
static void take_back(const struct wish *wish, const struct ipcfs_created *created)
{
    AUTO_ACTING acting = {0};
    if (act_as_caller(&acting, wish->req) == 0)
        wish->directory->objects->uncreate(wish->directory->naming, wish->name, created);
}

/* Makes the node of a created object, counted as looked up, and takes it into use. The hold is the node's then. */
static int adopt(struct ipcfs *fs, const struct wish *wish, const struct ipcfs_created *created,
                 struct node_use *use, struct fuse_entry_param *entry)
{
    const struct tree_entry *directory = wish->directory;
    int error =
        make_object_entry(fs, directory->objects, directory->naming, wish->name, &created->found, entry);
    if (!error) {
        error = node_use(&fs->nodes, entry->ino, use);
        if (error)
            node_forget(&fs->nodes, entry->ino, 1);
    }
    if (error)
        directory->objects->release(created->hold);
    else
        node_set_hold(use, created->hold);
    return error;
}

/* Makes a created object's node and handle known. The file is the handle's then, or closed. */
static int publish_created(struct ipcfs *fs, const struct wish *wish, const struct ipcfs_created *created,
                           struct handle *handle, struct fuse_file_info *info, struct fuse_entry_param *entry)
{
    int error = adopt(fs, wish, created, &handle->node, entry);
    if (error) {
        wish->directory->objects->close(created->file);
        return error;
    }
    handle->file = created->file;
    node_opened(&handle->node);
    if (wish->directory->objects->messages)
        error = messages_new(fs, handle, MESSAGE_PLAIN, wish->flags);
    else
        error = attach_backing(fs, handle);
    if (!error)
        error = publish(fs, handle, info);
    if (error)
        node_forget(&fs->nodes, entry->ino, 1);
    return error;
}

/* Takes the handle over. */
static int create_object(struct ipcfs *fs, const struct wish *wish, struct handle *handle,
                         struct fuse_file_info *info, struct fuse_entry_param *entry)
{
    struct ipcfs_created created = {0}; /* a kind may have no file to give */
    int error = create_as_caller(fs, wish, &created);
    if (!error) {
        error = publish_created(fs, wish, &created, handle, info, entry);
        if (error)
            take_back(wish, &created);
    }
    if (error)
        discard(fs, handle);
    return error;
}

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *info)
{
    OP(create);
    struct fuse_entry_param entry = {0};
    struct wish wish = {req, naming_directory(fs, parent), name, info->flags, S_IFREG | (mode & 07777)};
    if (wish.directory && !ipcfs_makes(wish.directory->objects, S_IFREG))
        wish.directory = NULL; /* made by mkdir(2) or mknod(2) alone */
    struct handle *handle = wish.directory ? handle_new(HANDLE_FILE, fuse_req_ctx(req)->uid) : NULL;
    int error = wish.directory ? -ENOMEM : -EPERM;
    if (handle)
        error = create_object(fs, &wish, handle, info, &entry);
    bool stream = wish.directory && wish.directory->objects->messages;
    if (error) {
        reply_error(&reply, error);
    } else if (stream ? reply_create_stream(&reply, &entry, info) : reply_create(&reply, &entry, info)) {
        withdraw(fs, info->fh);
        node_forget(&fs->nodes, entry.ino, 1);
    }
}

/* Makes an object and its node. */
static int make_node(struct ipcfs *fs, const struct wish *wish, struct fuse_entry_param *entry)
{
    if (!wish->directory || !ipcfs_makes(wish->directory->objects, wish->mode & S_IFMT))
        return -EPERM;
    struct ipcfs_created created = {0}; /* a kind may have no file to give */
    int error = create_as_caller(fs, wish, &created);
    if (error)
        return error;
    if (created.file)
        wish->directory->objects->close(created.file);
    AUTO_NODE_USE use = {0};
    error = adopt(fs, wish, &created, &use, entry);
    if (error)
        take_back(wish, &created);
    return error;
}

static void answer_node(struct ipcfs *fs, const struct wish *wish, struct reply *reply)
{
    struct fuse_entry_param entry;
    int error = make_node(fs, wish, &entry);
    if (error)
        reply_error(reply, error);
    else if (reply_entry(reply, &entry))
        node_forget(&fs->nodes, entry.ino, 1);
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device)
{
    OP(mknod);
    (void)device;
    mode_t type = mode & S_IFMT ? 0 : S_IFREG;
    struct wish wish = {req, naming_directory(fs, parent), name, O_RDONLY | O_CREAT | O_EXCL, mode | type};
    answer_node(fs, &wish, &reply);
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    OP(mkdir);
    mode_t shown = S_IFDIR | (mode & 07777);
    struct wish wish = {req, naming_directory(fs, parent), name, O_RDWR | O_CREAT | O_EXCL, shown};
    answer_node(fs, &wish, &reply);
}
