/* SPDX-License-Identifier: MIT */
#include "handle.h"

#include <errno.h>

int handle_table_init(struct handle_table *table, unsigned share_max)
{
    *table = (struct handle_table){.next_id = 1, .shares.max = share_max};
    return lock_init(&table->lock, LOCK_TABLE);
}

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

static int add_locked(struct handle_table *table, struct handle *handle)
{
    int error = share_take(&table->shares, handle->uid);
    if (error)
        return error == -EDQUOT ? -ENFILE : error;
    handle->id = table->next_id++;
    handle->users = 1;
    HASH_ADD(hh, table->by_id, id, sizeof handle->id, handle);
    if (handle->hh.tbl)
        return 0;
    share_give_back(&table->shares, handle->uid);
    return -ENOMEM;
}

void handle_table_destroy(struct handle_table *table)
{
    struct handle *handle = NULL;
    struct handle *next = NULL;
    HASH_ITER(hh, table->by_id, handle, next) {
        HASH_DELETE(hh, table->by_id, handle);
        share_give_back(&table->shares, handle->uid);
        handle_free(handle);
    }
    lock_destroy(&table->lock);
}

int handle_add(struct handle_table *table, struct handle *handle)
{
    lock_take(&table->lock);
    int error = add_locked(table, handle);
    lock_release(&table->lock);
    return error;
}

/* Called with the lock held. */
static struct handle *find(struct handle_table *table, uint64_t id)
{
    struct handle *handle = NULL;
    HASH_FIND(hh, table->by_id, &id, sizeof id, handle);
    return handle;
}

struct handle *handle_get(struct handle_table *table, uint64_t id)
{
    lock_take(&table->lock);
    struct handle *handle = find(table, id);
    if (handle)
        handle->users++;
    lock_release(&table->lock);
    return handle;
}

void handle_use(struct handle_table *table, struct handle *handle)
{
    lock_take(&table->lock);
    handle->users++;
    lock_release(&table->lock);
}

void handle_put(struct handle_table *table, struct handle *handle)
{
    lock_take(&table->lock);
    bool last = --handle->users == 0;
    lock_release(&table->lock);
    if (last)
        handle_free(handle);
}

struct handle *handle_remove(struct handle_table *table, uint64_t id)
{
    lock_take(&table->lock);
    struct handle *handle = find(table, id);
    if (handle) {
        HASH_DELETE(hh, table->by_id, handle);
        share_give_back(&table->shares, handle->uid);
    }
    lock_release(&table->lock);
    return handle;
}

size_t handle_table_locks(struct handle_table *table, struct lock_seen *out, size_t room)
{
    size_t count = 0;
    lock_take(&table->lock);
    for (const struct handle *handle = table->by_id; handle; handle = handle->hh.next) {
        if (!atomic_load(&handle->flocked))
            continue;
        if (count < room)
            out[count] = (struct lock_seen){.kind = handle->node.kin.backend,
                                            .number = handle->node.kin.object.number,
                                            .pid = atomic_load(&handle->flocker)};
        count++;
    }
    lock_release(&table->lock);
    return count;
}

size_t handle_count(struct handle_table *table)
{
    lock_take(&table->lock);
    size_t count = HASH_CNT(hh, table->by_id);
    lock_release(&table->lock);
    return count;
}
