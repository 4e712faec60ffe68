/* SPDX-License-Identifier: MIT */
/*
 * The node table: what a FUSE node id stands for.
 *
 * A node id is a number from a counter, never a pointer and never used twice, so that a wrong or late id is answered
 * with ESTALE and another process can resolve it. The fixed entries of the tree (fs/tree.h) have the first ids and no
 * node. Everything else is found by its key: what kind of node, of which object and, for all but files that are objects,
 * by which name.
 *
 *   NODE_OBJECT     an object that is a file (shm/NAME). One node for all names of one object, because the kernel must see
 *                   one inode: passthrough allows one backing file per inode. The name is only where it was last seen.
 *   NODE_OBJECT_DIR an object that is a directory (sem/NAME/). The name is part of the key: a directory must not have two
 *                   paths, or the kernel moves it from one to the other (d_splice_alias(), Linux fs/dcache.c).
 *   NODE_OBJECT_FILE a file in it.
 *   NODE_MEMBER     a member of it, a directory (sysv/sem/by-id/ID/0/).
 *   NODE_MEMBER_FILE a file in that.
 *   NODE_CTL_DIR    ctl/<path of an object>/. What is read there is of whatever bears the name at that time.
 *   NODE_CTL_NUMBERS a directory in it, of files with numbers for names (ctl/mq/NAME/prio/).
 *   NODE_CTL_FILE   a file in either.
 *   NODE_PROCESS    proc/PID/. Of no kind: its object is the process, by its pid and its birth (fs/processes.h).
 *   NODE_PROCESS_LINK a symbolic link in it, by its name and the length of its target, which is `number`.
 *   NODE_CTL_EVENTS an open file of ctl/ that is a log for each who opens it (fs/events.h). Its number is that of the entry of
 *                   the tree; it has no kind, and instead of an object's the number of the lookup that made it.
 *
 * What may have to wait is *fresh*: it has a node for every lookup, found by nobody else. A write(2) that waits keeps the
 * kernel's lock of the inode; with one inode for a name, a second writer or an rm(1) of that name would wait for the
 * lock, and no signal would end it. The inode number shown is the object's all the same.
 *
 * A node lives while the kernel knows it (lookup count) or an operation or handle uses it.
 *
 * The table is in shards, each with its lock, so that requests for different objects do not wait for each other. The key
 * tells the shard of a node, and so does its id, modulo NODE_SHARDS.
 */
#ifndef IPCFS_FS_NODE_H
#define IPCFS_FS_NODE_H

#include "ipcfs/backend.h"

#include "lock.h"

#include <limits.h>

enum node_type {
    NODE_OBJECT,
    NODE_OBJECT_DIR,
    NODE_OBJECT_FILE,
    NODE_MEMBER,
    NODE_MEMBER_FILE,
    NODE_CTL_DIR,
    NODE_CTL_NUMBERS,
    NODE_CTL_FILE,
    NODE_PROCESS,
    NODE_PROCESS_LINK,
    NODE_CTL_EVENTS,
};

struct node;
struct stream;

enum { NODE_SHARDS = 16 };

struct node_shard {
    struct lock lock; /* guards everything reachable from here but a node's `kin` */
    struct node *by_id;
    struct node *by_key;
    uint64_t next_id;
};

struct node_table {
    struct node_shard shards[NODE_SHARDS];
};

/* What a node is, fixed for its life. */
struct node_kin {
    enum node_type type;
    const struct ipcfs_backend *backend; /* NULL: it is of proc/ */
    unsigned directory;                  /* naming directory it was found in first */
    unsigned verb; /* of files and NODE_CTL_NUMBERS: index among the control files of their place */
    bool fresh;    /* every lookup makes a new one */
    /* Of a file in a NODE_CTL_NUMBERS; of a member, and what is in it; of a link in proc/. Otherwise 0. */
    int64_t number;
    struct ipcfs_objid object;
};

static inline bool node_is_object(enum node_type type)
{
    return type == NODE_OBJECT || type == NODE_OBJECT_DIR;
}

/* What is in an object. */
static inline bool node_is_part(enum node_type type)
{
    return type == NODE_OBJECT_FILE || type == NODE_MEMBER || type == NODE_MEMBER_FILE;
}

/* A control file, wherever it is. */
static inline bool node_is_control_file(enum node_type type)
{
    return type == NODE_CTL_FILE || type == NODE_OBJECT_FILE || type == NODE_MEMBER_FILE;
}

