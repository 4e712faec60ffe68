/* SPDX-License-Identifier: MIT */
/*
 * Locks: flock(2) and fcntl(2).
 *
 * A lock of flock(2) belongs to an open file description, and so does it natively: it is taken on the handle's own
 * descriptor, and goes with it. A lock of fcntl(2) belongs to an owner (fs/locks.h).
 *
 * One that has to be waited for is tried first, whoever waits already: natively nobody queues for a lock that is free for
 * him. Then it is parked. Who waits for the same lock on the same range waits in one line, for one native call after
 * another. That is right for those who hold nothing there: what is in the way of the first is in the way of them all. Who
 * holds a part of what he waits for, to change it, may himself be what is in the way of the first; so he has a line
 * of his own. (A change of flock(2) gives the old lock up first.)
 *
 * close(2) does not wait for RELEASE, with which the locks of an open file description go. So a program may close one
 * descriptor, lock by another, and be told of its own lock that somebody has it. Therefore a lock that will not wait is
 * tried again for a moment, where a descriptor with such locks was closed a moment ago. A native locker is not so helped.
 */
#include "ops.h"

#include "ipcfs/monotonic.h"
#include "park.h"

#include <errno.h>
#include <sys/file.h>
#include <time.h>

/* How long after a FLUSH its RELEASE is reckoned with, and the pauses between attempts meanwhile. */
enum { CLOSING_MS = 20 };
static const long closing_pauses_us[] = {50, 100, 200, 400, 800, 1600};

struct locker {
    struct parked parked; /* first; once it waits */
    struct ipcfs *fs;
    struct handle *handle;    /* in use */
    struct lock_owner *owner; /* in use; NULL: flock(2), it is the handle's own */
    struct ipcfs_lock lock;
};

static int try_lock(struct locker *locker, struct ipcfs_wait *wait)
{
    if (locker->owner)
        return lock_owner_set(&locker->fs->locks, locker->owner, locker->handle, &locker->lock, wait);
    struct handle *handle = locker->handle;
    int error = handle->node.kin.backend->try_lock(handle->file, &locker->lock, wait);
    if (!error) {
        atomic_store(&handle->flocker, locker->lock.range.l_pid);
        atomic_store(&handle->flocked, locker->lock.range.l_type != F_UNLCK);
    }
    return error;
}

static int try_while_closing(struct locker *locker)
{
    int error = -EAGAIN;
    for (size_t i = 0; error == -EAGAIN && i < sizeof closing_pauses_us / sizeof *closing_pauses_us; i++) {
        if (monotonic_ms() > atomic_load(&locker->fs->locks.closing_until))
            break;
        struct timespec pause = {.tv_nsec = closing_pauses_us[i] * 1000};
        (void)nanosleep(&pause, NULL);
        struct ipcfs_wait wait = {0};
        error = try_lock(locker, &wait);
    }
    return error;
}

static void let_go(struct locker *locker)
{
    if (locker->owner)
        lock_owner_put(&locker->fs->locks, locker->owner);
    handle_put(&locker->fs->handles, locker->handle);
}

/* ---- waiting ---- */

static struct locker *locker_of(struct waiter *waiter)
{
    return (struct locker *)waiter;
}

static ssize_t attempt(struct waiter *waiter, struct ipcfs_wait *wait)
{
    return try_lock(locker_of(waiter), wait);
}

static void finish(struct waiter *waiter, ssize_t result)
{
    struct locker *locker = locker_of(waiter);
    park_end(&locker->parked);
    /* To a caller without a signal the kernel would hand EINTR on as an errno that no program knows. */
    if (result == -EINTR && !fuse_req_interrupted(locker->parked.reply.request))
        result = -ENOLCK;
    let_go(locker);
    reply_error(&locker->parked.reply, (int)result);
    free(locker);
}

static const struct waiter_ops locker_ops = {
    .attempt = attempt,
    .block = park_block,
    .deliver = park_deliver,
    .finish = finish,
};

static uint64_t lane_of(const struct locker *locker, uint64_t owner_number)
{
    const struct flock *range = &locker->lock.range;
    if (locker->lock.whole)
        return (uint64_t)range->l_type;
    bool changes = lock_owner_holds(&locker->fs->locks, locker->owner, range);
    uint64_t owner = changes ? owner_number : 0;
    uint64_t type = (uint64_t)range->l_type + 2 * (uint64_t)changes + 16;
    uint64_t start = (uint64_t)range->l_start;
    uint64_t length = (uint64_t)range->l_len;
    const uint64_t one_way[] = {type, start, length, owner};
    const uint64_t other_way[] = {owner, length, type, start};
    return (uint64_t)hash_bytes(one_way, sizeof one_way) << 32 | hash_bytes(other_way, sizeof other_way);
}

/* Takes over what the locker has in use, and the reply; on error both are still the caller's. */
static int wait_for(const struct locker *locker, uint64_t owner_number, struct reply *reply)
{
    const struct node_kin *kin = &locker->handle->node.kin;
    struct wait_key key = {
        .kind = kin->backend, .object = kin->object, .lane = lane_of(locker, owner_number)};
    struct wait_line *line = NULL;
    struct locker *waiting = malloc(sizeof *waiting);
    if (!waiting || wait_line_get(locker->fs->waits, &key, &line)) {
        free(waiting);
        return -ENOLCK;
    }
    *waiting = *locker;
    waiting->parked.waiter =
        (struct waiter){.ops = &locker_ops,
                        .about = park_about(locker->handle, locker->owner ? "lock" : "flock",
                                            locker->lock.range.l_type == F_WRLCK),
                        .owner = locker->handle,
                        .uid = locker->handle->uid};
    park(&waiting->parked, line, reply);
    wait_line_put(line);
    return 0;
}

