/* SPDX-License-Identifier: MIT */
/*
 * Control files, open.
 *
 * One that is open for reading only is a text that is read at offsets, as any file. One that is open for writing is a
 * transaction (fs/transaction.h), without a position: the kernel is told so, because else a reader of the descriptor
 * would keep its writers waiting.
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
    if (handle->entry)
        return handle->entry->directory ? -EISDIR : 0;
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

/* ---- read ---- */

/* The object is gone, and with it the file. */
static int gone(int error)
{
    return error == -ESTALE ? -ENOENT : error;
}

static int render(struct ipcfs *fs, fuse_req_t req, const struct handle *handle, struct text *text)
{
    AUTO_ACTING acting = {0};
    int error = act_as_caller(&acting, req);
    if (error)
        return error;
    const struct tree_entry *entry = handle->entry;
    struct caller caller = caller_of(req);
    if (!entry)
        error = control_verb_read(fs, &caller, &handle->node.kin, &handle->node.ref, text);
    else if (entry->file->render)
        error = entry->file->render(fs, entry->kind, &caller, text);
    return error ? gone(error) : text_error(text);
}

/* Renders the handle's file anew; *out is the caller's, and the handle's for reads further on. */
static int render_snapshot(struct ipcfs *fs, fuse_req_t req, struct handle *handle, struct snapshot **out)
{
    AUTO_TEXT text = {0};
    int error = render(fs, req, handle, &text);
    if (!error)
        error = snapshot_new(&text, out);
    if (error)
        return error;
    lock_take(&handle->lock);
    struct snapshot *old = handle->text;
    handle->text = snapshot_get(*out);
    handle->text_end = (*out)->text.length;
    lock_release(&handle->lock);
    snapshot_put(old);
    return 0;
}

/* The snapshot to read at `offset` from; *out is NULL at its end. */
static int find_snapshot(struct ipcfs *fs, fuse_req_t req, struct handle *handle, off_t offset,
                         struct snapshot **out)
{
    if (offset > 0) {
        lock_take(&handle->lock);
        struct snapshot *text = handle->text ? snapshot_get(handle->text) : NULL;
        bool end = handle->text_end && (size_t)offset >= handle->text_end;
        lock_release(&handle->lock);
        *out = text;
        if (text || end)
            return 0;
    }
    return render_snapshot(fs, req, handle, out);
}

/* What has been read to its end is not kept. */
static void drop_snapshot(struct handle *handle, const struct snapshot *text)
{
    struct snapshot *unneeded = NULL;
    lock_take(&handle->lock);
    if (handle->text == text) {
        unneeded = handle->text;
        handle->text = NULL;
    }
    lock_release(&handle->lock);
    snapshot_put(unneeded);
}

/*
 * A control file is rendered at every read from its start, so that a program that keeps it open and reads again sees
 * the present; reads further on continue the same text, so that it is of one piece however small the reads.
 */
static void read_text(struct ipcfs *fs, fuse_req_t req, struct reply *reply, struct handle *handle,
                      size_t size, off_t offset)
{
    struct snapshot *snapshot = NULL;
    int error = find_snapshot(fs, req, handle, offset, &snapshot);
    if (error) {
        reply_error(reply, error);
        return;
    }
    if (!snapshot) {
        reply_buffer(reply, NULL, 0);
        return;
    }
    size_t length = snapshot->text.length;
    size_t start = (size_t)offset < length ? (size_t)offset : length;
    size_t count = length - start < size ? length - start : size;
    reply_buffer(reply, count ? snapshot->text.data + start : NULL, count);
    if (start + count == length)
        drop_snapshot(handle, snapshot);
    snapshot_put(snapshot);
}

/* What a transaction has to say; where that is nothing, the file's own text, rendered without any lock. */
static void read_answer(struct ipcfs *fs, fuse_req_t req, struct reply *reply, struct handle *handle,
                        size_t size)
{
    AUTO_TEXT out = {0};
    int error = 0;
    if (transaction_wants_text(handle->transaction)) {
        AUTO_TEXT text = {0};
        error = render(fs, req, handle, &text);
        if (!error)
            transaction_offer(handle->transaction, &text);
    }
    if (!error)
        error = transaction_take(handle->transaction, size, &out);
    if (error)
        reply_error(reply, error);
    else
        reply_buffer(reply, out.data, out.length);
}

void control_read(struct ipcfs *fs, fuse_req_t req, struct reply *reply, struct handle *handle, size_t size,
                  off_t offset)
{
    if (handle->transaction)
        read_answer(fs, req, reply, handle, size);
    else
        read_text(fs, req, reply, handle, size, offset);
}

/* ---- write ---- */

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
    return gone(error);
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
