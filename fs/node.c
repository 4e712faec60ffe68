/* SPDX-License-Identifier: MIT */
#include "node.h"

#include "hash.h"
#include "ipcfs/cleanup.h"
#include "ipcfs/log.h"
#include "stream.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* What a node is found by: bytes, so every gap must be zero. For all but NODE_OBJECT the name follows. */
struct node_key {
    uint64_t number;
    uint64_t birth;
    int64_t file_number;
    const struct ipcfs_backend *backend;
    uint32_t verb;
    uint32_t type;
};

struct node {
    uint64_t id;
    struct node_kin kin;
    /* All below is guarded by node_shard.lock. */
    uint64_t lookups; /* by the kernel, less its forgets */
    unsigned uses;    /* operations and handles */
    unsigned opens;   /* of these: open files */
    unsigned directory;
    char *name;
    struct ipcfs_hold *hold; /* kept while uses > 0 */
    int32_t backing_id;      /* 0: none */
    unsigned backing_users;
    unsigned looks;        /* at its stream */
    struct stream *stream; /* NULL: none; owned by the handles that it counts */
    struct statx *noted;   /* NULL: nothing */
    UT_hash_handle by_id;
    UT_hash_handle by_key;
    size_t key_length;
    _Alignas(8) char key[]; /* struct node_key, and the name of the object, but for NODE_OBJECT */
};

static void node_free(struct node *node)
{
    if (node->hold)
        node->kin.backend->release(node->hold);
    free(node->noted);
    free(node->name);
    free(node);
}

static int shard_init(struct node_shard *shard, uint64_t first_id)
{
    *shard = (struct node_shard){.next_id = first_id};
    return lock_init(&shard->lock, LOCK_TABLE);
}

static void shard_destroy(struct node_shard *shard)
{
    struct node *node = shard->by_id;
    HASH_CLEAR(by_key, shard->by_key);
    HASH_CLEAR(by_id, shard->by_id);
    while (node) {
        struct node *next = node->by_id.next;
        node_free(node);
        node = next;
    }
    lock_destroy(&shard->lock);
}

int node_table_init(struct node_table *table, uint64_t first_id)
{
    for (uint64_t id = first_id; id < first_id + NODE_SHARDS; id++) {
        int error = shard_init(&table->shards[id % NODE_SHARDS], id);
        if (error) {
            while (id-- > first_id)
                shard_destroy(&table->shards[id % NODE_SHARDS]);
            return error;
        }
    }
    return 0;
}

void node_table_destroy(struct node_table *table)
{
    for (size_t i = 0; i < NODE_SHARDS; i++)
        shard_destroy(&table->shards[i]);
}

static struct node_shard *shard_of(struct node_table *table, uint64_t id)
{
    return &table->shards[id % NODE_SHARDS];
}

/* ---- keys ---- */

struct key_bytes {
    size_t length;
    uint32_t hash;
    _Alignas(8) char bytes[sizeof(struct node_key) + NAME_MAX + 1];
};

static void make_key(struct key_bytes *key, const struct node_kin *kin, const char *name)
{
    struct node_key fixed = {
        .number = kin->object.number,
        .birth = kin->object.birth,
        .file_number = kin->number,
        .backend = kin->backend,
        .verb = kin->verb,
        .type = kin->type,
    };
    memcpy(key->bytes, &fixed, sizeof fixed);
    size_t length = kin->type == NODE_OBJECT ? 0 : strnlen(name, NAME_MAX);
    memcpy(key->bytes + sizeof fixed, name, length);
    key->length = sizeof fixed + length;
    key->hash = hash_bytes(key->bytes, key->length);
}

/* By the high bits of the hash: the low ones choose among the buckets of the shard. */
static struct node_shard *shard_of_key(struct node_table *table, const struct key_bytes *key)
{
    return &table->shards[(key->hash >> 16) % NODE_SHARDS];
}

static struct node *find_by_key(const struct node_shard *shard, const struct key_bytes *key)
{
    struct node *node = NULL;
    HASH_FIND_BYHASHVALUE(by_key, shard->by_key, key->bytes, key->length, key->hash, node);
    return node;
}

static struct node *find_by_id(const struct node_shard *shard, uint64_t id)
{
    struct node *node = NULL;
    HASH_FIND(by_id, shard->by_id, &id, sizeof id, node);
    return node;
}

/* ---- life ---- */

/* Called with the lock held. */
static bool insert(struct node_shard *shard, struct node *node, uint32_t hash)
{
    node->id = shard->next_id;
    shard->next_id += NODE_SHARDS;
    HASH_ADD_KEYPTR(by_id, shard->by_id, &node->id, sizeof node->id, node);
    if (!node->by_id.tbl)
        return false;
    if (node->kin.fresh)
        return true;
    HASH_ADD_KEYPTR_BYHASHVALUE(by_key, shard->by_key, node->key, node->key_length, hash, node);
    if (!node->by_key.tbl) {
        HASH_DELETE(by_id, shard->by_id, node);
        return false;
    }
    return true;
}

