/* SPDX-License-Identifier: MIT */
#include "locks.h"

#include "lock_ranges.h"

#include <errno.h>
#include <utlist.h>

/* What an owner is found by: bytes, without gaps. */
struct lock_key {
    uint64_t backend;
    uint64_t number;
    uint64_t birth;
    uint64_t owner;
};

struct lock_owner {
    struct lock_key key;
    const struct ipcfs_backend *backend;
    struct ipcfs_file *file;
    uid_t uid;
    struct lock lock; /* held while a lock that need not be waited for is taken and noted */
    /* All below is guarded by lock_table.lock. */
    unsigned users;
    struct lock_ranges ranges; /* with room for what each user may add */
    pid_t pid;                 /* that took the last lock */
    struct handle *handle;     /* it came by; NULL: none */
    struct lock_owner *prev;   /* among those of the handle */
    struct lock_owner *next;
    UT_hash_handle hh;
};

int lock_table_init(struct lock_table *table, unsigned share_max)
{
    *table = (struct lock_table){.shares.max = share_max};
    return lock_init(&table->lock, LOCK_TABLE);
}

static void owner_free(struct lock_owner *owner)
{
    if (owner->file)
        owner->backend->close(owner->file);
    lock_ranges_free(&owner->ranges);
    lock_destroy(&owner->lock);
    free(owner);
}

static struct lock_key key_of(const struct handle *handle, uint64_t number)
{
    const struct node_kin *kin = &handle->node.kin;
    return (struct lock_key){
        .backend = (uintptr_t)kin->backend,
        .number = kin->object.number,
        .birth = kin->object.birth,
        .owner = number,
    };
}

/* ---- with the table's lock held ---- */

static struct lock_owner *find(struct lock_table *table, const struct lock_key *key)
{
    struct lock_owner *owner = NULL;
    HASH_FIND(hh, table->by_key, key, sizeof *key, owner);
    return owner;
}

static void leave_handle(struct lock_owner *owner)
{
    if (owner->handle)
        DL_DELETE(owner->handle->lock_owners, owner);
    owner->handle = NULL;
}

static void come_by_handle(struct lock_owner *owner, struct handle *handle)
{
    if (owner->handle == handle)
        return;
    leave_handle(owner);
    if (handle->lock_owners_gone)
        return;
    DL_APPEND(handle->lock_owners, owner);
    owner->handle = handle;
}

static int insert(struct lock_table *table, struct lock_owner *owner)
{
    int error = share_take(&table->shares, owner->uid);
    if (error)
        return error == -EDQUOT ? -ENOLCK : error;
    HASH_ADD(hh, table->by_key, key, sizeof owner->key, owner);
    if (owner->hh.tbl)
        return 0;
    share_give_back(&table->shares, owner->uid);
    return -ENOMEM;
}

static void take_out(struct lock_table *table, struct lock_owner *owner)
{
    leave_handle(owner);
    HASH_DELETE(hh, table->by_key, owner);
    share_give_back(&table->shares, owner->uid);
}

/* One user more, and room for what he may lock. */
static int use(struct lock_owner *owner)
{
    int error = lock_ranges_reserve(&owner->ranges, owner->users + 1);
    if (!error)
        owner->users++;
    return error;
}

/* ---- owners ---- */

void lock_table_destroy(struct lock_table *table)
{
    struct lock_owner *owner = NULL;
    struct lock_owner *next = NULL;
    HASH_ITER(hh, table->by_key, owner, next) {
        take_out(table, owner);
        owner_free(owner);
    }
    lock_destroy(&table->lock);
}

static int owner_new(const struct handle *handle, const struct lock_key *key, uid_t uid,
                     struct lock_owner **out)
{
    struct lock_owner *owner = calloc(1, sizeof *owner);
    if (!owner)
        return -ENOMEM;
    int error = lock_init(&owner->lock, LOCK_OWNER);
    if (error) {
        free(owner);
        return error;
    }
    owner->key = *key;
    owner->backend = handle->node.kin.backend;
    owner->uid = uid;
    error = owner->backend->lock_owner(&handle->node.ref, &owner->file);
    if (error)
        owner_free(owner);
    else
        *out = owner;
    return error;
}

/* Puts a new owner into the table and into use; where another thread was first, that one's is used. */
static int add(struct lock_table *table, struct lock_owner *new, struct lock_owner **out)
{
    lock_take(&table->lock);
    struct lock_owner *owner = find(table, &new->key);
    bool added = !owner;
    int error = 0;
    if (added) {
        owner = new;
        error = insert(table, owner);
    }
    if (!error) {
        error = use(owner);
        if (error && added)
            take_out(table, owner);
    }
    lock_release(&table->lock);
    if (error || !added)
        owner_free(new);
    *out = error ? NULL : owner;
    return error;
}

struct lock_owner *lock_owner_find(struct lock_table *table, const struct handle *handle, uint64_t number)
{
    struct lock_key key = key_of(handle, number);
    lock_take(&table->lock);
    struct lock_owner *owner = find(table, &key);
    if (owner && use(owner))
        owner = NULL;
    lock_release(&table->lock);
    return owner;
}

int lock_owner_get(struct lock_table *table, struct handle *handle, uint64_t number, uid_t uid,
                   struct lock_owner **out)
{
    *out = lock_owner_find(table, handle, number);
    if (*out)
        return 0;
    struct lock_key key = key_of(handle, number);
    struct lock_owner *owner = NULL;
    int error = owner_new(handle, &key, uid, &owner);
    return error ? error : add(table, owner, out);
}

