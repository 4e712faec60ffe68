/* SPDX-License-Identifier: MIT */
#include "target.h"

#include "control.h"

#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

int target_get(struct ipcfs *fs, uint64_t id, struct target *target)
{
    target->use.node = NULL;
    target->entry = tree_by_id(&fs->tree, id);
    return target->entry ? 0 : node_use(&fs->nodes, id, &target->use);
}

void target_put(struct target *target)
{
    node_unuse(&target->use);
}

/* Programs that copy take pieces of st_blksize: the larger, the more lines or messages a request carries. */
enum { OWN_BLOCK_SIZE = 4096, STREAM_BLOCK_SIZE = 64 * 1024 };

static uint32_t block_size(const struct ipcfs_verb *verb)
{
    bool stream = verb->type == IPCFS_VERB_FILE || verb->type == IPCFS_VERB_CONNECTION;
    return stream ? STREAM_BLOCK_SIZE : OWN_BLOCK_SIZE;
}

void object_attributes(const struct ipcfs_backend *backend, const struct ipcfs_found *found,
                       struct statx *out)
{
    *out = found->stat;
    /* What stat() says by now, and not what it was when it was found: a System V segment gets its number with its size. */
    out->stx_ino = object_inode(backend, ipcfs_stat_number(&found->stat));
}

/*
 * What everything that is the tree's own has in common: root's, from the time of the mount. The link count of 1 says of
 * a directory that its subdirectories are not counted (as btrfs and overlayfs do).
 */
static void own_attributes(const struct ipcfs *fs, struct statx *out)
{
    *out = (struct statx){
        .stx_mask = STATX_BASIC_STATS,
        .stx_nlink = 1,
        .stx_blksize = OWN_BLOCK_SIZE,
        .stx_atime = fs->started,
        .stx_mtime = fs->started,
        .stx_ctime = fs->started,
    };
}

void control_attributes(const struct ipcfs *fs, const struct node_kin *kin, struct statx *out)
{
    own_attributes(fs, out);
    if (kin->type == NODE_CTL_DIR) {
        out->stx_ino = control_inode(kin->backend, kin->object.number);
        out->stx_mode = S_IFDIR | 0555;
        return;
    }
    const struct ipcfs_verb *verb = control_verb_of(kin);
    out->stx_ino = part_inode(kin);
    if (kin->type == NODE_CTL_NUMBERS) {
        out->stx_mode = S_IFDIR | 0555;
        return;
    }
    out->stx_blksize = block_size(verb);
    out->stx_mode = (uint16_t)((verb->type == IPCFS_VERB_LINK ? S_IFLNK : S_IFREG) | verb->mode);
}

/* Of a verb's permission bits those that the object grants, class by class. */
static mode_t granted(const struct ipcfs_verb *verb, mode_t object)
{
    mode_t mode = 0;
    for (unsigned shift = 0; shift <= 6; shift += 3) {
        if (!(verb->read_needs & ~(object >> shift)))
            mode |= 04U << shift;
        if (!(verb->write_needs & ~(object >> shift)))
            mode |= 02U << shift;
    }
    return mode & verb->mode;
}

void part_attributes(const struct ipcfs *fs, const struct node_kin *kin, const struct statx *object,
                     struct statx *out)
{
    own_attributes(fs, out);
    out->stx_ino = part_inode(kin);
    out->stx_uid = object->stx_uid;
    out->stx_gid = object->stx_gid;
    if (kin->type == NODE_MEMBER) {
        out->stx_mode = object->stx_mode;
        return;
    }
    const struct ipcfs_verb *verb = control_verb_of(kin);
    bool is_link = verb->type == IPCFS_VERB_LINK;
    out->stx_blksize = block_size(verb);
    out->stx_mode = (uint16_t)(is_link ? S_IFLNK | verb->mode : S_IFREG | granted(verb, object->stx_mode));
}

void process_attributes(const struct ipcfs *fs, const struct node_kin *kin, const char *name,
                        const struct process_identity *identity, struct statx *out)
{
    own_attributes(fs, out);
    out->stx_uid = identity->uid;
    out->stx_gid = identity->gid;
    if (kin->type == NODE_PROCESS) {
        out->stx_ino = process_inode(identity->pid);
        out->stx_mode = S_IFDIR | 0555;
        return;
    }
    out->stx_ino = process_link_inode(identity->pid, name);
    out->stx_mode = S_IFLNK | 0777;
    out->stx_size = (uint64_t)kin->number;
}

static bool same_directory(const struct ipcfs_directory *a, const struct ipcfs_directory *b)
{
    return a->uid == b->uid && a->gid == b->gid && a->sticky == b->sticky;
}