/* Called with the lock held. */
static struct node *node_new(struct node_shard *shard, const struct node_kin *kin,
                             const struct key_bytes *key, const char *name)
{
    AUTO_FREE struct node *node = calloc(1, sizeof *node + key->length);
    AUTO_FREE char *copy = strdup(name);
    if (!node || !copy)
        return NULL;
    node->kin = *kin;
    node->directory = kin->directory;
    node->key_length = key->length;
    memcpy(node->key, key->bytes, key->length);
    if (!insert(shard, node, key->hash))
        return NULL;
    node->name = TAKE_PTR(copy);
    return TAKE_PTR(node);
}

/* Called with the lock held. Takes a node that nobody needs out of the table, for the caller to free unlocked. */
static struct node *take_if_unneeded(struct node_shard *shard, struct node *node)
{
    if (node->lookups || node->uses)
        return NULL;
    HASH_DELETE(by_id, shard->by_id, node);
    if (!node->kin.fresh)
        HASH_DELETE(by_key, shard->by_key, node);
    return node;
}

/* Called with the lock held. Out of memory leaves the old name: it is a hint, and a wrong one is noticed. */
static void set_name(struct node *node, unsigned directory, const char *name)
{
    node->directory = directory;
    if (strcmp(node->name, name) == 0)
        return;
    char *copy = strdup(name);
    if (!copy)
        return;
    free(node->name);
    node->name = copy;
}

int node_lookup(struct node_table *table, const struct node_kin *kin, const char *name, uint64_t *id)
{
    struct key_bytes key;
    make_key(&key, kin, name);
    struct node_shard *shard = shard_of_key(table, &key);
    lock_take(&shard->lock);
    struct node *node = kin->fresh ? NULL : find_by_key(shard, &key);
    if (node)
        set_name(node, kin->directory, name);
    else
        node = node_new(shard, kin, &key, name);
    if (node) {
        node->lookups++;
        *id = node->id;
    }
    lock_release(&shard->lock);
    return node ? 0 : -ENOMEM;
}

void node_forget(struct node_table *table, uint64_t id, uint64_t count)
{
    struct node *unneeded = NULL;
    uint64_t excess = 0;
    struct node_shard *shard = shard_of(table, id);
    lock_take(&shard->lock);
    struct node *node = find_by_id(shard, id);
    if (node) {
        excess = count > node->lookups ? count - node->lookups : 0;
        node->lookups -= count - excess;
        unneeded = take_if_unneeded(shard, node);
    }
    lock_release(&shard->lock);
    if (excess)
        log_warning("node %" PRIu64 ": forgotten %" PRIu64 " times more than looked up", id, excess);
    if (unneeded)
        node_free(unneeded);
}

void node_renamed(struct node_table *table, const struct node_kin *kin, unsigned directory, const char *name)
{
    struct key_bytes key;
    make_key(&key, kin, name);
    struct node_shard *shard = shard_of_key(table, &key);
    lock_take(&shard->lock);
    struct node *node = find_by_key(shard, &key);
    if (node)
        set_name(node, directory, name);
    lock_release(&shard->lock);
}

/* ---- what is noted ---- */

void node_note(struct node_table *table, const struct node_kin *kin, const struct statx *stat)
{
    struct key_bytes key;
    make_key(&key, kin, "");
    struct node_shard *shard = shard_of_key(table, &key);
    lock_take(&shard->lock);
    struct node *node = find_by_key(shard, &key);
    if (node && !node->noted)
        node->noted = malloc(sizeof *node->noted);
    if (node && node->noted)
        *node->noted = *stat;
    lock_release(&shard->lock);
}

bool node_noted(const struct node_use *use, struct statx *out)
{
    lock_take(&use->shard->lock);
    const struct statx *noted = use->node->noted;
    if (noted)
        *out = *noted;
    lock_release(&use->shard->lock);
    return noted;
}

/* ---- use ---- */

/* Called with the lock held. */
static void begin_use(struct node_shard *shard, struct node *node, struct node_use *use)
{
    node->uses++;
    use->shard = shard;
    use->node = node;
    use->kin = node->kin;
    (void)memcpy(use->name, node->name, strlen(node->name) + 1);
    bool object = node_is_object(node->kin.type) || node_is_part(node->kin.type);
    use->ref = (struct ipcfs_ref){
        .id = object ? node->kin.object : (struct ipcfs_objid){0},
        .directory = node->directory,
        .name = use->name,
        .hold = node->hold,
    };
}

int node_use(struct node_table *table, uint64_t id, struct node_use *use)
{
    use->node = NULL;
    use->opened = false;
    struct node_shard *shard = shard_of(table, id);
    lock_take(&shard->lock);
    struct node *node = find_by_id(shard, id);
    if (node)
        begin_use(shard, node, use);
    lock_release(&shard->lock);
    return node ? 0 : -ESTALE;
}

