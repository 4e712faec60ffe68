/* SPDX-License-Identifier: MIT */
/*
 * Files of messages: objects of kinds that have messages, what stands for them under ctl/ (lines, prio/N, type/N), and
 * what is read by taking one (sem/NAME/wait).
 * Their handles are streams, and their nodes fresh (fs/node.h).
 */
#include "ops.h"

#include "control.h"

#include <errno.h>

bool is_message_file(const struct target *target)
{
    bool object = !target->entry && target->use.kin.type == NODE_OBJECT;
    return object ? target->use.kin.backend->messages : target_is_verb(target, IPCFS_VERB_FILE);
}

static bool is_lines(const struct node_kin *kin)
{
    return kin->type == NODE_CTL_FILE && control_verb_is_lines(kin);
}

static int open_file(fuse_req_t req, struct handle *handle, int flags)
{
    AUTO_ACTING acting = {0};
    int error = act_as_caller(&acting, req);
    if (error)
        return error;
    const struct node_kin *kin = &handle->node.kin;
    if (kin->type == NODE_OBJECT || is_lines(kin))
        return kin->backend->open(&handle->node.ref, flags, &handle->file);
    return control_verb_of(kin)->open(&handle->node.ref, kin->number, flags, &handle->file);
}

int hold_object_of(struct node_use *use)
{
    use->ref.id = use->kin.object;
    int error = hold_node(use);
    return error == -ESTALE && use->kin.type != NODE_OBJECT ? -ENOENT : error;
}

static int prepare(struct ipcfs *fs, fuse_req_t req, struct handle *handle, int flags)
{
    int error = hold_object_of(&handle->node);
    if (!error)
        error = open_file(req, handle, flags);
    if (!error)
        error = messages_new(fs, handle, is_lines(&handle->node.kin) ? MESSAGE_LINES : MESSAGE_PLAIN, flags);
    return error ? error : handle_add(&fs->handles, handle);
}

int open_messages(struct ipcfs *fs, fuse_req_t req, struct target *target, struct fuse_file_info *info)
{
    struct handle *handle = handle_new(HANDLE_FILE, fuse_req_ctx(req)->uid);
    if (!handle)
        return -ENOMEM;
    node_use_move(&target->use, &handle->node);
    node_opened(&handle->node);
    int error = prepare(fs, req, handle, info->flags);
    if (error) {
        handle_free(handle);
        return error;
    }
    info->fh = handle->id;
    info->noflush = 1;
    return 0;
}
