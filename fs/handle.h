/* SPDX-License-Identifier: MIT */
/*
 * The handle table: what a FUSE file handle stands for. As with nodes, a handle is named by a number from a counter,
 * never by a pointer; an unknown one is answered with EBADF. The table is in shards, each with its lock, so that requests
 * by different handles do not wait for each other; the id, modulo HANDLE_SHARDS, tells the shard.
 */
#ifndef IPCFS_FS_HANDLE_H
#define IPCFS_FS_HANDLE_H

#include "events.h"
#include "hash.h"
#include "message.h"
#include "node.h"
#include "inspect.h"
#include "share.h"
#include "snapshot.h"
#include "stream.h"
#include "transaction.h"
#include "tree.h"

#include <stdatomic.h>

enum handle_type {
    HANDLE_FILE,      /* an object's open file */
    HANDLE_CONTROL,   /* a control file: its text */
    HANDLE_HOLD,      /* what its file has locked is held until it is closed */
    HANDLE_STREAM,    /* a connection */
    HANDLE_EVENTS,    /* ctl/events */
    HANDLE_DIRECTORY, /* an open directory */
};

struct handle {
    uint64_t id;
    enum handle_type type;
    unsigned users;       /* handle_shard.lock; the table is one */
    struct node_use node; /* empty for an entry of the tree */
    const struct tree_entry *entry;
    int32_t backing_id; /* HANDLE_FILE: 0, or the id that this handle is a user of */
    struct ipcfs_file *file;
    struct messages *messages;       /* of a file of messages; otherwise NULL */
    struct stream_use *stream_use;   /* HANDLE_STREAM; owned. The file is the stream's */
    struct event_use *events;        /* HANDLE_EVENTS; owned */
    struct transaction *transaction; /* HANDLE_CONTROL opened for writing; owned */
    uid_t uid;                       /* who opened it: his share of the table is counted */
    struct lock_owner *lock_owners;  /* struct lock_table: who last locked by this handle */
    bool lock_owners_gone;           /* struct lock_table: it is released */
    atomic_bool flocked;             /* somebody may have a lock of flock(2) by it */
    atomic_int flocker;              /* the thread that took it; 0: out of sight */
    struct lock lock;                /* guards what follows */
    struct snapshot
        *text;       /* HANDLE_CONTROL: what the last read at offset 0 rendered; NULL when read to its end */
    size_t text_end; /* HANDLE_CONTROL: its length, also then */
    struct ipcfs_lister *lister; /* HANDLE_DIRECTORY of objects; NULL until the first entry is wanted */
    uint64_t position;           /* in the lister: of the entry that comes next */
    struct ipcfs_entry pending;  /* the entry that comes next, where it has been taken already */
    bool has_pending;
    struct inspected *look; /* HANDLE_DIRECTORY of a process: the links that are listed; NULL until then */
    UT_hash_handle hh;
};

enum { HANDLE_SHARDS = 16 };

struct handle_shard {
    struct lock lock; /* guards the shard and `users` */
    struct handle *by_id;
};

struct handle_table {
    struct handle_shard shards[HANDLE_SHARDS];
    _Atomic uint64_t next_id;
    struct lock shares_lock;
    struct shares shares; /* shares_lock; root has no share, and does not take it */
};

/*
 * A handle costs descriptors, so one user must not have them all: other than root, each may have `share_max` handles.
 */
int handle_table_init(struct handle_table *table, unsigned share_max);
/* Closes what is left open. */
void handle_table_destroy(struct handle_table *table);

/*
 * A handle that user `uid` opens, in no table yet; NULL when out of memory. Ended by handle_free(), or handed to
 * handle_add().
 */
struct handle *handle_new(enum handle_type type, uid_t uid);
/* Closes the file, gives back node and memory. The backing id must have been given back. */
void handle_free(struct handle *handle);

/*
 * Puts the handle into the table, which owns it from now on, and gives it its id. −ENFILE where its user has his share
 * already, or −ENOMEM; it is then still the caller's.
 */
int handle_add(struct handle_table *table, struct handle *handle);
/* Takes a handle into use; NULL for an unknown id. */
struct handle *handle_get(struct handle_table *table, uint64_t id);
/* Once more, by who uses it already. */
void handle_use(struct handle_table *table, struct handle *handle);
void handle_put(struct handle_table *table, struct handle *handle);
/* Takes the handle out of the table; the caller still uses it, and handle_put() ends it. NULL for an unknown id. */
struct handle *handle_remove(struct handle_table *table, uint64_t id);

/* A lock that somebody has through the mount. */
struct lock_seen {
    const struct ipcfs_backend *kind;
    uint64_t number; /* the object's */
    pid_t pid;       /* as the kernel told it with the request; 0: out of sight */
};
/* Copies those that there are by flock(2), each with the thread that took it, as many as there is room for; gives how many
 * there are. */
size_t handle_table_locks(struct handle_table *table, struct lock_seen *out, size_t room);

size_t handle_count(struct handle_table *table);

#endif