void node_opened(struct node_use *use)
{
    lock_take(&use->shard->lock);
    use->opened = true;
    use->node->opens++;
    lock_release(&use->shard->lock);
}

bool node_is_open(const struct node_use *use)
{
    lock_take(&use->shard->lock);
    bool open = use->node->opens > 0;
    lock_release(&use->shard->lock);
    return open;
}

void node_unuse(struct node_use *use)
{
    struct node *node = use->node;
    if (!node)
        return;
    struct ipcfs_hold *unneeded_hold = NULL;
    lock_take(&use->shard->lock);
    node->opens -= use->opened;
    if (--node->uses == 0)
        unneeded_hold = TAKE_PTR(node->hold);
    struct node *unneeded = take_if_unneeded(use->shard, node);
    lock_release(&use->shard->lock);
    if (unneeded_hold)
        use->kin.backend->release(unneeded_hold);
    if (unneeded)
        node_free(unneeded);
    use->node = NULL;
}

void node_use_move(struct node_use *from, struct node_use *to)
{
    *to = *from;
    to->ref.name = to->name;
    from->node = NULL;
}

void node_set_hold(struct node_use *use, struct ipcfs_hold *hold)
{
    struct ipcfs_hold *surplus = NULL;
    lock_take(&use->shard->lock);
    if (use->node->hold)
        surplus = hold;
    else
        use->node->hold = hold;
    use->ref.hold = use->node->hold;
    lock_release(&use->shard->lock);
    if (surplus)
        use->kin.backend->release(surplus);
}

/* ---- backing ids ---- */

int32_t node_backing_get(const struct node_use *use)
{
    lock_take(&use->shard->lock);
    int32_t backing_id = use->node->backing_id;
    if (backing_id)
        use->node->backing_users++;
    lock_release(&use->shard->lock);
    return backing_id;
}

int32_t node_backing_set(const struct node_use *use, int32_t backing_id)
{
    lock_take(&use->shard->lock);
    if (!use->node->backing_id)
        use->node->backing_id = backing_id;
    use->node->backing_users++;
    int32_t chosen = use->node->backing_id;
    lock_release(&use->shard->lock);
    return chosen;
}

int32_t node_backing_put(const struct node_use *use)
{
    int32_t unneeded = 0;
    lock_take(&use->shard->lock);
    if (--use->node->backing_users == 0) {
        unneeded = use->node->backing_id;
        use->node->backing_id = 0;
    }
    lock_release(&use->shard->lock);
    return unneeded;
}

/* ---- streams ---- */

/* Called with the lock held. */
static struct stream *join_stream(struct stream *stream, unsigned directions)
{
    stream->handles++;
    stream->reading += (directions & STREAM_READS) != 0;
    stream->writing += (directions & STREAM_WRITES) != 0;
    return stream;
}

struct stream *node_stream_get(const struct node_use *use, unsigned directions)
{
    lock_take(&use->shard->lock);
    struct stream *stream = use->node->stream;
    if (stream)
        join_stream(stream, directions);
    lock_release(&use->shard->lock);
    return stream;
}

struct stream *node_stream_set(const struct node_use *use, struct stream *stream, unsigned directions)
{
    lock_take(&use->shard->lock);
    if (!use->node->stream)
        use->node->stream = stream;
    struct stream *chosen = join_stream(use->node->stream, directions);
    lock_release(&use->shard->lock);
    return chosen;
}

unsigned node_stream_look(const struct node_use *use)
{
    struct node *node = use->node;
    lock_take(&use->shard->lock);
    unsigned look = node->stream ? ++node->looks : 0;
    lock_release(&use->shard->lock);
    return look;
}

unsigned node_stream_leave(const struct node_use *use, unsigned directions)
{
    unsigned ended = 0;
    lock_take(&use->shard->lock);
    struct stream *stream = use->node->stream;
    if (directions & STREAM_READS && --stream->reading == 0)
        ended |= STREAM_READS;
    if (directions & STREAM_WRITES && --stream->writing == 0)
        ended |= STREAM_WRITES;
    if (stream->handles == 1)
        ended = 0;
    lock_release(&use->shard->lock);
    return ended;
}

bool node_stream_put(const struct node_use *use)
{
    lock_take(&use->shard->lock);
    bool last = --use->node->stream->handles == 0;
    if (last)
        use->node->stream = NULL;
    lock_release(&use->shard->lock);
    return last;
}

size_t node_count(struct node_table *table)
{
    size_t count = 0;
    for (size_t i = 0; i < NODE_SHARDS; i++) {
        lock_take(&table->shards[i].lock);
        count += HASH_CNT(by_id, table->shards[i].by_id);
        lock_release(&table->shards[i].lock);
    }
    return count;
}
