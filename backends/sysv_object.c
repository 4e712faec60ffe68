/* SPDX-License-Identifier: MIT */
#include "sysv_object.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

/* How often create() goes round when a key keeps appearing and vanishing under it. */
enum { CREATE_ATTEMPTS = 64 };

_Static_assert(offsetof(struct msqid_ds, msg_perm) == 0, "begins with the permissions");
_Static_assert(offsetof(struct semid_ds, sem_perm) == 0, "begins with the permissions");
_Static_assert(offsetof(struct shmid_ds, shm_perm) == 0, "begins with the permissions");

struct ipcfs_hold {
    int id;
};

/* ---- the kernel's table ---- */

void sysv_stop(void)
{
}

int sysv_start(const struct sysv_table *table)
{
    int highest = table->highest();
    return highest < 0 ? highest : 0;
}

/* The id and state of whatever has the index that `id` is or has. −ESTALE. */
static int state_at(const struct sysv_table *table, int id, void *state)
{
    int found = table->look(id, state);
    if (found >= 0)
        return found;
    return errno == EINVAL || errno == EIDRM ? -ESTALE : -errno;
}

int sysv_state(const struct sysv_table *table, int id, void *state)
{
    int found = state_at(table, id, state);
    if (found < 0)
        return found;
    return found == id ? 0 : -ESTALE;
}

int sysv_error(const struct sysv_table *table, int id, int error, int gone)
{
    union sysv_state state;
    if (error == EIDRM || (error == EINVAL && sysv_state(table, id, &state) == -ESTALE))
        return gone;
    return -error;
}

int sysv_set(const struct sysv_table *table, int id, void *state)
{
    return table->set(id, state) < 0 ? sysv_error(table, id, errno, -ESTALE) : 0;
}

int sysv_of_key(const struct sysv_table *table, key_t key)
{
    int id = table->get(key);
    return id < 0 ? -errno : id;
}

/* ---- reaching an object ---- */

/* The id that a name means. −ENOENT where it means none; an id is not asked for. */
static int id_of_name(const struct sysv_table *table, unsigned directory, const char *name)
{
    int id = 0;
    key_t key = IPC_PRIVATE;
    if (directory == SYSV_BY_ID)
        return sysv_parse_id(name, &id) ? id : -ENOENT;
    /* To ask the kernel for IPC_PRIVATE would be to make an object. */
    if (!sysv_parse_key(name, &key) || key == IPC_PRIVATE)
        return -ENOENT;
    return sysv_of_key(table, key);
}

/* The id that a reference without a hold means; it may be gone. −ESTALE where the name means nothing. */
static int id_of_ref(const struct sysv_table *table, const struct ipcfs_ref *ref)
{
    /* Once the id is known it is enough: both names end with it. */
    if (ref->id.number || ref->id.birth)
        return (int)ref->id.number;
    int id = id_of_name(table, ref->directory, ref->name);
    return id == -ENOENT ? -ESTALE : id;
}

int sysv_of_ref(const struct sysv_table *table, const struct ipcfs_ref *ref, void *state)
{
    int id = ref->hold ? ref->hold->id : id_of_ref(table, ref);
    if (id < 0)
        return id;
    int error = sysv_state(table, id, state);
    return error ? error : id;
}

int sysv_stat_object(const struct sysv_table *table, const struct ipcfs_ref *ref, struct statx *out)
{
    union sysv_state state;
    int id = sysv_of_ref(table, ref, &state);
    if (id < 0)
        return id;
    table->stat(id, &state, out);
    return 0;
}

int sysv_hold_new(int id, const struct ipc_perm *perm, struct ipcfs_hold **out)
{
    (void)perm;
    struct ipcfs_hold *hold = malloc(sizeof *hold);
    if (!hold)
        return -ENOMEM;
    hold->id = id;
    *out = hold;
    return 0;
}

void sysv_release(struct ipcfs_hold *hold)
{
    free(hold);
}

int sysv_hold(const struct sysv_table *table, const struct ipcfs_ref *ref, struct ipcfs_hold **out)
{
    union sysv_state state;
    int id = sysv_of_ref(table, ref, &state);
    return id < 0 ? id : table->hold(id, &state.perm, out);
}

/* ---- finding and removing ---- */

