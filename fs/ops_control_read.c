/* SPDX-License-Identifier: MIT */
/*
 * Control files, read.
 *
 * A control file is rendered at every read from its start, so that a program that keeps it open and reads again sees
 * the present; reads further on continue the same text, so that it is of one piece however small the reads.
 *
 * Those that look at all processes or all objects are rendered by a job (fs/slow.h).
 */
#include "ops.h"

#include "control.h"
#include "inspect.h"
#include "ipcfs/cleanup.h"
#include "slow.h"

#include <errno.h>

/* ---- rendering ---- */

static uint64_t inode_of(const struct handle *handle)
{
    return handle->entry ? entry_inode(handle->entry) : part_inode(&handle->node.kin);
}

static bool is_slow(const struct handle *handle)
{
    return handle->entry ? handle->entry->file->slow : control_verb_is_slow(&handle->node.kin);
}

/* The calling thread has the caller's identity. */
static int render(struct ipcfs *fs, const struct caller *caller, const struct handle *handle,
                  struct text *text)
{
    const struct tree_entry *entry = handle->entry;
    int error = 0;
    if (!entry)
        error = control_verb_read(fs, caller, &handle->node.kin, &handle->node.ref, text);
    else if (entry->file->render)
        error = entry->file->render(fs, entry->kind, caller, text);
    return error ? control_gone(error) : text_error(text);
}

static int render_now(struct ipcfs *fs, fuse_req_t req, const struct handle *handle, struct text *text)
{
    const struct caller caller = caller_of(req);
    AUTO_ACTING acting = {0};
    int error = act_as_caller(&acting, req);
    return error ? error : render(fs, &caller, handle, text);
}

/* ---- answering ---- */

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

static void answer_snapshot(struct reply *reply, struct handle *handle, const struct snapshot *snapshot,
                            size_t size, off_t offset)
{
    size_t length = snapshot->text.length;
    size_t start = (size_t)offset < length ? (size_t)offset : length;
    size_t count = length - start < size ? length - start : size;
    reply_buffer(reply, count ? snapshot->text.data + start : NULL, count);
    if (start + count == length)
        drop_snapshot(handle, snapshot);
}

/* Makes the text the handle's, for reads further on; *out is the caller's, too. */
static int keep_snapshot(struct handle *handle, struct text *text, struct snapshot **out)
{
    int error = snapshot_new(text, out);
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

/* What a transaction has to say. */
static void answer_transaction(struct reply *reply, struct handle *handle, size_t size)
{
    AUTO_TEXT out = {0};
    int error = transaction_take(handle->transaction, size, &out);
    if (error)
        reply_error(reply, error);
    else
        reply_buffer(reply, out.data, out.length);
}

/* The file's own text, which it takes over. */
static void answer_text(struct reply *reply, struct handle *handle, struct text *text, size_t size,
                        off_t offset)
{
    if (handle->transaction) {
        transaction_offer(handle->transaction, text);
        answer_transaction(reply, handle, size);
        return;
    }
    struct snapshot *snapshot = NULL;
    int error = keep_snapshot(handle, text, &snapshot);
    if (error) {
        reply_error(reply, error);
        return;
    }
    answer_snapshot(reply, handle, snapshot, size, offset);
    snapshot_put(snapshot);
}

/* ---- by a job ---- */

struct slow_read {
    struct slow slow;      /* first */
    struct handle *handle; /* counted */
    size_t size;
    off_t offset;
    struct text text;
};

static int work(struct slow *slow)
{
    struct slow_read *reading = (struct slow_read *)slow;
    inspect_begin(slow->fs, &slow->caller, (struct ipcfs_objid){0}, inode_of(reading->handle));
    int error = render(slow->fs, &slow->caller, reading->handle, &reading->text);
    inspect_end(slow->fs, &slow->caller);
    return error;
}

static void answer(struct slow *slow, struct reply *reply, int result)
{
    struct slow_read *reading = (struct slow_read *)slow;
    if (result)
        reply_error(reply, result);
    else
        answer_text(reply, reading->handle, &reading->text, reading->size, reading->offset);
}

static void free_read(struct slow *slow)
{
    struct slow_read *reading = (struct slow_read *)slow;
    text_reset(&reading->text);
    handle_put(&slow->fs->handles, reading->handle);
    free(reading);
}

static const struct slow_ops slow_ops = {.work = work, .answer = answer, .free = free_read};

static void read_slowly(struct ipcfs *fs, fuse_req_t req, struct reply *reply, struct handle *handle,
                        size_t size, off_t offset)
{
    struct slow_read *reading = calloc(1, sizeof *reading);
    if (!reading) {
        reply_error(reply, -ENOMEM);
        return;
    }
    *reading = (struct slow_read){.slow.ops = &slow_ops, .handle = handle, .size = size, .offset = offset};
    handle_use(&fs->handles, handle);
    slow_run(&reading->slow, fs, req, reply);
}

/* ---- read ---- */

/* The text that reads at `offset` continue, in use; NULL where it is to be rendered anew. `*end`: they are behind it. */
static struct snapshot *kept_text(struct handle *handle, off_t offset, bool *end)
{
    *end = false;
    if (offset <= 0)
        return NULL;
    lock_take(&handle->lock);
    struct snapshot *text = handle->text ? snapshot_get(handle->text) : NULL;
    *end = !text && handle->text_end && (size_t)offset >= handle->text_end;
    lock_release(&handle->lock);
    return text;
}

/* Answers from what there is already. False where there is nothing. */
static bool read_kept(struct reply *reply, struct handle *handle, size_t size, off_t offset)
{
    if (handle->transaction) {
        if (transaction_wants_text(handle->transaction))
            return false;
        answer_transaction(reply, handle, size);
        return true;
    }
    bool end = false;
    struct snapshot *text = kept_text(handle, offset, &end);
    if (text)
        answer_snapshot(reply, handle, text, size, offset);
    else if (end)
        reply_buffer(reply, NULL, 0);
    snapshot_put(text);
    return text || end;
}

void control_read(struct ipcfs *fs, fuse_req_t req, struct reply *reply, struct handle *handle, size_t size,
                  off_t offset)
{
    if (read_kept(reply, handle, size, offset))
        return;
    if (is_slow(handle)) {
        read_slowly(fs, req, reply, handle, size, offset);
        return;
    }
    AUTO_TEXT text = {0};
    int error = render_now(fs, req, handle, &text);
    if (error)
        reply_error(reply, error);
    else
        answer_text(reply, handle, &text, size, offset);
}
