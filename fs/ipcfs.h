/* SPDX-License-Identifier: MIT */
/* The daemon's state: one per mount, made by fs/main.c, and the userdata of the FUSE session. */
#ifndef IPCFS_FS_IPCFS_H
#define IPCFS_FS_IPCFS_H

#include "events.h"
#include "fuse_api.h"
#include "handle.h"
#include "jobs.h"
#include "last_error.h"
#include "locks.h"
#include "metrics.h"
#include "node.h"
#include "passthrough.h"
#include "pins.h"
#include "tree.h"
#include "wait.h"

#include <stdatomic.h>

struct ipcfs {
    struct tree tree; /* fixed once built */
    struct node_table nodes;
    struct handle_table handles;
    struct lock_table locks;
    struct pins pins;
    struct wait_engine *waits;
    struct events *events; /* owned */
    bool waits_ended;
    struct jobs *jobs; /* renderings of control files that take long */
    struct walks *walks;
    struct metrics metrics;
    struct last_errors last_errors;
    struct lock told_lock;
    struct ipcfs_directory
        *told; /* told_lock; per entry of the tree: what the kernel knows of a naming directory */

    /* Set before the workers start, then fixed. */
    struct fuse_session *session;
    char *mountpoint;               /* owned: absolute path; NULL: not mounted yet */
    dev_t device;                   /* of the mount: what stat(2) says of all that is in it; 0 before */
    struct statx_timestamp started; /* the times of the tree's own entries */
    enum passthrough_mode passthrough_wanted;
    bool passthrough;
    char passthrough_reason[128]; /* a phrase: why it is on or off */
    char left_out[256]; /* the kinds that could not start, each with the reason; empty where all could */
    unsigned protocol_major;
    unsigned protocol_minor;
    size_t request_max;               /* bytes that a READ or WRITE carries at most */
    unsigned default_request_timeout; /* seconds, 0: none; fs.fuse.* of sysctl */
    unsigned max_request_timeout;
    unsigned threads_wanted;
    unsigned poll_percent; /* of one CPU, that the workers may spend in polling the device */

    atomic_uint threads; /* that answer requests now */
};

/* A request carries the largest size there is, or up to a page less: by how the pages of the caller's buffer lie. */
enum { REQUEST_SLACK = 4096 };

/*
 * Whether a READ of this size may be a piece of a larger read(2). The kernel goes on with the next piece as long as each
 * comes back full: where that would have to wait though something has been read, this one must come back short.
 */
static inline bool ipcfs_is_piece(const struct ipcfs *fs, size_t size)
{
    return size > 1 && size >= fs->request_max - REQUEST_SLACK;
}

/* Makes the tables and the tree of all kinds that can start. 0 or −errno, and then nothing is left of them. */
int ipcfs_init(struct ipcfs *fs);
/* Answers every request that waits. When no other is in work any more, and while the session still exists. False where
 * a job goes on all the same, and still uses `fs`. */
bool ipcfs_end_waits(struct ipcfs *fs);
void ipcfs_destroy(struct ipcfs *fs);

#endif
