/* SPDX-License-Identifier: MIT */
#include "target.h"

#include "control.h"

#include <errno.h>
#include <stdatomic.h>
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

/*
 * Inode numbers: 8 bits what it is, 8 bits of which kind, 48 bits the object's own number. So they are the same at
 * every look, known without a node (readdir), and different for all that is shown at one time, but that two names of
 * one object have control directories with the same numbers. An object of the first
 * kind, POSIX shared memory, has the very number that its tmpfs file has.
 */
enum {
    INODE_OBJECT = 0,
    INODE_CONTROL = 1,
    INODE_VERB = 2,           /* and the verb's index: in ctl/ */
    INODE_OBJECT_VERB = 0x60, /* the same in an object */
    INODE_MEMBER = 0x80,      /* a member of an object */
    INODE_MEMBER_VERB = 0x81, /* and the verb's index: in that */
    INODE_LOOK = 0xFE,        /* a look at a connection */
    INODE_FIXED = 0xFF,
};

/* The bits of an object's number (struct ipcfs_objid). */
static const uint64_t OBJECT_NUMBER = (UINT64_C(1) << 48) - 1;

static uint64_t kind_number(const struct ipcfs_backend *backend)
{
    uint64_t number = 0;
    while (ipcfs_backends[number] && ipcfs_backends[number] != backend)
        number++;
    return number;
}

static uint64_t inode(uint64_t what, const struct ipcfs_backend *backend, uint64_t number)
{
    return what << 56 | kind_number(backend) << 48 | number;
}

uint64_t entry_inode(const struct tree_entry *entry)
{
    return (uint64_t)INODE_FIXED << 56 | entry->id;
}

uint64_t object_inode(const struct ipcfs_backend *backend, uint64_t number)
{
    return inode(INODE_OBJECT, backend, number);
}

uint64_t control_inode(const struct ipcfs_backend *backend, uint64_t number)
{
    return inode(INODE_CONTROL, backend, number);
}

/* Numbers are many and shown nowhere together: scattered, but for the bits that say what it is, so that no two that are
 * near each other collide. */
static uint64_t number_inode(uint64_t all, int64_t number)
{
    uint64_t scattered = (2 * (uint64_t)number + 1) * UINT64_C(0x9E3779B97F4A7C15) >> 16;
    return all ^ (scattered & ((UINT64_C(1) << 48) - 1));
}

uint64_t part_inode(const struct node_kin *kin)
{
    uint64_t object = kin->object.number;
    switch (kin->type) {
    case NODE_OBJECT_FILE:
        return inode(INODE_OBJECT_VERB + kin->verb, kin->backend, object);
    case NODE_MEMBER:
        return number_inode(inode(INODE_MEMBER, kin->backend, object), kin->number);
    case NODE_MEMBER_FILE:
        return number_inode(inode(INODE_MEMBER_VERB + kin->verb, kin->backend, object), kin->number);
    default:
        break;
    }
    uint64_t number = inode(INODE_VERB + kin->verb, kin->backend, object);
    return kin->type == NODE_CTL_FILE && control_verb_of(kin)->numbered ? number_inode(number, kin->number)
                                                                        : number;
}

/*
 * A regular file that is both what a program reads and what it writes would grow for ever, so cat(1) and grep(1) refuse
 * to begin: they know it by the inode number. A connection is both in the simplest of servers (cat <&3 >&3), and is a
 * regular file, because of nothing else would open(2) come here. So while it is open, every look shows another number.
 */
static uint64_t look_inode(void)
{
    static atomic_uint_fast64_t looks;
    return (uint64_t)INODE_LOOK << 56 | (atomic_fetch_add(&looks, 1) & OBJECT_NUMBER);
}

void object_attributes(const struct ipcfs_backend *backend, const struct ipcfs_found *found,
                       struct statx *out)
{
    *out = found->stat;
    /* What stat() says by now, and not what it was when it was found: a System V segment gets its number with its size. */
    out->stx_ino = object_inode(backend, found->stat.stx_ino & OBJECT_NUMBER);
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
    out->stx_mode = entry->directory ? S_IFDIR | 0555 : (uint16_t)(S_IFREG | entry->file->mode);
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

int target_stat(struct ipcfs *fs, const struct target *target, struct statx *out, double *timeout)
{
    *timeout = target_has_open_size(target) ? TIMEOUT_OBJECT : TIMEOUT_FIXED;
    if (target->entry)
        return entry_stat(fs, target->entry, out);
    const struct node_kin *kin = &target->use.kin;
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
    if (target_is_verb(target, IPCFS_VERB_CONNECTION) && node_has_stream(&target->use))
        out->stx_ino = look_inode();
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
    return target->use.kin.fresh;
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
