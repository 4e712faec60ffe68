/* SPDX-License-Identifier: MIT */
/*
 * proc/: a directory for each process that the caller may look into, and in it a link to each object that it uses.
 *
 * Which processes there are, and which one it is, is asked in the thread that answers (fs/processes.h). What one uses takes
 * longer, up to half a second where it does not answer (backends/inspect/process.h).
 */
#include "ops.h"

#include "inspect.h"
#include "ipcfs/cleanup.h"

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
struct work {
    void (*answer)(struct work *work);
    struct ipcfs *fs;
    fuse_req_t req;
    struct reply reply;
    struct target target;  /* LOOKUP: the directory; READLINK: the link */
    struct handle *handle; /* READDIR */
    size_t size;
    off_t offset;
    char name[NAME_MAX + 1]; /* LOOKUP */
};

static int check(const struct process *process, const struct node_kin *kin)
{
    if (!process || process->start != kin->object.birth)
        return -ENOENT;
    if (process->stuck)
        return -ETIMEDOUT;
    return process->readable ? 0 : -ENOENT;
}

/* What the process of a node uses now, as far as the caller may see it. −ENOENT where it is no more. */
static int look(const struct work *work, const struct node_kin *kin, struct process_links *out)
{
    AUTO_ACTING acting = {0};
    struct process_identity identity;
    struct inspection *inspection = NULL;
    int error = act_as_caller(&acting, work->req);
    if (!error)
        error = process_find(kin, &identity);
    if (!error)
        error = inspect_process(work->fs, identity.pid, &inspection);
    if (error)
        return error == -ESRCH ? -ENOENT : error;
    const struct process *process = inspection_process(inspection, identity.pid);
    error = check(process, kin);
    if (!error)
        error = process_links_make(inspection, process, out);
    inspection_free(inspection);
    return error;
}

static int find_link(const struct work *work, const char *name, struct process_links *links,
                     const struct process_link **out)
{
    int error = look(work, &work->target.use.kin, links);
    if (error)
        return error;
    *out = process_links_find(links, name);
    return *out ? 0 : -ENOENT;
}

static int make_link_entry(const struct work *work, struct fuse_entry_param *entry)
{
    AUTO_PROCESS_LINKS links = {0};
    const struct process_link *link = NULL;
    struct process_identity identity;
    struct node_kin kin = work->target.use.kin;
    int error = find_link(work, work->name, &links, &link);
    if (!error)
        error = process_find(&kin, &identity);
    if (error)
        return error;
    kin.type = NODE_PROCESS_LINK;
    kin.number = (int64_t)strlen(link->target);
    return make_process_entry(work->fs, &kin, work->name, &identity, entry);
}

static void answer_lookup(struct work *work)
{
    struct fuse_entry_param entry;
    int error = make_link_entry(work, &entry);
    if (error)
        reply_error(&work->reply, error);
    else if (reply_entry(&work->reply, &entry))
        node_forget(&work->fs->nodes, entry.ino, 1);
}

static void answer_readlink(struct work *work)
{
    AUTO_PROCESS_LINKS links = {0};
    const struct process_link *link = NULL;
    int error = find_link(work, work->target.use.name, &links, &link);
    if (error)
        reply_error(&work->reply, error);
    else
        reply_readlink(&work->reply, link->target);
}

static void answer_readdir(struct work *work)
{
    struct process_links links = {0};
    struct handle *handle = work->handle;
    int error = look(work, &handle->node.kin, &links);
    if (error) {
        reply_error(&work->reply, error);
        return;
    }
    lock_take(&handle->lock);
    struct process_links old = handle->links;
    handle->links = links;
    handle->has_links = true;
    lock_release(&handle->lock);
    process_links_reset(&old);
    directory_read(work->fs, work->req, &work->reply, handle, work->size, work->offset);
}

static void run(struct work *work)
{
    work->answer(work);
    if (work->handle)
        handle_put(&work->fs->handles, work->handle);
    target_put(&work->target);
    reply_end(&work->reply);
    free(work);
}

/* NULL, answered, when out of memory. */
static struct work *work_new(struct ipcfs *fs, fuse_req_t req, void (*answer)(struct work *work),
                             struct reply *reply)
{
    struct work *work = calloc(1, sizeof *work);
    if (!work) {
        reply_error(reply, -ENOMEM);
        return NULL;
    }
    work->answer = answer;
    work->fs = fs;
    work->req = req;
    reply_move(reply, &work->reply);
    return work;
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
    if (strlen(name) > NAME_MAX) {
        reply_error(reply, -ENAMETOOLONG);
        return;
    }
    struct work *work = work_new(fs, req, answer_lookup, reply);
    if (!work)
        return;
    move_target(directory, &work->target);
    (void)strcpy(work->name, name);
    run(work);
}

void read_process_link(struct ipcfs *fs, fuse_req_t req, struct target *link, struct reply *reply)
{
    struct work *work = work_new(fs, req, answer_readlink, reply);
    if (!work)
        return;
    move_target(link, &work->target);
    run(work);
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
    struct work *work = work_new(fs, req, answer_readdir, reply);
    if (!work)
        return;
    handle_use(&fs->handles, handle);
    work->handle = handle;
    work->size = size;
    work->offset = offset;
    run(work);
}
