/* SPDX-License-Identifier: MIT */
/*
 * proc/: a directory for each process that the caller may look into, and in it a link to each object that it uses.
 *
 * Which processes there are, and which one it is, is asked in the thread that answers (fs/processes.h). What one uses takes
 * longer, up to half a second where it does not answer (backends/inspect/process.h): a job finds it (fs/slow.h).
 */
#include "ops.h"

#include "inspect.h"
#include "ipcfs/cleanup.h"
#include "slow.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- processes ---- */

int lookup_process(struct ipcfs *fs, fuse_req_t req, const char *name, struct fuse_entry_param *entry)
{
    pid_t pid = 0;
    struct process_identity identity;
    AUTO_ACTING acting = {0};
    int error = process_parse(name, &pid) ? act_as_caller(&acting, req) : -ENOENT;
    if (!error)
        error = process_identify(pid, &identity);
    if (error)
        return error;
    const struct node_kin kin = {.type = NODE_PROCESS,
                                 .object = {.number = (uint64_t)pid, .birth = identity.start}};
    return make_process_entry(fs, &kin, "", &identity, entry);
}

int read_self(fuse_req_t req, char *out, size_t room)
{
    pid_t pid = 0;
    int error = process_of_thread(caller_of(req).pid, &pid);
    if (!error)
        (void)snprintf(out, room, "%d", pid);
    return error;
}

/* ---- links ---- */

/* A request that has to look at what a process uses. */
struct look {
    struct slow slow;      /* first */
    struct target target;  /* LOOKUP: the directory; READLINK: the link */
    struct handle *handle; /* READDIR; counted */
    size_t size;
    off_t offset;
    char name[NAME_MAX + 1]; /* LOOKUP */
    /* What work() found. */
    struct process_identity identity;
    struct process_links links;
};

static int check(const struct process *process, const struct node_kin *kin)
{
    if (!process || process->start != kin->object.birth)
        return -ENOENT;
    if (process->stuck)
        return -ETIMEDOUT;
    return process->readable ? 0 : -ENOENT;
}

/* What the process of the node uses now, as far as the caller may see it. −ENOENT where it is no more. */
static int work(struct slow *slow)
{
    struct look *look = (struct look *)slow;
    const struct node_kin *kin = look->handle ? &look->handle->node.kin : &look->target.use.kin;
    struct inspection *inspection = NULL;
    int error = process_find(kin, &look->identity);
    if (!error)
        error = inspect_process(slow->fs, look->identity.pid, &inspection);
    if (error)
        return error == -ESRCH ? -ENOENT : error;
    const struct process *process = inspection_process(inspection, look->identity.pid);
    error = check(process, kin);
    if (!error)
        error = process_links_make(inspection, process, &look->links);
    inspection_free(inspection);
    return error;
}

static int make_link_entry(const struct look *look, struct fuse_entry_param *entry)
{
    const struct process_link *link = process_links_find(&look->links, look->name);
    if (!link)
        return -ENOENT;
    struct node_kin kin = look->target.use.kin;
    kin.type = NODE_PROCESS_LINK;
    kin.number = (int64_t)strlen(link->target);
    return make_process_entry(look->slow.fs, &kin, look->name, &look->identity, entry);
}

static void answer_lookup(struct slow *slow, struct reply *reply, int result)
{
    struct fuse_entry_param entry;
    int error = result ? result : make_link_entry((struct look *)slow, &entry);
    if (error)
        reply_error(reply, error);
    else if (reply_entry(reply, &entry))
        node_forget(&slow->fs->nodes, entry.ino, 1);
}

static void answer_readlink(struct slow *slow, struct reply *reply, int result)
{
    const struct look *look = (struct look *)slow;
    const struct process_link *link = NULL;
    if (!result)
        link = process_links_find(&look->links, look->target.use.name);
    if (link)
        reply_readlink(reply, link->target);
    else
        reply_error(reply, result ? result : -ENOENT);
}

static void answer_readdir(struct slow *slow, struct reply *reply, int result)
{
    struct look *look = (struct look *)slow;
    struct handle *handle = look->handle;
    if (result) {
        reply_error(reply, result);
        return;
    }
    lock_take(&handle->lock);
    struct process_links old = handle->links;
    handle->links = look->links;
    handle->has_links = true;
    lock_release(&handle->lock);
    look->links = old;
    directory_read(slow->fs, reply->request, reply, handle, look->size, look->offset);
}

static void free_look(struct slow *slow)
{
    struct look *look = (struct look *)slow;
    if (look->handle)
        handle_put(&slow->fs->handles, look->handle);
    target_put(&look->target);
    process_links_reset(&look->links);
    free(look);
}

static const struct slow_ops lookup_ops = {.work = work, .answer = answer_lookup, .free = free_look};
static const struct slow_ops readlink_ops = {.work = work, .answer = answer_readlink, .free = free_look};
static const struct slow_ops readdir_ops = {.work = work, .answer = answer_readdir, .free = free_look};

/* NULL, answered, when out of memory. */
static struct look *look_new(const struct slow_ops *ops, struct reply *reply)
{
    struct look *look = calloc(1, sizeof *look);
    if (look)
        look->slow.ops = ops;
    else
        reply_error(reply, -ENOMEM);
    return look;
}

static void move_target(struct target *from, struct target *to)
{
    to->entry = from->entry;
    node_use_move(&from->use, &to->use);
}

bool is_process(const struct target *target, enum node_type type)
{
    return !target->entry && target->use.kin.type == type;
}

void lookup_process_link(struct ipcfs *fs, fuse_req_t req, struct target *directory, const char *name,
                         struct reply *reply)
{
    size_t length = strlen(name);
    if (length > NAME_MAX) {
        reply_error(reply, -ENAMETOOLONG);
        return;
    }
    struct look *look = look_new(&lookup_ops, reply);
    if (!look)
        return;
    move_target(directory, &look->target);
    memcpy(look->name, name, length + 1);
    slow_run(&look->slow, fs, req, reply);
}

void read_process_link(struct ipcfs *fs, fuse_req_t req, struct target *link, struct reply *reply)
{
    struct look *look = look_new(&readlink_ops, reply);
    if (!look)
        return;
    move_target(link, &look->target);
    slow_run(&look->slow, fs, req, reply);
}

bool is_unread_process(struct handle *handle, off_t offset)
{
    if (handle->entry || handle->node.kin.type != NODE_PROCESS)
        return false;
    lock_take(&handle->lock);
    bool unread = offset == 0 || !handle->has_links;
    lock_release(&handle->lock);
    return unread;
}

void list_process_links(struct ipcfs *fs, fuse_req_t req, struct handle *handle, size_t size, off_t offset,
                        struct reply *reply)
{
    struct look *look = look_new(&readdir_ops, reply);
    if (!look)
        return;
    handle_use(&fs->handles, handle);
    look->handle = handle;
    look->size = size;
    look->offset = offset;
    slow_run(&look->slow, fs, req, reply);
}
