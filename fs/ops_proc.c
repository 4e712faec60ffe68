/* SPDX-License-Identifier: MIT */
/*
 * proc/: a directory for each process that the caller may look into, and in it a link to each object that it uses.
 *
 * Which processes there are, and which one it is, is answered at once (fs/processes.h). What one uses takes longer, up
 * to half a second where the process does not answer: a job finds it (fs/slow.h). Meanwhile the kernel may have its directory locked, but
 * never proc/ itself. Who walks through many links is shown one look at the process for a while (fs/inspect.h).
 */
#include "ops.h"

#include "inspect.h"
#include "ipcfs/cleanup.h"
#include "ipcfs/lack.h"
#include "slow.h"
#include "thread_process.h"

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
                                 .object = {.number = (uint64_t)pid, .birth = identity.birth}};
    return make_process_entry(fs, &kin, "", &identity, entry);
}

int read_self(fuse_req_t req, char *out, size_t room)
{
    pid_t pid = thread_process(caller_of(req).pid);
    if (!pid)
        return lack_or(-errno, -ENOENT);
    (void)snprintf(out, room, "%d", pid);
    return 0;
}

bool is_process(const struct target *target, enum node_type type)
{
    return !target->entry && target->use.kin.type == type;
}

/* ---- what one uses ---- */

/* A request that needs a look at a process. */
struct asking {
    struct slow slow; /* first */
    void (*answer)(struct asking *asking, struct reply *reply);
    struct process_identity process;
    struct inspected *look; /* counted; NULL until then */
    struct node_use node;   /* LOOKUP: the directory; READLINK: the link */
    struct handle *handle;  /* READDIR; counted */
    size_t size;
    off_t offset;
    char name[NAME_MAX + 1]; /* LOOKUP, READLINK: of the link */
};

static struct ipcfs_objid object_of(const struct asking *asking)
{
    return (struct ipcfs_objid){.number = (uint64_t)asking->process.pid, .birth = asking->process.birth};
}

static int work(struct slow *slow)
{
    struct asking *asking = (struct asking *)slow;
    int error = inspect_process(slow->fs, &slow->caller, object_of(asking), &asking->look);
    inspect_end(slow->fs, &slow->caller);
    return error;
}

static void answer(struct slow *slow, struct reply *reply, int result)
{
    struct asking *asking = (struct asking *)slow;
    if (result)
        reply_error(reply, result);
    else
        asking->answer(asking, reply);
}

static void release(struct slow *slow)
{
    struct asking *asking = (struct asking *)slow;
    inspected_put(&asking->look);
    node_unuse(&asking->node);
    if (asking->handle)
        handle_put(&slow->fs->handles, asking->handle);
    free(asking);
}

static const struct slow_ops asking_ops = {.work = work, .answer = answer, .free = release, .firm = true};

static int find_process(fuse_req_t req, const struct node_kin *kin, struct process_identity *out)
{
    AUTO_ACTING acting = {0};
    int error = act_as_caller(&acting, req);
    return error ? error : process_find(kin->object, out);
}

/* NULL, and answered, where the process is gone or there is no memory. */
static struct asking *asking_new(struct ipcfs *fs, const struct node_kin *kin, struct reply *reply)
{
    AUTO_FREE struct asking *asking = calloc(1, sizeof *asking);
    int error = asking ? find_process(reply->request, kin, &asking->process) : -ENOMEM;
    if (error) {
        reply_error(reply, error);
        return NULL;
    }
    asking->slow.ops = &asking_ops;
    asking->slow.fs = fs;
    return TAKE_PTR(asking);
}

/* NULL for the directory, and where it is not there. */
static const struct process_link *find_link(const struct asking *asking)
{
    return process_links_find(inspected_links(asking->look), asking->name);
}

/* The look that one who walks is shown, counted; NULL: a new one. What is not in it may have come since, and who asks for that
 * has not been told of it by his walk. */