/* The id of the object that a name means, and its state. −ENOENT. */
static int find_object(const struct sysv_table *table, unsigned directory, const char *name,
                       union sysv_state *state)
{
    int id = id_of_name(table, directory, name);
    if (id < 0)
        return id;
    int error = sysv_state(table, id, state);
    if (error)
        return error == -ESTALE ? -ENOENT : error;
    return id;
}

static void fill_found(const struct sysv_table *table, int id, const union sysv_state *state,
                       struct ipcfs_found *out)
{
    out->id = sysv_object_id(id);
    table->stat(id, state, &out->stat);
}

int sysv_find(const struct sysv_table *table, unsigned directory, const char *name, struct ipcfs_found *out,
              struct ipcfs_hold **hold)
{
    union sysv_state state;
    int id = find_object(table, directory, name, &state);
    if (id < 0)
        return id;
    fill_found(table, id, &state, out);
    return hold ? table->hold(id, &state.perm, hold) : 0;
}

int sysv_remove(const struct sysv_table *table, unsigned directory, const char *name)
{
    union sysv_state state;
    int id = find_object(table, directory, name, &state);
    if (id < 0)
        return id;
    return table->remove(id) < 0 ? sysv_error(table, id, errno, -ENOENT) : 0;
}

/* ---- creating ---- */

int sysv_hand_out(const struct sysv_table *table, int id, int flags, bool made, struct ipcfs_created *out)
{
    union sysv_state state;
    int error = sysv_state(table, id, &state);
    if (error)
        return error == -ESTALE ? -ENOENT : error;
    *out = (struct ipcfs_created){.made = made};
    fill_found(table, id, &state, &out->found);
    error = table->hold(id, &state.perm, &out->hold);
    if (!error)
        error = table->open(id, &state.perm, flags, made, &out->file);
    if (!error)
        return 0;
    if (out->hold)
        table->release(TAKE_PTR(out->hold));
    if (made)
        (void)table->remove(id);
    return error == -ESTALE ? -ENOENT : error;
}

/* The object that there is of the key. −ENOENT where it has vanished. */
static int open_by_key(const struct sysv_table *table, key_t key, int flags, struct ipcfs_created *out)
{
    int id = sysv_of_key(table, key);
    return id < 0 ? id : sysv_hand_out(table, id, flags, false, out);
}

static int create_by_key(const struct sysv_table *table, key_t key, const struct ipcfs_wish *wish,
                         struct ipcfs_created *out)
{
    for (int attempt = 0; attempt < CREATE_ATTEMPTS; attempt++) {
        int error = table->make(key, wish, out);
        if (error == -EEXIST && !(wish->flags & O_EXCL))
            error = open_by_key(table, key, wish->flags, out);
        if (error != -ENOENT)
            return error;
    }
    return -ESTALE;
}

static int open_by_id(const struct sysv_table *table, const struct ipcfs_wish *wish,
                      struct ipcfs_created *out)
{
    union sysv_state state;
    int id = find_object(table, SYSV_BY_ID, wish->name, &state);
    int error = id < 0 ? id : -EEXIST;
    if (id >= 0 && !(wish->flags & O_EXCL))
        error = sysv_hand_out(table, id, wish->flags, false, out);
    if (error != -ENOENT)
        return error;
    if (wish->reason)
        text_string(wish->reason, "ids are given by the kernel: create a key, in by-key");
    return -EPERM;
}

int sysv_create(const struct sysv_table *table, const struct ipcfs_wish *wish, struct ipcfs_created *out)
{
    key_t key = IPC_PRIVATE;
    if (wish->directory == SYSV_BY_ID)
        return open_by_id(table, wish, out);
    bool is_key = sysv_parse_key(wish->name, &key);
    if (is_key && key != IPC_PRIVATE)
        return create_by_key(table, key, wish, out);
    if (wish->reason && is_key)
        text_printf(wish->reason, "key 0 is IPC_PRIVATE, by which no %s is found", table->noun);
    else if (wish->reason)
        text_string(wish->reason, "a key is 0x and 1 to 8 hexadecimal digits");
    return -EINVAL;
}

void sysv_uncreate(const struct sysv_table *table, const struct ipcfs_created *created)
{
    if (created->made)
        (void)table->remove((int)created->found.id.number);
}

/* ---- changes ---- */

