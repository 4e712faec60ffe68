/* SPDX-License-Identifier: MIT */
/*
 * Control files, open.
 *
 * One that is open for reading only is a text that is read at offsets, as any file (ops_control_read.c). One that is open
 * for writing is a transaction (fs/transaction.h), without a position: the kernel is told so, because else a reader of the
 * descriptor would keep its writers waiting.
 */
#include "ops.h"

#include "control.h"
#include "ipcfs/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

/* ---- open ---- */

/* NULL for a file of the fixed tree. */
static const struct ipcfs_verb *verb_of(const struct handle *handle)
{
    return handle->entry ? NULL : control_verb_of(&handle->node.kin);
}

/* Whether the handle is of something that has a text: the kernel opens nothing else, but might not be who asks. */
static int check(const struct handle *handle)
{
    if (handle->entry && !handle->entry->file)
        return handle->entry->directory ? -EISDIR : -ELOOP;
    if (handle->entry)
        return 0;
    if (handle->node.kin.type == NODE_PROCESS_LINK)
        return -ELOOP;
    if (!node_is_control_file(handle->node.kin.type))
        return -EISDIR;
    switch (verb_of(handle)->type) {
    case IPCFS_VERB_LINK:
        return -ELOOP;
    case IPCFS_VERB_FILE:
    case IPCFS_VERB_HOLD:
    case IPCFS_VERB_CONNECTION:
        return -EOPNOTSUPP; /* no text: the backend's own file */
    case IPCFS_VERB_TEXT:
    case IPCFS_VERB_COMMAND:
        break;
    }
    return 0;
}

static bool is_writable(const struct handle *handle)
{
    const struct ipcfs_verb *verb = verb_of(handle);
    return verb ? verb->write || verb->prepare : handle->entry->file->write != NULL;
}

/* Whether what is written needs a hold. What is in an object is of that object for as long as it is open; and those who
 * wait by commands, wherever they are, wait for one object in one line. */
static bool wants_hold(const struct handle *handle)
{
    return !handle->entry && (node_is_part(handle->node.kin.type) || verb_of(handle)->open ||
                              verb_of(handle)->type == IPCFS_VERB_COMMAND);
}

int control_open_file(fuse_req_t req, struct handle *handle, int flags)
{
    int error = hold_object_of(&handle->node);
    AUTO_ACTING acting = {0};
    if (!error)
        error = act_as_caller(&acting, req);
    const struct node_kin *kin = &handle->node.kin;
    return error ? error : control_verb_of(kin)->open(&handle->node.ref, kin->number, flags, &handle->file);
}

/* What is written to an object's control file: its hold, and its file where it has one. */
static int open_object_of(fuse_req_t req, struct handle *handle, int flags)
{
    return verb_of(handle)->open ? control_open_file(req, handle, flags) : hold_object_of(&handle->node);
}

int control_open(fuse_req_t req, struct handle *handle, int flags)
{
    bool writes = (flags & O_ACCMODE) != O_RDONLY;
    int error = check(handle);
    if (error)
        return error;
    if ((writes || flags & O_TRUNC) && !is_writable(handle))
        return -EPERM;
    if (!writes)
        return 0;
    if (wants_hold(handle))
        error = open_object_of(req, handle, flags);
    if (!error)
        handle->transaction = transaction_new();
    return error || handle->transaction ? error : -ENOMEM;
}

/* ---- write ---- */

int control_gone(int error)
{
    return error == -ESTALE ? -ENOENT : error;
}

struct writing {
    struct ipcfs *fs;
    struct handle *handle;
    struct caller caller;
};

static int write_line(void *context, const char *line, size_t length, struct text *answer)
{
    const struct writing *writing = context;
    const struct handle *handle = writing->handle;
    const struct tree_entry *entry = handle->entry;
    if (entry)
        return entry->file->write(writing->fs, entry->kind, &writing->caller, line, length, answer);
    const struct ipcfs_written written = {
        .data = line, .size = length, .caller = &writing->caller, .reason = answer, .file = handle->file};
    int error = verb_of(handle)->write(&handle->node.ref, handle->node.kin.number, &written);
    if (!error)
        text_reset(answer); /* the file's text is what there is to read then */
    return control_gone(error);
}

/* The path of a control file in ctl/<object>/. */
static void write_ctl_path(struct ipcfs *fs, const struct node_kin *kin, const char *name, struct text *out)
{
    const struct tree_entry *parent = tree_controls(&fs->tree, kin->backend, kin->directory);
    char shown[NAME_MAX + 1];
    if (!parent || tree_control_name(&fs->tree, parent, name, shown, sizeof shown))
        return;
    tree_path(&fs->tree, parent, out);
    text_string(out, "/");
    text_escape_word(out, shown);
    const struct ipcfs_verb *verb = control_verb_of(kin);
    text_printf(out, "/%s", verb->name);
    if (verb->numbered)
        text_printf(out, "/%" PRId64, kin->number);
}

/* The path of a control file in an object. */
static void write_part_path(struct ipcfs *fs, const struct node_kin *kin, const char *name, struct text *out)
{
    const struct tree_entry *parent = tree_objects(&fs->tree, kin->backend, kin->directory);
    if (!parent)
        return;
    tree_path(&fs->tree, parent, out);
    text_string(out, "/");
    text_escape_word(out, name);
    if (kin->type == NODE_MEMBER_FILE)
        text_printf(out, "/%" PRId64, kin->number);
    text_printf(out, "/%s", control_verb_of(kin)->name);
}

/* The path of the control file, in one word. */
static void write_path(struct ipcfs *fs, const struct handle *handle, struct text *out)
{
    const struct node_kin *kin = &handle->node.kin;
    if (handle->entry)
        tree_path(&fs->tree, handle->entry, out);
    else if (node_is_part(kin->type))
        write_part_path(fs, kin, handle->node.ref.name, out);
    else
        write_ctl_path(fs, kin, handle->node.ref.name, out);
}

void control_note_refusal(struct ipcfs *fs, const struct handle *handle, uid_t uid, const struct text *reason)
{
    AUTO_TEXT path = {0};
    write_path(fs, handle, &path);
    last_error_set(&fs->last_errors, uid, &path, reason);
}

static void note_refusal(void *context, const struct text *reason)
{
    const struct writing *writing = context;
    control_note_refusal(writing->fs, writing->handle, writing->caller.uid, reason);
}

ssize_t control_write(struct ipcfs *fs, fuse_req_t req, struct handle *handle, const char *data, size_t size)
{
    if (!handle->transaction)
        return -EBADF;
    struct writing writing = {.fs = fs, .handle = handle, .caller = caller_of(req)};
    const struct transaction_ops write_ops = {
        .blank = !handle->entry && verb_of(handle)->blank, .line = write_line, .refused = note_refusal};
    AUTO_TEXT answer = {0};
    AUTO_ACTING acting = {0};
    int error = act_as_caller(&acting, req);
    if (error)
        return error;
    ssize_t count = transaction_run(&write_ops, &writing, data, size, &answer);
    acting_end(&acting);
    transaction_answer(handle->transaction, &answer);
    return count;
}
