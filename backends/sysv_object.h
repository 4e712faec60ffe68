/* SPDX-License-Identifier: MIT */
/*
 * What is done alike with a System V object of any kind: it is found, listed, held, made, changed and removed.
 *
 * A kind gives a table of what is its own. The functions here that are named as a slot of the backend do what that slot
 * is to do; a kind's slot is one of them with the kind's table.
 */
#ifndef IPCFS_BACKENDS_SYSV_OBJECT_H
#define IPCFS_BACKENDS_SYSV_OBJECT_H

#include "sysv.h"

#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

/*
 * A kind. A `state` is the kind's own structure: struct msqid_ds, semid_ds or shmid_ds. Each begins with the permissions,
 * a struct ipc_perm.
 */
struct sysv_table {
    mode_t type;      /* of the entries: S_IFREG, S_IFDIR */
    mode_t mode_bits; /* the permission bits that mean something */
    const char *noun; /* what an object is called */

    /* The highest index in use, or −errno. */
    int (*highest)(void);
    /* The bare calls: −1 and errno. look() is MSG_STAT_ANY: the id and state of what has the index that `id` is or has.
     * set() is IPC_SET, remove() is IPC_RMID. get() is msgget(2) of a key that is not IPC_PRIVATE; it never makes one, and
     * asks for no permission. */
    int (*look)(int id, void *state);
    int (*set)(int id, void *state);
    int (*remove)(int id);
    int (*get)(key_t key);

    void (*stat)(int id, const void *state, struct statx *out);
    int (*hold)(int id, const struct ipc_perm *perm, struct ipcfs_hold **out);
    void (*release)(struct ipcfs_hold *hold);

    /* create() of a key. What is there is not touched: −EEXIST. With −ENOENT it is called again: what was made has
     * vanished. Makes use of sysv_hand_out(). */
    int (*make)(key_t key, const struct ipcfs_wish *wish, struct ipcfs_created *out);
    /* The file that create() gives with object `id`, none where objects are directories. `made`: it was made just now, and
     * who made it may do whatever he asks for, as with open(2). −ESTALE. */
    int (*open)(int id, const struct ipc_perm *perm, int flags, bool made, struct ipcfs_file **out);
};

/* −ENOSYS: a kernel without System V IPC. */
int sysv_start(const struct sysv_table *table);
/* There is nothing to undo. */
void sysv_stop(void);

/* The state of object `id`. −ESTALE where it is gone. */
int sysv_state(const struct sysv_table *table, int id, void *state);
/* The errno of a call on object `id`, which says EINVAL both of a wrong argument and of an object that is gone: `gone`
 * then. */
int sysv_error(const struct sysv_table *table, int id, int error, int gone);
/* IPC_SET. −ESTALE where it is gone. */
int sysv_set(const struct sysv_table *table, int id, void *state);
/* The id of a key's object. −ENOENT. */
int sysv_of_key(const struct sysv_table *table, key_t key);
/* The id of what the reference means, and its state. −ESTALE. A hold is one of sysv_hold_new(). */
int sysv_of_ref(const struct sysv_table *table, const struct ipcfs_ref *ref, void *state);

/* A hold that is the id and nothing more, which keeps nothing alive: for the slots `hold` and `release` of the table. */
int sysv_hold_new(int id, const struct ipc_perm *perm, struct ipcfs_hold **out);
void sysv_release(struct ipcfs_hold *hold);

/* As the slots of the backend. */
int sysv_find(const struct sysv_table *table, unsigned directory, const char *name, struct ipcfs_found *out,
              struct ipcfs_hold **hold);
int sysv_hold(const struct sysv_table *table, const struct ipcfs_ref *ref, struct ipcfs_hold **out);
int sysv_stat_object(const struct sysv_table *table, const struct ipcfs_ref *ref, struct statx *out);
int sysv_create(const struct sysv_table *table, const struct ipcfs_wish *wish, struct ipcfs_created *out);
void sysv_uncreate(const struct sysv_table *table, const struct ipcfs_created *created);
int sysv_remove(const struct sysv_table *table, unsigned directory, const char *name);

/* What create() hands out of object `id`: what was found, a hold and a file. What was `made` is removed where that fails.
 * −ENOENT where it has vanished. */
int sysv_hand_out(const struct sysv_table *table, int id, int flags, bool made, struct ipcfs_created *out);

/* Of times only "now" can be set, by IPC_SET, which always sets the time of change: −EPERM for any other. */
int sysv_check_times(const struct ipcfs_change *change);
/* Owner and mode by one IPC_SET: the `state` is the present one. That is all there is to do for times, too, and enough
 * for touch(1). */
int sysv_set_attributes(const struct sysv_table *table, int id, void *state,
                        const struct ipcfs_change *change);

/* A state of whatever kind. */
union sysv_state {
    struct ipc_perm perm;
    struct msqid_ds msg;
    struct semid_ds sem;
    struct shmid_ds shm;
};

/*
 * A walk through the kernel's table, for a kind that keeps more with it than sysv_list_open() does. A position is the
 * index that comes next. Each as the slot of its name: list_open(), list_seek(), list_next().
 */
struct sysv_walk {
    const struct sysv_table *table;
    unsigned directory;
    uint64_t position;
    uint64_t end;
    char name[SYSV_NAME_ROOM]; /* of the entry that was given last */
    union sysv_state state;    /* and its state: list_render() need not ask again */
};
int sysv_walk_start(struct sysv_walk *walk, const struct sysv_table *table, unsigned directory);
int sysv_walk_seek(struct sysv_walk *walk, uint64_t position);
int sysv_walk_next(struct sysv_walk *walk, struct ipcfs_entry *out);

/* As the slot look(): of every object `show` adds what is the kind's own. */
int sysv_look(const struct sysv_table *table,
              void (*show)(const union sysv_state *state, struct ipcfs_seen *seen), ipcfs_seen_row *row,
              void *data);

/* As the slots of the backend, of a walk that keeps nothing. */
int sysv_list_open(const struct sysv_table *table, unsigned directory, struct ipcfs_lister **out);
int sysv_list_seek(struct ipcfs_lister *lister, uint64_t position);
int sysv_list_next(struct ipcfs_lister *lister, struct ipcfs_entry *out);
void sysv_list_close(struct ipcfs_lister *lister);
/* The state of the entry that was given last. */
const union sysv_state *sysv_listed(const struct ipcfs_lister *lister);

#endif
