/* SPDX-License-Identifier: MIT */
/* Attributes: getattr, statx, setattr, readlink, statfs, and extended attributes (there are none). */
#include "ops.h"

#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

/* How much is in a queue is for those who may read it; and what is of a process, for those who may look into that. */
static bool is_told_by_rights(const struct target *target)
{
    if (target->entry)
        return false;
    const struct node_kin *kin = &target->use.kin;
    return node_is_of_process(kin->type) || (kin->type == NODE_OBJECT && kin->backend->messages);
}

static int stat_by_id(struct ipcfs *fs, fuse_req_t req, fuse_ino_t ino, struct statx *out, double *timeout)
{
    AUTO_TARGET target;
    int error = target_get(fs, ino, &target);
    if (error)
        return error;
    target_loosen(fs, ino, &target);
    AUTO_ACTING acting = {0};
    if (is_told_by_rights(&target))
        error = act_as_caller(&acting, req);
    return error ? error : target_stat(fs, &target, out, timeout);
}

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
    OP(getattr);
    (void)info; /* an open file's node has a hold, which finds the object as well as the handle would */
    struct statx shown;
    struct stat attr;
    double timeout = 0;
    int error = stat_by_id(fs, req, ino, &shown, &timeout);
    if (error) {
        reply_node_error(fs, &reply, error);
        return;
    }
    statx_to_stat(&shown, &attr);
    reply_attr(&reply, &attr, timeout);
}

#ifdef IPCFS_HAVE_STATX
/* The kernel asks with this for what stat(2) does not have: the birth time. */
void op_statx(fuse_req_t req, fuse_ino_t ino, int flags, int mask, struct fuse_file_info *info)
{
    OP(statx);
    (void)flags;
    (void)mask;
    (void)info;
    struct statx shown;
    double timeout = 0;
    int error = stat_by_id(fs, req, ino, &shown, &timeout);
    if (error)
        reply_node_error(fs, &reply, error);
    else
        reply_statx(&reply, &shown, timeout);
}
#endif

/* ---- setattr ---- */

static struct timespec new_time(int to_set, int set, int set_now, const struct timespec *time)
{
    if (to_set & set_now)
        return (struct timespec){.tv_nsec = UTIME_NOW};
    return to_set & set ? *time : (struct timespec){.tv_nsec = UTIME_OMIT};
}

static struct ipcfs_change to_change(const struct stat *attr, int to_set)
{
    struct ipcfs_change change = {
        .mask = (to_set & FUSE_SET_ATTR_MODE ? IPCFS_CHANGE_MODE : 0U) |
                (to_set & FUSE_SET_ATTR_UID ? IPCFS_CHANGE_UID : 0U) |
                (to_set & FUSE_SET_ATTR_GID ? IPCFS_CHANGE_GID : 0U) |
                (to_set & FUSE_SET_ATTR_SIZE ? IPCFS_CHANGE_SIZE : 0U),
        .mode = attr->st_mode,
        .uid = attr->st_uid,
        .gid = attr->st_gid,
        .size = attr->st_size,
        .times = {new_time(to_set, FUSE_SET_ATTR_ATIME, FUSE_SET_ATTR_ATIME_NOW, &attr->st_atim),
                  new_time(to_set, FUSE_SET_ATTR_MTIME, FUSE_SET_ATTR_MTIME_NOW, &attr->st_mtim)},
    };
    if (change.times[0].tv_nsec != UTIME_OMIT || change.times[1].tv_nsec != UTIME_OMIT)
        change.mask |= IPCFS_CHANGE_TIMES;
    return change;
}

/*
 * The kernel takes set-user-ID and set-group-ID bits off a file that somebody without CAP_FSETID writes to, and asks
 * for it by a SETATTR of the mode in that somebody's name (fuse_setattr(), Linux fs/fuse/dir.c). He need not be the
 * owner, so as him it fails with EPERM; an ordinary chmod by a stranger never comes this far. Clearing these bits and
 * changing nothing else is therefore done with the daemon's own right.
 */
static int clear_privilege_bits(const struct target *target, const struct ipcfs_change *change)
{
    const struct ipcfs_backend *backend = target->use.kin.backend;
    struct statx now;
    int error = backend->stat(&target->use.ref, &now);
    if (error)
        return error;
    mode_t old_mode = now.stx_mode & 07777;
    mode_t new_mode = change->mode & 07777;
    if (new_mode == old_mode)
        return 0;
    if (change->mask != IPCFS_CHANGE_MODE ||
        (old_mode & ~(mode_t)(S_ISUID | S_ISGID)) != (new_mode & ~(mode_t)(S_ISUID | S_ISGID)) ||
        (new_mode & ~old_mode))
        return -EPERM;
    return backend->change(&target->use.ref, NULL, change);
}

/*
 * What an open(2) with O_TRUNC sends after its OPEN. For a message queue it means nothing: a shell's `>` must not purge.
 * It is known by the node, which is open already, because truncate(2) has a fresh node of its own. What is written
 * to a control file is never kept there, so there it means nothing either. Nor for what has its size for good; there a
 * truncate(2) to 0 is taken for one while anybody has the object open, and changes nothing instead of failing.
 */