/* Takes over what the locker has in use. */
static void lock_or_wait(struct locker *locker, uint64_t owner_number, struct reply *reply, bool sleep)
{
    struct ipcfs_wait wait = {0};
    int error = try_lock(locker, &wait);
    if (error == -EAGAIN && sleep && wait.source != IPCFS_WAIT_NONE) {
        error = wait_for(locker, owner_number, reply);
        if (!error)
            return;
    } else if (error == -EAGAIN) {
        error = try_while_closing(locker);
    }
    let_go(locker);
    reply_error(reply, error);
}

/* ---- requests ---- */

/* The handle in use. −EOPNOTSUPP where it is of nothing that can be locked: what a file in an object locks, if anything,
 * is for its open(2) and close(2) alone (IPCFS_VERB_HOLD). */
static int get_handle(struct ipcfs *fs, const struct fuse_file_info *info, bool ranges, struct handle **out)
{
    struct handle *handle = handle_get(&fs->handles, info->fh);
    if (!handle)
        return -EBADF;
    const struct node_kin *kin = &handle->node.kin;
    if (handle->type == HANDLE_FILE && !node_is_part(kin->type) && (!ranges || kin->backend->range_locks)) {
        *out = handle;
        return 0;
    }
    handle_put(&fs->handles, handle);
    return -EOPNOTSUPP;
}

void op_flock(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info, int operation)
{
    OP(flock);
    (void)ino;
    struct locker locker = {.fs = fs, .lock = {.whole = true, .range.l_pid = fuse_req_ctx(req)->pid}};
    int error = get_handle(fs, info, false, &locker.handle);
    if (error) {
        reply_error(&reply, error);
        return;
    }
    int what = operation & ~LOCK_NB;
    locker.lock.range.l_type = what == LOCK_UN ? F_UNLCK : what == LOCK_EX ? F_WRLCK : F_RDLCK;
    lock_or_wait(&locker, 0, &reply, !(operation & LOCK_NB));
}

/* The kernel has made start and length of whatever the caller gave; what follows reckons with that. */
static bool is_range(const struct flock *range)
{
    return range->l_start >= 0 && range->l_len >= 0 && range->l_len - 1 <= INT64_MAX - range->l_start;
}

/* What fcntl(2) answers for these. */
static int native_error(int error)
{
    switch (error) {
    case -ENOENT:
        return 0;
    case -ENOMEM:
    case -EMFILE:
    case -ENFILE:
        return -ENOLCK;
    default:
        return error;
    }
}

/* The owner of a lock; −ENOENT where he gives back what he does not have. */
static int get_owner(struct ipcfs *fs, fuse_req_t req, const struct fuse_file_info *info,
                     struct locker *locker)
{
    if (locker->lock.range.l_type != F_UNLCK)
        return lock_owner_get(&fs->locks, locker->handle, info->lock_owner, fuse_req_ctx(req)->uid,
                              &locker->owner);
    locker->owner = lock_owner_find(&fs->locks, locker->handle, info->lock_owner);
    return locker->owner ? 0 : -ENOENT;
}

void op_setlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info, struct flock *range, int sleep)
{
    OP(setlk);
    (void)ino;
    struct locker locker = {.fs = fs, .lock = {.range = *range}};
    int error = is_range(range) ? get_handle(fs, info, true, &locker.handle) : -EINVAL;
    if (error) {
        reply_error(&reply, error);
        return;
    }
    error = get_owner(fs, req, info, &locker);
    if (error) {
        handle_put(&fs->handles, locker.handle);
        reply_error(&reply, native_error(error));
        return;
    }
    lock_or_wait(&locker, info->lock_owner, &reply, sleep);
}

void op_getlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info, struct flock *range)
{
    OP(getlk);
    (void)ino;
    struct handle *handle = NULL;
    int error = is_range(range) ? get_handle(fs, info, true, &handle) : -EINVAL;
    if (!error) {
        error = lock_query(&fs->locks, handle, info->lock_owner, range);
        handle_put(&fs->handles, handle);
    }
    if (error)
        reply_error(&reply, error);
    else
        reply_lock(&reply, range);
}

static void flush_locks(struct ipcfs *fs, struct handle *handle, uint64_t owner_number)
{
    bool others = lock_table_flush(&fs->locks, handle, owner_number);
    if (others || atomic_load(&handle->flocked))
        atomic_store(&fs->locks.closing_until, monotonic_ms() + CLOSING_MS);
}

/* A descriptor of the handle was closed: by a process, which is the lock owner here. */
void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
    OP(flush);
    (void)ino;
    struct handle *handle = handle_get(&fs->handles, info->fh);
    if (!handle) {
        reply_error(&reply, -EBADF);
        return;
    }
    if (handle->type == HANDLE_FILE && handle->node.kin.backend->range_locks)
        flush_locks(fs, handle, info->lock_owner);
    reply_error(&reply, 0);
    handle_put(&fs->handles, handle);
}