int sysv_check_times(const struct ipcfs_change *change)
{
    if (!(change->mask & IPCFS_CHANGE_TIMES))
        return 0;
    for (int i = 0; i < 2; i++)
        if (change->times[i].tv_nsec != UTIME_NOW && change->times[i].tv_nsec != UTIME_OMIT)
            return -EPERM;
    return 0;
}

int sysv_set_attributes(const struct sysv_table *table, int id, void *state,
                        const struct ipcfs_change *change)
{
    struct ipc_perm *perm = state;
    if (change->mask & IPCFS_CHANGE_UID)
        perm->uid = change->uid;
    if (change->mask & IPCFS_CHANGE_GID)
        perm->gid = change->gid;
    if (change->mask & IPCFS_CHANGE_MODE)
        perm->mode = (unsigned short)(change->mode & table->mode_bits);
    return sysv_set(table, id, state);
}

/* ---- walks ---- */

int sysv_walk_seek(struct sysv_walk *walk, uint64_t position)
{
    int highest = walk->table->highest();
    if (highest < 0)
        return highest;
    walk->position = position;
    walk->end = (uint64_t)highest + 1;
    return 0;
}

int sysv_walk_start(struct sysv_walk *walk, const struct sysv_table *table, unsigned directory)
{
    *walk = (struct sysv_walk){.table = table, .directory = directory};
    return sysv_walk_seek(walk, 0);
}

int sysv_walk_next(struct sysv_walk *walk, struct ipcfs_entry *out)
{
    while (walk->position < walk->end) {
        const struct ipc_perm *perm = &walk->state.perm;
        int id = state_at(walk->table, (int)walk->position++, &walk->state);
        if (id == -ESTALE || (id >= 0 && walk->directory == SYSV_BY_KEY && perm->__key == IPC_PRIVATE))
            continue;
        if (id < 0)
            return id;
        if (walk->directory == SYSV_BY_ID)
            (void)snprintf(walk->name, sizeof walk->name, "%d", id);
        else
            (void)snprintf(walk->name, sizeof walk->name, "0x%08" PRIx32, (uint32_t)perm->__key);
        *out = (struct ipcfs_entry){.name = walk->name,
                                    .number = sysv_object_id(id).number,
                                    .next = walk->position,
                                    .type = walk->table->type};
        return 1;
    }
    return 0;
}

int sysv_look(const struct sysv_table *table,
              void (*show)(const union sysv_state *state, struct ipcfs_seen *seen), ipcfs_seen_row *row,
              void *data)
{
    struct sysv_walk walk;
    struct ipcfs_entry entry;
    int more = sysv_walk_start(&walk, table, SYSV_BY_ID);
    while (!more && (more = sysv_walk_next(&walk, &entry)) == 1) {
        const struct ipc_perm *perm = &walk.state.perm;
        char key[SYSV_NAME_ROOM];
        (void)snprintf(key, sizeof key, "0x%08" PRIx32, (uint32_t)perm->__key);
        struct ipcfs_seen seen = {.name = entry.name,
                                  .key = perm->__key == IPC_PRIVATE ? NULL : key,
                                  .number = entry.number,
                                  .mode = perm->mode & 0777,
                                  .uid = perm->uid,
                                  .gid = perm->gid};
        show(&walk.state, &seen);
        more = row(data, &seen);
    }
    return more;
}

struct ipcfs_lister {
    struct sysv_walk walk;
};

int sysv_list_open(const struct sysv_table *table, unsigned directory, struct ipcfs_lister **out)
{
    AUTO_FREE struct ipcfs_lister *lister = malloc(sizeof *lister);
    if (!lister)
        return -ENOMEM;
    int error = sysv_walk_start(&lister->walk, table, directory);
    if (!error)
        *out = TAKE_PTR(lister);
    return error;
}

int sysv_list_seek(struct ipcfs_lister *lister, uint64_t position)
{
    return sysv_walk_seek(&lister->walk, position);
}

int sysv_list_next(struct ipcfs_lister *lister, struct ipcfs_entry *out)
{
    return sysv_walk_next(&lister->walk, out);
}

const union sysv_state *sysv_listed(const struct ipcfs_lister *lister)
{
    return &lister->walk.state;
}

void sysv_list_close(struct ipcfs_lister *lister)
{
    free(lister);
}
