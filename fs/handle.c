/* SPDX-License-Identifier: MIT */
#include "handle.h"

#include <errno.h>

struct handle *handle_new(enum handle_type type, uid_t uid)
{
    struct handle *handle = calloc(1, sizeof *handle);
    if (!handle)
        return NULL;
    handle->type = type;
    handle->uid = uid;
    if (lock_init(&handle->lock, LOCK_HANDLE)) {
        free(handle);
        return NULL;
    }
    return handle;
}

void handle_free(struct handle *handle)
{
    messages_free(handle->messages);
    event_use_free(handle->events);
    stream_leave(handle);
    if (handle->file)
        handle->node.kin.backend->close(handle->file);
    if (handle->lister)
        handle->entry->lister_of->list_close(handle->lister);
    inspected_put(&handle->look);
    snapshot_put(handle->text);
    transaction_free(handle->transaction);
    node_unuse(&handle->node);
    lock_destroy(&handle->lock);
    free(handle);
}

/* ---- the table ---- */

int handle_table_init(struct handle_table *table, unsigned share_max)
{
    *table = (struct handle_table){.next_id = 1, .shares.max = share_max};
    int error = lock_init(&table->shares_lock, LOCK_TABLE);
    if (error)
        return error;
    for (size_t i = 0; i < HANDLE_SHARDS; i++) {
        error = lock_init(&table->shards[i].lock, LOCK_TABLE);
        if (error) {
            while (i-- > 0)
                lock_destroy(&table->shards[i].lock);
            lock_destroy(&table->shares_lock);
            return error;
        }
    }
    return 0;
}

static struct handle_shard *shard_of(struct handle_table *table, uint64_t id)
{
    return &table->shards[id % HANDLE_SHARDS];
}

static int take_share(struct handle_table *table, uid_t uid)
{
    if (uid == 0)
        return 0;
    lock_take(&table->shares_lock);
    int error = share_take(&table->shares, uid);
    lock_release(&table->shares_lock);
    return error == -EDQUOT ? -ENFILE : error;
}

static void give_share_back(struct handle_table *table, uid_t uid)
{
    if (uid == 0)
        return;
    lock_take(&table->shares_lock);
    share_give_back(&table->shares, uid);
    lock_release(&table->shares_lock);
}

void handle_table_destroy(struct handle_table *table)
{
    struct handle *handle = NULL;
    struct handle *next = NULL;
    for (size_t i = 0; i < HANDLE_SHARDS; i++) {
        HASH_ITER(hh, table->shards[i].by_id, handle, next) {
            HASH_DELETE(hh, table->shards[i].by_id, handle);
            give_share_back(table, handle->uid);
            handle_free(handle);
        }
        lock_destroy(&table->shards[i].lock);
    }
    lock_destroy(&table->shares_lock);
}

int handle_add(struct handle_table *table, struct handle *handle)
{
    int error = take_share(table, handle->uid);
    if (error)
        return error;
    handle->id = atomic_fetch_add(&table->next_id, 1);
    handle->users = 1;
    struct handle_shard *shard = shard_of(table, handle->id);
    lock_take(&shard->lock);
    HASH_ADD(hh, shard->by_id, id, sizeof handle->id, handle);
    bool added = handle->hh.tbl;
    lock_release(&shard->lock);
    if (!added)
        give_share_back(table, handle->uid);
    return added ? 0 : -ENOMEM;
}

/* Called with the lock held. */
static struct handle *find(const struct handle_shard *shard, uint64_t id)
{
    struct handle *handle = NULL;
    HASH_FIND(hh, shard->by_id, &id, sizeof id, handle);
    return handle;
}

struct handle *handle_get(struct handle_table *table, uint64_t id)
{
    struct handle_shard *shard = shard_of(table, id);
    lock_take(&shard->lock);
    struct handle *handle = find(shard, id);
    if (handle)
        handle->users++;
    lock_release(&shard->lock);
    return handle;
}

void handle_use(struct handle_table *table, struct handle *handle)
{
    struct handle_shard *shard = shard_of(table, handle->id);
    lock_take(&shard->lock);
    handle->users++;
    lock_release(&shard->lock);
}

void handle_put(struct handle_table *table, struct handle *handle)
{
    struct handle_shard *shard = shard_of(table, handle->id);
    lock_take(&shard->lock);
    bool last = --handle->users == 0;
    lock_release(&shard->lock);
    if (last)
        handle_free(handle);
}

struct handle *handle_remove(struct handle_table *table, uint64_t id)
{
    struct handle_shard *shard = shard_of(table, id);
    lock_take(&shard->lock);
    struct handle *handle = find(shard, id);
    if (handle)
        HASH_DELETE(hh, shard->by_id, handle);
    lock_release(&shard->lock);
    if (handle)
        give_share_back(table, handle->uid);
    return handle;
}

/* Adds those of the shard to `out`, of which `count` are there; gives how many there are then. */
static size_t locks_of_shard(struct handle_shard *shard, struct lock_seen *out, size_t room, size_t count)
{
    lock_take(&shard->lock);
    for (const struct handle *handle = shard->by_id; handle; handle = handle->hh.next) {
        if (!atomic_load(&handle->flocked))
            continue;
        if (count < room)
            out[count] = (struct lock_seen){.kind = handle->node.kin.backend,
                                            .number = handle->node.kin.object.number,
                                            .pid = atomic_load(&handle->flocker)};
        count++;
    }
    lock_release(&shard->lock);
    return count;
}

size_t handle_table_locks(struct handle_table *table, struct lock_seen *out, size_t room)
{
    size_t count = 0;
    for (size_t i = 0; i < HANDLE_SHARDS; i++)
        count = locks_of_shard(&table->shards[i], out, room, count);
    return count;
}

size_t handle_count(struct handle_table *table)
{
    size_t count = 0;
    for (size_t i = 0; i < HANDLE_SHARDS; i++) {
        lock_take(&table->shards[i].lock);
        count += HASH_CNT(hh, table->shards[i].by_id);
        lock_release(&table->shards[i].lock);
    }
    return count;
}
