/* SPDX-License-Identifier: MIT */
#include "handle.h"

#include <errno.h>

int handle_table_init(struct handle_table *table)
{
    *table = (struct handle_table){.next_id = 1};
    return -pthread_mutex_init(&table->lock, NULL);
}

void handle_table_destroy(struct handle_table *table)
{
    struct handle *handle = NULL;
    struct handle *next = NULL;
    HASH_ITER(hh, table->by_id, handle, next) {
        HASH_DELETE(hh, table->by_id, handle);
        handle_free(handle);
    }
    pthread_mutex_destroy(&table->lock);
}

struct handle *handle_new(enum handle_type type)
{
    struct handle *handle = calloc(1, sizeof *handle);
    if (!handle)
        return NULL;
    handle->type = type;
    if (pthread_mutex_init(&handle->lock, NULL)) {
        free(handle);
        return NULL;
    }
    return handle;
}

void handle_free(struct handle *handle)
{
    if (handle->file)
        handle->node.kin.backend->close(handle->file);
    if (handle->lister)
        handle->entry->lister_of->list_close(handle->lister);
    text_reset(&handle->text);
    node_unuse(&handle->node);
    pthread_mutex_destroy(&handle->lock);
    free(handle);
}

int handle_add(struct handle_table *table, struct handle *handle)
{
    pthread_mutex_lock(&table->lock);
    handle->id = table->next_id++;
    handle->users = 1;
    HASH_ADD(hh, table->by_id, id, sizeof handle->id, handle);
    bool added = handle->hh.tbl != NULL;
    if (added)
        table->count++;
    pthread_mutex_unlock(&table->lock);
    return added ? 0 : -ENOMEM;
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
    pthread_mutex_lock(&table->lock);
    struct handle *handle = find(table, id);
    if (handle)
        handle->users++;
    pthread_mutex_unlock(&table->lock);
    return handle;
}

void handle_put(struct handle_table *table, struct handle *handle)
{
    pthread_mutex_lock(&table->lock);
    bool last = --handle->users == 0;
    pthread_mutex_unlock(&table->lock);
    if (last)
        handle_free(handle);
}

struct handle *handle_remove(struct handle_table *table, uint64_t id)
{
    pthread_mutex_lock(&table->lock);
    struct handle *handle = find(table, id);
    if (handle) {
        HASH_DELETE(hh, table->by_id, handle);
        table->count--;
    }
    pthread_mutex_unlock(&table->lock);
    return handle;
}

size_t handle_count(struct handle_table *table)
{
    pthread_mutex_lock(&table->lock);
    size_t count = table->count;
    pthread_mutex_unlock(&table->lock);
    return count;
}
