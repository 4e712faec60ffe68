/* SPDX-License-Identifier: MIT */
#include "ops.h"

#include "ipcfs/log.h"

#include <errno.h>
#include <string.h>

struct caller caller_of(fuse_req_t req)
{
    const struct fuse_ctx *context = fuse_req_ctx(req);
    return (struct caller){.uid = context->uid, .gid = context->gid, .pid = context->pid};
}

int act_as_caller(struct acting *acting, fuse_req_t req)
{
    struct caller caller = caller_of(req);
    return acting_begin(acting, &caller);
}

void note_request(struct ipcfs *fs, fuse_req_t req, const struct tree_entry *directory, const char *name)
{
    struct caller caller = caller_of(req);
    events_note(fs->events, directory->objects, directory->naming, name, &caller);
}

void reply_node_error(struct ipcfs *fs, struct reply *reply, int error)
{
    if (error == -ESTALE)
        pins_note_race(&fs->pins);
    reply_error(reply, error);
}

const struct tree_entry *naming_directory(const struct ipcfs *fs, fuse_ino_t parent)
{
    const struct tree_entry *entry = tree_by_id(&fs->tree, parent);
    return entry && entry->objects ? entry : NULL;
}

int hold_node(struct node_use *use)
{
    if (use->ref.hold)
        return 0;
    struct ipcfs_hold *hold = NULL;
    int error = use->kin.backend->hold(&use->ref, &hold);
    if (!error)
        node_set_hold(use, hold);
    return error;
}

int make_object_entry(struct ipcfs *fs, const struct ipcfs_backend *backend, unsigned directory,
                      const char *name, const struct ipcfs_found *found, struct fuse_entry_param *entry)
{
    struct node_kin kin = {
        .type = S_ISDIR(found->stat.stx_mode) ? NODE_OBJECT_DIR : NODE_OBJECT,
        .backend = backend,
        .directory = directory,
        .object = found->id,
        .fresh = backend->messages,
    };
    *entry = (struct fuse_entry_param){.attr_timeout = TIMEOUT_OBJECT, .entry_timeout = TIMEOUT_OBJECT};
    struct statx shown;
    object_attributes(backend, found, &shown);
    statx_to_stat(&shown, &entry->attr);
    if (kin.fresh)
        entry->attr.st_size = OPEN_SIZE;
    return node_lookup(&fs->nodes, &kin, name, &entry->ino);
}

int make_process_entry(struct ipcfs *fs, const struct node_kin *kin, const char *name,
                       const struct process_identity *identity, struct fuse_entry_param *entry)
{
    *entry = (struct fuse_entry_param){.attr_timeout = TIMEOUT_OBJECT, .entry_timeout = TIMEOUT_OBJECT};
    struct statx shown;
    process_attributes(fs, kin, name, identity, &shown);
    statx_to_stat(&shown, &entry->attr);
    return node_lookup(&fs->nodes, kin, name, &entry->ino);
}

/* Wanted where the kernel has it: switched on or off by the exact name, whatever libfuse's default is. */
static void negotiate(struct fuse_conn_info *connection)
{
    /* O_TRUNC comes as a SETATTR after OPEN. If it came with OPEN, the kernel would set its size of the inode to 0, and
     * then a write(2) that waits would hold the inode's lock exclusively (OPEN_SIZE in fs/target.h). */
    fuse_unset_feature_flag(connection, FUSE_CAP_ATOMIC_O_TRUNC);
    fuse_set_feature_flag(connection, FUSE_CAP_PARALLEL_DIROPS);
    /* Asynchronous reads and writes (io_submit(2) with O_DIRECT) would be background requests. Nothing interrupts those:
     * who asked could not be killed while they wait, and a dozen that do (max_background) hold up the RELEASEs of all. */
    fuse_unset_feature_flag(connection, FUSE_CAP_ASYNC_DIO);
    /* Otherwise the kernel would keep locks for the mount alone, and native lockers would not see them. */
    fuse_set_feature_flag(connection, FUSE_CAP_POSIX_LOCKS);
    fuse_set_feature_flag(connection, FUSE_CAP_FLOCK_LOCKS);
    /* Killing set-user-ID bits stays with the kernel: it knows the writer's capabilities, and sends a SETATTR. With
     * passthrough no WRITE comes here that could do it. */
    fuse_unset_feature_flag(connection, FUSE_CAP_HANDLE_KILLPRIV);
    fuse_unset_feature_flag(connection, FUSE_CAP_HANDLE_KILLPRIV_V2);
    /* A MAP_SHARED mapping without passthrough would be a private copy of the object: refused instead. */
    fuse_unset_feature_flag(connection, FUSE_CAP_DIRECT_IO_ALLOW_MMAP);
    /* Requests are small or bypass the daemon; pipes measured no better. */
    fuse_unset_feature_flag(connection, FUSE_CAP_SPLICE_READ);
    fuse_unset_feature_flag(connection, FUSE_CAP_SPLICE_WRITE);
    fuse_unset_feature_flag(connection, FUSE_CAP_SPLICE_MOVE);
#ifdef FUSE_CAP_OVER_IO_URING
    /* A request that waits would keep an entry of its processor's ring, and when all are kept, nobody there is served any
     * more (Linux fs/fuse/dev_uring.c, fuse_uring_queue_fuse_req()): with eight, twelve blocked readers hung stat(2). */
    fuse_unset_feature_flag(connection, FUSE_CAP_OVER_IO_URING);
#endif
}

static void op_init(void *userdata, struct fuse_conn_info *connection)
{
    struct ipcfs *fs = userdata;
    fs->protocol_major = connection->proto_major;
    fs->protocol_minor = connection->proto_minor;
    fs->request_max = connection->max_write;
    negotiate(connection);
    if (fs->passthrough_wanted == PASSTHROUGH_OFF) {
        (void)strcpy(fs->passthrough_reason, "switched off by -o passthrough=off");
    } else if (!fuse_set_feature_flag(connection, FUSE_CAP_PASSTHROUGH)) {
        (void)strcpy(fs->passthrough_reason, "this kernel has none (Linux 6.9 and CONFIG_FUSE_PASSTHROUGH)");
    } else {
        connection->max_backing_stack_depth = 1;
        fs->passthrough = true; /* until the probe after FUSE_INIT says otherwise */
    }
}

const struct fuse_lowlevel_ops ipcfs_operations = {
    .init = op_init,
    .lookup = op_lookup,
    .forget = op_forget,
    .forget_multi = op_forget_multi,
    .getattr = op_getattr,
    .setattr = op_setattr,
    .readlink = op_readlink,
    .mknod = op_mknod,
    .mkdir = op_mkdir,
    .unlink = op_unlink,
    .rmdir = op_rmdir,
    .symlink = op_symlink,
    .rename = op_rename,
    .link = op_link,
    .open = op_open,
    .create = op_create,
    .read = op_read,
    .write = op_write,
    .flush = op_flush,
    .release = op_release,
    .opendir = op_opendir,
    .readdir = op_readdir,
    .releasedir = op_releasedir,
    .statfs = op_statfs,
    .getxattr = op_getxattr,
    .listxattr = op_listxattr,
    .setxattr = op_setxattr,
    .removexattr = op_removexattr,
    .fallocate = op_fallocate,
    .lseek = op_lseek,
    .poll = op_poll,
    .getlk = op_getlk,
    .setlk = op_setlk,
    .flock = op_flock,
#ifdef IPCFS_HAVE_STATX
    .statx = op_statx,
#endif
};
