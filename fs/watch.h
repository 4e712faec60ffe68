/* SPDX-License-Identifier: MIT */
/*
 * Watches: why the kernel may keep the attributes of a directory of objects.
 *
 * Every walk through shm/ asks for the directory's attributes, to check the right to search it; and they seldom change.
 * The kernel keeps them until the native directory changes (inotify, for shared memory), which the main thread sees
 * and passes on as an invalidation.
 *
 * A watch is either armed (the main thread polls it) or not. One event disarms it: the kernel then has no attributes,
 * so that further changes need not wake anybody. The next answer with attributes arms it again, in this order: drain
 * old events, arm, look at the directory, answer. A change after the drain makes an event, and the invalidation
 * overtakes no answer that lacks the change: the kernel drops an answer to a question asked before an invalidation
 * (attr_version in Linux fs/fuse/inode.c).
 *
 * Objects themselves have no watch, and no timeout.
 */
#ifndef IPCFS_FS_WATCH_H
#define IPCFS_FS_WATCH_H

#include "fuse_api.h"
#include "tree.h"

#include <poll.h>
#include <stdatomic.h>

struct watch {
    uint64_t id; /* of the tree's entry */
    int fd;
    atomic_bool armed;
};

struct watches {
    struct watch *all; /* fixed once made */
    size_t count;
    int rearmed_fd; /* eventfd: a watch was armed, the main thread has to poll it */
};

/* Watches what can be watched. 0 or −errno. */
int watches_init(struct watches *watches, const struct tree *tree);
void watches_destroy(struct watches *watches);

/* Arms the watch of a directory, before its attributes are looked at for an answer. False where it has none: the
 * answer must then have no timeout. */
bool watches_arm(struct watches *watches, uint64_t id);

/* For the main thread: how many descriptors there are, what to poll, and what to do with the outcome. */
size_t watches_poll_count(const struct watches *watches);
void watches_poll_fill(const struct watches *watches, struct pollfd *polled);
void watches_polled(struct watches *watches, struct fuse_session *session, const struct pollfd *polled);

#endif