static bool is_open_truncate(const struct target *target, const struct ipcfs_file *file,
                             const struct ipcfs_change *change)
{
    if (file || change->mask != IPCFS_CHANGE_SIZE || change->size != 0)
        return false;
    bool object = !target->entry && target->use.kin.type == NODE_OBJECT;
    bool fixed = object && target->use.kin.backend->fixed_size;
    return (fixed || target_has_open_size(target)) && (!object || node_is_open(&target->use));
}

static int change_object(struct ipcfs *fs, fuse_req_t req, struct target *target, struct ipcfs_file *file,
                         const struct ipcfs_change *change)
{
    if (is_open_truncate(target, file, change))
        return 0;
    if (target->entry || !node_is_object(target->use.kin.type))
        return -EPERM;
    if (!change->mask)
        return 0;
    int error = hold_node(&target->use); /* so that it is still found when it has been changed */
    AUTO_ACTING acting = {0};
    if (!error)
        error = act_as_caller(&acting, req);
    if (error)
        return error;
    const struct ipcfs_ref *ref = &target->use.ref;
    struct caller caller = caller_of(req);
    events_note(fs->events, target->use.kin.backend, ref->directory, ref->name, &caller);
    error = target->use.kin.backend->change(ref, file, change);
    acting_end(&acting);
    if (error == -EPERM && change->mask & IPCFS_CHANGE_MODE)
        error = clear_privilege_bits(target, change);
    return error;
}

/* With a handle the change came by a descriptor, and is made through the descriptor that was opened for it. */
static int change_by_handle(struct ipcfs *fs, fuse_req_t req, struct target *target, uint64_t handle_id,
                            const struct ipcfs_change *change)
{
    struct handle *handle = handle_get(&fs->handles, handle_id);
    if (!handle)
        return -EBADF;
    bool same = handle->node.node == target->use.node; /* its file is of this very object */
    int error = same ? change_object(fs, req, target, handle->file, change) : -EBADF;
    handle_put(&fs->handles, handle);
    return error;
}

void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *info)
{
    OP(setattr);
    AUTO_TARGET target;
    struct ipcfs_change change = to_change(attr, to_set);
    int error = target_get(fs, ino, &target);
    if (!error)
        error = info ? change_by_handle(fs, req, &target, info->fh, &change)
                     : change_object(fs, req, &target, NULL, &change);
    struct statx shown;
    double timeout = 0;
    if (!error)
        error = target_stat(fs, &target, &shown, &timeout);
    if (error) {
        reply_node_error(fs, &reply, error);
        return;
    }
    struct stat result;
    statx_to_stat(&shown, &result);
    if (target_has_open_size(&target))
        result.st_size = target.entry ? OPEN_SIZE : open_size(&target.use.kin);
    reply_attr(&reply, &result, timeout);
}

/* ---- the rest ---- */

static int read_link(fuse_req_t req, const struct target *target, char *out, size_t room)
{
    if (target->entry)
        return target->entry->self ? read_self(req, out, room) : -EINVAL;
    if (!node_is_control_file(target->use.kin.type))
        return -EINVAL;
    const struct ipcfs_verb *verb = control_verb_of(&target->use.kin);
    return verb->type == IPCFS_VERB_LINK ? verb->link(&target->use.ref, out, room) : -EINVAL;
}

void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
    OP(readlink);
    AUTO_TARGET target;
    char link_target[PATH_MAX];
    int error = target_get(fs, ino, &target);
    if (!error && is_process(&target, NODE_PROCESS_LINK)) {
        read_process_link(fs, &target, &reply);
        return;
    }
    if (!error)
        error = read_link(req, &target, link_target, sizeof link_target);
    if (error)
        reply_error(&reply, error);
    else
        reply_readlink(&reply, link_target);
}

void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
    OP(statfs);
    AUTO_TARGET target;
    struct statvfs system = {.f_bsize = 4096, .f_frsize = 4096, .f_namemax = NAME_MAX};
    int error = target_get(fs, ino, &target);
    if (!error && target.entry && target.entry->objects)
        error = target.entry->objects->stat_system(&system);
    else if (!error && !target.entry && node_is_object(target.use.kin.type))
        error = target.use.kin.backend->stat_system(&system);
    if (error)
        reply_error(&reply, error);
    else
        reply_statfs(&reply, &system);
}

/*
 * ENOSYS is remembered by the kernel, for all files: the caller sees EOPNOTSUPP and the daemon is not asked again.
 * That matters for getxattr, which the kernel would otherwise ask for "security.capability" before every write.
 */
void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    OP(getxattr);
    (void)ino;
    (void)name;
    (void)size;
    reply_not_offered(&reply);
}

void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
    OP(listxattr);
    (void)ino;
    (void)size;
    reply_not_offered(&reply);
}

void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags)
{
    OP(setxattr);
    (void)ino;
    (void)name;
    (void)value;
    (void)size;
    (void)flags;
    reply_not_offered(&reply);
}

void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
    OP(removexattr);
    (void)ino;
    (void)name;
    reply_not_offered(&reply);
}