int directory_look(struct ipcfs *fs, const struct tree_entry *entry, struct ipcfs_directory *out)
{
    int error = entry->lister_of->stat_directory(entry->naming, out);
    if (error || !entry->objects)
        return error;
    lock_take(&fs->told_lock);
    struct ipcfs_directory *told = &fs->told[entry->id - 1];
    bool changed = !same_directory(told, out);
    *told = *out;
    lock_release(&fs->told_lock);
    if (changed)
        (void)fuse_lowlevel_notify_inval_inode(fs->session, entry->id, -1, 0);
    return 0;
}

static int entry_stat(struct ipcfs *fs, const struct tree_entry *entry, struct statx *out)
{
    own_attributes(fs, out);
    out->stx_ino = entry_inode(entry);
    out->stx_mode = (uint16_t)(tree_type(entry) | (entry->directory ? 0555
                                                   : entry->self    ? 0777
                                                                    : entry->file->mode));
    if (!entry->objects)
        return 0;
    struct ipcfs_directory native;
    int error = directory_look(fs, entry, &native);
    if (error)
        return error;
    out->stx_mode = S_IFDIR | 0777 | (native.sticky ? S_ISVTX : 0);
    out->stx_uid = native.uid;
    out->stx_gid = native.gid;
    return 0;
}

static int process_stat(const struct ipcfs *fs, const struct node_use *use, struct statx *out)
{
    struct process_identity identity;
    int error = process_find(use->kin.object, &identity);
    if (!error)
        process_attributes(fs, &use->kin, use->name, &identity, out);
    return error;
}

static int log_stat(struct ipcfs *fs, const struct node_kin *kin, struct statx *out)
{
    int error = entry_stat(fs, tree_by_id(&fs->tree, (uint64_t)kin->number), out);
    if (!error)
        events_stat(fs->events, kin->object.number, out);
    return error;
}

int target_stat(struct ipcfs *fs, const struct target *target, struct statx *out, double *timeout)
{
    *timeout = target_has_open_size(target) ? TIMEOUT_OBJECT : TIMEOUT_FIXED;
    if (target->entry)
        return entry_stat(fs, target->entry, out);
    const struct node_kin *kin = &target->use.kin;
    if (node_is_of_process(kin->type)) {
        *timeout = TIMEOUT_OBJECT;
        return process_stat(fs, &target->use, out);
    }
    if (kin->type == NODE_CTL_EVENTS) {
        *timeout = TIMEOUT_OBJECT;
        return log_stat(fs, kin, out);
    }
    bool part = node_is_part(kin->type);
    if (!part && !node_is_object(kin->type)) {
        control_attributes(fs, kin, out);
        return 0;
    }
    *timeout = TIMEOUT_OBJECT;
    struct ipcfs_found found = {.id = kin->object};
    int error = kin->backend->stat(&target->use.ref, &found.stat);
    if (error == -ESTALE && node_noted(&target->use, &found.stat))
        error = 0;
    if (error)
        return error;
    if (part)
        part_attributes(fs, kin, &found.stat, out);
    else
        object_attributes(kin->backend, &found, out);
    unsigned look = target_is_verb(target, IPCFS_VERB_CONNECTION) ? node_stream_look(&target->use) : 0;
    if (look)
        out->stx_ino = look_inode(kin, look);
    return 0;
}

static bool is_verb(const struct node_kin *kin, enum ipcfs_verb_type type)
{
    return node_is_control_file(kin->type) && control_verb_of(kin)->type == type;
}

bool target_is_verb(const struct target *target, enum ipcfs_verb_type type)
{
    return !target->entry && is_verb(&target->use.kin, type);
}

off_t open_size(const struct node_kin *kin)
{
    return is_verb(kin, IPCFS_VERB_CONNECTION) ? CONNECTION_OPEN_SIZE : OPEN_SIZE;
}

bool target_has_open_size(const struct target *target)
{
    if (target->entry)
        return target->entry->file && target->entry->file->write;
    return target->use.kin.fresh && target->use.kin.type != NODE_CTL_EVENTS;
}

void target_loosen(struct ipcfs *fs, uint64_t id, const struct target *target)
{
    if (target_has_open_size(target))
        (void)fuse_lowlevel_notify_inval_inode(fs->session, id, -1, 0);
}

static struct timespec to_timespec(const struct statx_timestamp *time)
{
    return (struct timespec){.tv_sec = time->tv_sec, .tv_nsec = time->tv_nsec};
}

void statx_to_stat(const struct statx *from, struct stat *to)
{
    *to = (struct stat){
        .st_ino = from->stx_ino,
        .st_mode = from->stx_mode,
        .st_nlink = from->stx_nlink,
        .st_uid = from->stx_uid,
        .st_gid = from->stx_gid,
        .st_rdev = makedev(from->stx_rdev_major, from->stx_rdev_minor),
        .st_size = (off_t)from->stx_size,
        .st_blksize = (blksize_t)from->stx_blksize,
        .st_blocks = (blkcnt_t)from->stx_blocks,
        .st_atim = to_timespec(&from->stx_atime),
        .st_mtim = to_timespec(&from->stx_mtime),
        .st_ctim = to_timespec(&from->stx_ctime),
    };
}