void lock_owner_put(struct lock_table *table, struct lock_owner *owner)
{
    lock_take(&table->lock);
    bool unneeded = --owner->users == 0 && owner->ranges.count == 0;
    if (unneeded)
        take_out(table, owner);
    lock_release(&table->lock);
    if (unneeded)
        owner_free(owner);
}

size_t lock_table_locks(struct lock_table *table, struct lock_seen *out, size_t room)
{
    size_t count = 0;
    lock_take(&table->lock);
    for (const struct lock_owner *owner = table->by_key; owner; owner = owner->hh.next) {
        if (!owner->ranges.count)
            continue;
        if (count < room)
            out[count] =
                (struct lock_seen){.kind = owner->backend, .number = owner->key.number, .pid = owner->pid};
        count++;
    }
    lock_release(&table->lock);
    return count;
}

size_t lock_owner_count(struct lock_table *table)
{
    lock_take(&table->lock);
    size_t count = HASH_CNT(hh, table->by_key);
    lock_release(&table->lock);
    return count;
}

/* ---- locks ---- */

static void note(struct lock_table *table, struct lock_owner *owner, struct handle *handle,
                 const struct flock *range)
{
    lock_take(&table->lock);
    lock_ranges_set(&owner->ranges, range);
    if (range->l_type != F_UNLCK) {
        owner->pid = range->l_pid;
        come_by_handle(owner, handle);
    }
    lock_release(&table->lock);
}

int lock_owner_set(struct lock_table *table, struct lock_owner *owner, struct handle *handle,
                   const struct ipcfs_lock *lock, struct ipcfs_wait *wait)
{
    bool waits = wait->block;
    if (!waits)
        lock_take(&owner->lock);
    int error = owner->backend->try_lock(owner->file, lock, wait);
    if (!error)
        note(table, owner, handle, &lock->range);
    if (!waits)
        lock_release(&owner->lock);
    return error;
}

bool lock_owner_holds(struct lock_table *table, struct lock_owner *owner, const struct flock *range)
{
    struct flock any = *range;
    any.l_type = F_WRLCK;
    lock_take(&table->lock);
    bool holds = lock_ranges_conflict(&owner->ranges, &any);
    lock_release(&table->lock);
    return holds;
}

/* His locks go, and he with them unless somebody still uses him. */
static void give_all_back(struct lock_table *table, struct lock_owner *owner)
{
    static const struct ipcfs_lock all = {.range = {.l_type = F_UNLCK, .l_whence = SEEK_SET}};
    struct ipcfs_wait wait = {0};
    lock_take(&owner->lock);
    (void)owner->backend->try_lock(owner->file, &all, &wait);
    lock_take(&table->lock);
    owner->ranges.count = 0;
    lock_release(&table->lock);
    lock_release(&owner->lock);
    lock_owner_put(table, owner);
}

/* Into use without the room that use() makes: nothing is locked by this use. */
static struct lock_owner *find_to_end(struct lock_table *table, const struct lock_key *key)
{
    lock_take(&table->lock);
    struct lock_owner *owner = find(table, key);
    if (owner)
        owner->users++;
    lock_release(&table->lock);
    return owner;
}

bool lock_table_flush(struct lock_table *table, const struct handle *handle, uint64_t number)
{
    struct lock_key key = key_of(handle, number);
    struct lock_owner *owner = find_to_end(table, &key);
    if (owner)
        give_all_back(table, owner);
    lock_take(&table->lock);
    bool others = handle->lock_owners != NULL;
    lock_release(&table->lock);
    return others;
}

static struct lock_owner *take_from_handle(struct lock_table *table, struct handle *handle)
{
    lock_take(&table->lock);
    handle->lock_owners_gone = true;
    struct lock_owner *owner = handle->lock_owners;
    if (owner) {
        leave_handle(owner);
        owner->users++;
    }
    lock_release(&table->lock);
    return owner;
}

void lock_table_release(struct lock_table *table, struct handle *handle)
{
    struct lock_owner *owner = NULL;
    while ((owner = take_from_handle(table, handle)))
        give_all_back(table, owner);
}

/* ---- who holds a lock ---- */

static bool same_object(const struct lock_key *a, const struct lock_key *b)
{
    return a->backend == b->backend && a->number == b->number && a->birth == b->birth;
}

/* The process that took the lock `found`, which is in the way of `wanted`; 0: it was not taken through the mount. */
static pid_t holder(struct lock_table *table, const struct lock_key *asker, const struct flock *wanted,
                    const struct flock *found)
{
    struct flock same = *found;
    same.l_type = F_WRLCK;
    pid_t pid = 0;
    lock_take(&table->lock);
    for (const struct lock_owner *owner = table->by_key; owner && !pid; owner = owner->hh.next)
        if (owner->key.owner != asker->owner && same_object(&owner->key, asker) &&
            lock_ranges_conflict(&owner->ranges, wanted) && lock_ranges_conflict(&owner->ranges, &same))
            pid = owner->pid;
    lock_release(&table->lock);
    return pid;
}

int lock_query(struct lock_table *table, const struct handle *handle, uint64_t number, struct flock *range)
{
    struct lock_key key = key_of(handle, number);
    struct flock wanted = *range;
    struct lock_owner *owner = find_to_end(table, &key);
    /* An owner's own locks are not in his way. Who has none may ask by the handle's file, which has none either. */
    const struct ipcfs_backend *backend = handle->node.kin.backend;
    int error = backend->get_lock(owner ? owner->file : handle->file, range);
    if (owner)
        lock_owner_put(table, owner);
    if (!error && range->l_type != F_UNLCK && range->l_pid < 0)
        range->l_pid = holder(table, &key, &wanted, range);
    return error;
}