static struct inspected *kept_look(struct asking *asking, const struct caller *caller)
{
    struct ipcfs *fs = asking->slow.fs;
    asking->look = inspect_process_kept(fs, caller, object_of(asking));
    if (asking->look && *asking->name && !find_link(asking)) {
        inspected_put(&asking->look);
        inspect_forget(fs, caller);
    }
    return asking->look;
}

/* Answers now or later. `number` is what the request reads, for those who walk. */
static void ask(struct asking *asking, uint64_t number, struct reply *reply)
{
    struct ipcfs *fs = asking->slow.fs;
    const struct caller caller = caller_of(reply->request);
    inspect_begin(fs, &caller, object_of(asking), number);
    if (!kept_look(asking, &caller)) {
        slow_run(&asking->slow, fs, reply->request, reply);
        return;
    }
    inspect_end(fs, &caller);
    asking->answer(asking, reply);
    release(&asking->slow);
}

/* ---- links ---- */

static void answer_lookup(struct asking *asking, struct reply *reply)
{
    struct fuse_entry_param entry;
    struct ipcfs *fs = asking->slow.fs;
    const struct process_link *link = find_link(asking);
    struct node_kin kin = asking->node.kin;
    kin.type = NODE_PROCESS_LINK;
    kin.number = link ? (int64_t)strlen(link->target) : 0;
    int error = link ? make_process_entry(fs, &kin, link->name, &asking->process, &entry) : -ENOENT;
    if (error)
        reply_error(reply, error);
    else if (reply_entry(reply, &entry))
        node_forget(&fs->nodes, entry.ino, 1);
}

static void answer_readlink(struct asking *asking, struct reply *reply)
{
    const struct process_link *link = find_link(asking);
    if (link)
        reply_readlink(reply, link->target);
    else
        reply_error(reply, -ENOENT);
}

/* Looking a link up and reading it are two things that a walk does once each. */
static uint64_t read_number(uint64_t lookup_number)
{
    return ~lookup_number;
}

void lookup_process_link(struct ipcfs *fs, struct target *directory, const char *name, struct reply *reply)
{
    size_t length = strlen(name);
    if (length > NAME_MAX) {
        reply_error(reply, -ENAMETOOLONG);
        return;
    }
    struct asking *asking = asking_new(fs, &directory->use.kin, reply);
    if (!asking)
        return;
    asking->answer = answer_lookup;
    node_use_move(&directory->use, &asking->node);
    memcpy(asking->name, name, length + 1);
    ask(asking, process_link_inode(asking->process.pid, name), reply);
}

void read_process_link(struct ipcfs *fs, struct target *link, struct reply *reply)
{
    struct asking *asking = asking_new(fs, &link->use.kin, reply);
    if (!asking)
        return;
    asking->answer = answer_readlink;
    node_use_move(&link->use, &asking->node);
    memcpy(asking->name, asking->node.name, sizeof asking->name);
    ask(asking, read_number(process_link_inode(asking->process.pid, asking->name)), reply);
}

/* ---- listing ---- */

bool is_unread_process(struct handle *handle, off_t offset)
{
    if (handle->entry || handle->node.kin.type != NODE_PROCESS)
        return false;
    lock_take(&handle->lock);
    bool unread = offset == 0 || !handle->look;
    lock_release(&handle->lock);
    return unread;
}

static void answer_readdir(struct asking *asking, struct reply *reply)
{
    struct handle *handle = asking->handle;
    lock_take(&handle->lock);
    struct inspected *old = handle->look;
    handle->look = TAKE_PTR(asking->look);
    lock_release(&handle->lock);
    inspected_put(&old);
    directory_read(asking->slow.fs, reply, handle, asking->size, asking->offset);
}

void list_process_links(struct ipcfs *fs, struct handle *handle, size_t size, off_t offset,
                        struct reply *reply)
{
    struct asking *asking = asking_new(fs, &handle->node.kin, reply);
    if (!asking)
        return;
    asking->answer = answer_readdir;
    handle_use(&fs->handles, handle);
    asking->handle = handle;
    asking->size = size;
    asking->offset = offset;
    ask(asking, process_inode(asking->process.pid), reply);
}