static inline bool node_is_directory(enum node_type type)
{
    return type != NODE_OBJECT && type != NODE_CTL_EVENTS && type != NODE_PROCESS_LINK &&
           !node_is_control_file(type);
}

/* What is in proc/. */
static inline bool node_is_of_process(enum node_type type)
{
    return type == NODE_PROCESS || type == NODE_PROCESS_LINK;
}

/* A node in use by an operation: it stays, and so does its hold. `ref` is a private copy. */
struct node_use {
    struct node_shard *shard;
    struct node *node; /* NULL: nothing to give back */
    bool opened;       /* it is an open file */
    struct node_kin kin;
    struct ipcfs_ref ref;
    char name[NAME_MAX + 1];
};

/* All ids are `first_id` or above. 0 or −errno. */
int node_table_init(struct node_table *table, uint64_t first_id);
/* Frees all nodes; nothing may use them. */
void node_table_destroy(struct node_table *table);

/*
 * Finds the node of that description, or makes it, and counts one lookup by the kernel. `name` is where the object was
 * seen. 0 or −ENOMEM.
 */
int node_lookup(struct node_table *table, const struct node_kin *kin, const char *name, uint64_t *id);
/* Takes `count` lookups off; more than there were is logged and taken as all. Unknown ids are ignored. */
void node_forget(struct node_table *table, uint64_t id, uint64_t count);
/* Where an object was renamed: its node, if it has one, learns the name. */
void node_renamed(struct node_table *table, const struct node_kin *kin, unsigned directory, const char *name);

/*
 * What is opened, or connected to, without the daemon has no hold: it is reached by name only. For those who still ask when
 * that is removed, or means another, its node, if it has one, keeps the attributes that it had. Without memory it does not.
 */
void node_note(struct node_table *table, const struct node_kin *kin, const struct statx *stat);
/* Whether there is something noted of the node; it is then in `out`. */
bool node_noted(const struct node_use *use, struct statx *out);

/* Takes a node into use. −ESTALE for an id that stands for nothing. */
int node_use(struct node_table *table, uint64_t id, struct node_use *use);
/* Makes the use count as an open file, until it is given back; and whether there is one of the node. */
void node_opened(struct node_use *use);
bool node_is_open(const struct node_use *use);
/* Gives it back; harmless on an empty use. */
void node_unuse(struct node_use *use);
/* Hands a use over: `from` is empty afterwards. */
void node_use_move(struct node_use *from, struct node_use *to);
#define AUTO_NODE_USE __attribute__((cleanup(node_unuse))) struct node_use

/*
 * Gives the node a hold, owned by the node from now on, for as long as it is in use. If another thread was first, the
 * one given is released and `use->ref` has the other.
 */
void node_set_hold(struct node_use *use, struct ipcfs_hold *hold);

/*
 * The backing id of a node (fs/passthrough.h): one for all its open files, counted.
 *
 * node_backing_get: the id with one more user, or 0 where it has none yet. node_backing_set: sets it, with one user;
 * where another thread was first, returns that one's id and the caller must give up its own. node_backing_put: one
 * user less; returns the id when that was the last, for the caller to close, otherwise 0.
 */
int32_t node_backing_get(const struct node_use *use);
int32_t node_backing_set(const struct node_use *use, int32_t backing_id);
int32_t node_backing_put(const struct node_use *use);

/*
 * The stream of a node (fs/stream.h): one for all its open files, which it counts: each, and those of each direction
 * (STREAM_READS, STREAM_WRITES).
 *
 * node_stream_get: the stream with one more, or NULL where there is none yet. node_stream_set: sets it, with one; where
 * another thread was first, returns that one's, with one more, and the caller must give up its own. node_stream_leave:
 * one less in these directions; returns those of them that nobody has any more, while others have the stream.
 * node_stream_put, after it: one less at all; true when that was the last: then the node has none, and the caller ends it.
 */
struct stream *node_stream_get(const struct node_use *use, unsigned directions);
struct stream *node_stream_set(const struct node_use *use, struct stream *stream, unsigned directions);
/* How many looks there have been at the node while it has a stream, with this one; 0: it has none. */
unsigned node_stream_look(const struct node_use *use);
unsigned node_stream_leave(const struct node_use *use, unsigned directions);
bool node_stream_put(const struct node_use *use);

size_t node_count(struct node_table *table);

#endif
