/* SPDX-License-Identifier: MIT */
/*
 * The owners of fcntl(2) locks that were taken through the mount.
 *
 * The kernel names the owner of a lock by a number: a process (its table of descriptors) for F_SETLK, an open file
 * description for F_OFD_SETLK; it does not say which of the two. The daemon is one process to the native object, where it
 * could own a range but once. So every owner has an open file description of the object for himself, and his locks are
 * open file description locks of that: they exclude those of other owners and of native lockers, and native locks them.
 *
 * The kernel sends no unlock when a descriptor is closed. It sends FLUSH, with the process as owner, at every close(2) of
 * any descriptor: then all locks of that process on the object go, as they do natively. The lock of an open file
 * description goes with its last descriptor, which is RELEASE of the handle it came by. Both end with the process,
 * whatever killed it. A child has a table of descriptors of its own: its close(2) names another owner, who has nothing.
 *
 * A process that closes the descriptor while another of its threads waits for a lock by it would natively get EBADF, and
 * no lock. The kernel answers so here, too, but does not tell the daemon: the lock it got goes with RELEASE.
 *
 * What the owner holds is noted, to know when his file is not needed any more and to tell F_GETLK a process: to the
 * kernel all these locks belong to file descriptions, and have none. Locks are taken and noted in one step, under the
 * owner's lock, but for those that were waited for, which are noted a moment later. If he gave that range back in
 * between, from another thread, the note is of a lock that is not there; it never misses one that is.
 */
#ifndef IPCFS_FS_LOCKS_H
#define IPCFS_FS_LOCKS_H

#include "handle.h"
#include "ipcfs/backend.h"

#include <stdatomic.h>

struct lock_owner;

struct lock_table {
    struct lock lock; /* guards the table and what the owners hold */
    struct lock_owner *by_key;
    struct shares shares;
    atomic_int_fast64_t closing_until; /* fs/ops_lock.c; milliseconds, CLOCK_MONOTONIC */
};

/* Every owner costs a descriptor: other than root, a user may have `share_max` of them. 0 or −errno. */
int lock_table_init(struct lock_table *table, unsigned share_max);
/* Nobody uses an owner any more. */
void lock_table_destroy(struct lock_table *table);

/*
 * The owner of that number of locks on the handle's object, in use; made where there is none. −ENOLCK where user `uid` has
 * his share, −EOPNOTSUPP where the kind has no such locks. One that holds nothing ends when it is in use no more.
 */
int lock_owner_get(struct lock_table *table, struct handle *handle, uint64_t number, uid_t uid,
                   struct lock_owner **out);
/* The same, or NULL where there is none. */
struct lock_owner *lock_owner_find(struct lock_table *table, const struct handle *handle, uint64_t number);
void lock_owner_put(struct lock_table *table, struct lock_owner *owner);

/* A lock, change or unlock of the owner's, by way of that handle. `lock->range.l_pid` is the process. As try_lock() of the
 * backend, and with `wait->block` it waits. */
int lock_owner_set(struct lock_table *table, struct lock_owner *owner, struct handle *handle,
                   const struct ipcfs_lock *lock, struct ipcfs_wait *wait);
/* Whether he holds anything that overlaps the range. */
bool lock_owner_holds(struct lock_table *table, struct lock_owner *owner, const struct flock *range);

/* F_GETLK: `l_pid` of the answer is the process that holds it; 0 for a native lock of a file description. */
int lock_query(struct lock_table *table, const struct handle *handle, uint64_t number, struct flock *range);

/* FLUSH of a handle by an owner. Whether there are locks that came by this handle and are somebody else's. */
bool lock_table_flush(struct lock_table *table, const struct handle *handle, uint64_t number);
/* RELEASE of a handle. */
void lock_table_release(struct lock_table *table, struct handle *handle);

/* As handle_table_locks(), of the locks of fcntl(2): one of each owner who has any, with his process. */
size_t lock_table_locks(struct lock_table *table, struct lock_seen *out, size_t room);

size_t lock_owner_count(struct lock_table *table);

#endif
