/* SPDX-License-Identifier: MIT */
/*
 * Control files, read.
 *
 * A control file is rendered at every read from its start, so that a program that keeps it open and reads again sees
 * the present; reads further on continue the same text, so that it is of one piece however small the reads.
 *
 * Those that look at all processes or all objects take up to tenths of seconds, and are rendered by a job (fs/jobs.h). Its
 * request waits in the wait engine, as every request that waits, in a line of its own, for that text to be there.
 *
 * Who wins. The reader and the job share a rendering, which each of the two may leave first, and which the last of them
 * frees. All that the job does with the reader is to set `done` under the line's lock, and to say that it did (wait_told()).
 *
 * Rendered or interrupted. Whoever takes the reader out of his line decides, and fs/wait.c says how: attempt() finds `done`,
 * then the text is the answer; or the interrupt, the limit on waits or the end of the daemon comes before, then
 * that is, and at once, because the job is not in it: the engine's thread answers.
 *
 * Interrupted while the job is in the queue: the reader, as it leaves, takes it back, and nothing is rendered.
 * Interrupted while it runs: it goes on to its end with what it needs, the handle, the identity and the line, all of them
 * counted or its own, and then frees a text that nobody wants.
 *
 * Rendered before the reader is in the line: then there is nobody to tell, but wait_park() makes an attempt of its own.
 *
 * Whose rights. The caller's groups are those of his thread, which may be gone when the job begins; so his identity is put
 * on and copied while the request is in hand, and the job puts on the copy.
 */
#include "ops.h"

#include "control.h"
#include "inspect.h"
#include "ipcfs/cleanup.h"
#include "ipcfs/identity.h"
#include "park.h"

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

struct rendering {
    struct job job; /* first */
    atomic_uint
        users; /* the reader, and the job from when it is submitted until it has run or is taken back */
    struct ipcfs *fs;
    struct handle *handle; /* counted */
    struct caller caller;
    struct ipcfs_identity *identity; /* owned */
    struct wait_line *line;          /* counted: that of the reader */
    bool done; /* the line's lock; what follows is the job's before, and the reader's after it */
    int error;
    struct text text;
};

struct slow_read {
    struct parked parked; /* first */
    struct rendering *rendering;
    size_t size;
    off_t offset;
};

static void rendering_put(struct rendering *rendering)
{
    if (atomic_fetch_sub(&rendering->users, 1) > 1)
        return;
    text_reset(&rendering->text);
    identity_free(rendering->identity);
    if (rendering->line)
        wait_line_put(rendering->line);
    handle_put(&rendering->fs->handles, rendering->handle);
    free(rendering);
}

static int render_as(struct rendering *rendering)
{
    AUTO_IDENTITY acting = {0};
    int error = identity_put_on(&acting, rendering->identity);
    if (error)
        return error;
    inspect_begin(rendering->fs, &rendering->caller, inode_of(rendering->handle));
    error = render(rendering->fs, &rendering->caller, rendering->handle, &rendering->text);
    inspect_end(rendering->fs, &rendering->caller);
    return error;
}

static void run(struct job *job)
{
    struct rendering *rendering = (struct rendering *)job;
    rendering->error = render_as(rendering);
    wait_line_lock(rendering->line);
    rendering->done = true;
    wait_line_unlock(rendering->line);
    wait_told(rendering->line);
    rendering_put(rendering);
}

static ssize_t attempt(struct waiter *waiter, struct ipcfs_wait *wait)
{
    const struct rendering *rendering = ((struct slow_read *)waiter)->rendering;
    if (rendering->done)
        return rendering->error;
    wait->source = IPCFS_WAIT_TOLD;
    return -EAGAIN;
}

static void finish(struct waiter *waiter, ssize_t result)
{
    struct slow_read *reading = (struct slow_read *)waiter;
    struct rendering *rendering = reading->rendering;
    struct reply *reply = &reading->parked.reply;
    park_end(&reading->parked);
    if (jobs_cancel(rendering->fs->jobs, &rendering->job))
        rendering_put(rendering);
    if (result < 0)
        reply_error(reply, (int)result);
    else
        answer_text(reply, rendering->handle, &rendering->text, reading->size, reading->offset);
    rendering_put(rendering);
    free(reading);
}

static const struct waiter_ops slow_ops = {.attempt = attempt, .finish = finish};

static int identity_of_caller(fuse_req_t req, struct ipcfs_identity **out)
{
    AUTO_ACTING acting = {0};
    int error = act_as_caller(&acting, req);
    return error ? error : identity_of_thread(out);
}

/* Sets up what the job needs. On error the rendering is to be put all the same. */
static int prepare(struct rendering *rendering, fuse_req_t req)
{
    static atomic_uint_fast64_t lines;
    const struct wait_key key = {.lane = atomic_fetch_add(&lines, 1)}; /* of no kind: a line of its own */
    int error = identity_of_caller(req, &rendering->identity);
    return error ? error : wait_line_get(rendering->fs->waits, &key, &rendering->line);
}

static struct rendering *rendering_new(struct ipcfs *fs, fuse_req_t req, struct handle *handle)
{
    struct rendering *rendering = calloc(1, sizeof *rendering);
    if (!rendering)
        return NULL;
    atomic_init(&rendering->users, 1);
    rendering->fs = fs;
    rendering->caller = caller_of(req);
    rendering->job = (struct job){.run = run, .uid = rendering->caller.uid};
    rendering->handle = handle;
    handle_use(&fs->handles, handle);
    return rendering;
}

static int submit(struct rendering *rendering)
{
    atomic_fetch_add(&rendering->users, 1);
    int error = jobs_submit(rendering->fs->jobs, &rendering->job);
    if (error)
        rendering_put(rendering);
    return error;
}

/* Answers the request later, or refuses it now. */
static void read_slowly(struct ipcfs *fs, fuse_req_t req, struct reply *reply, struct handle *handle,
                        size_t size, off_t offset)
{
    struct slow_read *reading = calloc(1, sizeof *reading);
    struct rendering *rendering = reading ? rendering_new(fs, req, handle) : NULL;
    int error = rendering ? prepare(rendering, req) : -ENOMEM;
    if (!error)
        error = submit(rendering);
    if (error) {
        reply_error(reply, error);
        if (rendering)
            rendering_put(rendering);
        free(reading);
        return;
    }
    reading->parked.waiter = (struct waiter){.ops = &slow_ops, .owner = handle, .uid = rendering->caller.uid};
    reading->rendering = rendering;
    reading->size = size;
    reading->offset = offset;
    park(&reading->parked, rendering->line, reply);
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
