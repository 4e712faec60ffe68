/* SPDX-License-Identifier: MIT */
/* What the tests of all kinds of System V objects share. */
#ifndef IPCFS_TESTS_CONTRACT_SYSV_COMMON_H
#define IPCFS_TESTS_CONTRACT_SYSV_COMMON_H

#include "subject.h"

#include <sys/ipc.h>
#include <time.h>

enum { BY_ID, BY_KEY };

/* create() in by-key. */
int try_create_key(const char *name, int flags, mode_t mode, struct ipcfs_created *out);
struct ipcfs_created create_key(const char *name, int flags, mode_t mode);
/* create() with options or NULL, for reading and writing; what it makes is let go of. `expected` is in the reason of an
 * error. */
int create_because(unsigned directory, const char *name, const struct ipcfs_value *options,
                   const char *expected);
int id_of(const struct ipcfs_created *object);
/* The id, or −errno, with and without a hold, which must agree. */
int find_in(unsigned directory, const char *name);

/* Reference to the object of the key 0x2a as the FUSE side makes it. */
struct ipcfs_ref key_ref(const struct ipcfs_created *object, bool by_hold);
const struct ipcfs_verb *find_verb(const char *name);

/* Sets kernel.NAME of the private name space; tells what it was. */
long set_kernel(const char *name, long value);

/* Runs `function` in a child process that has that identity for good; its result must be 0. */
void as_user(uid_t uid, gid_t gid, int (*function)(void *), void *data);

/* ---- tests that are the same for all kinds ---- */

void check_naming_directories(void);
/* Of the only object, which has the key 0x2a. */
void check_wrong_names(int id);
/* Of the only object, whose key is IPC_PRIVATE: the native call of key 0 would make one. */
void check_private_object(int id);
/* Names that nothing can be created by. `options`: those that would do. */
void check_create_refused(const struct ipcfs_value *options);

/*
 * A walk shows each object once, except that of the key `removed + 1`. Their keys are 1 to MANY, `ids` is in this order.
 * `key_of` tells the key of an entry as it is natively, and checks what else is of the kind.
 */
enum { MANY = 4000 };
void check_walk(unsigned directory, const int *ids, int removed,
                int (*key_of)(struct ipcfs_lister *lister, const struct ipcfs_entry *entry));

/* What the kernel says of an object. */
struct native_look {
    struct ipc_perm perm;
    time_t ctime;
};
/* Of an object of root's with the key 0x2a and the mode 0600. `given` is set, and it must have `expected`. */
void check_change_attributes(const struct ipcfs_created *object, mode_t given, mode_t expected,
                             struct native_look (*look)(int id));
void check_change_times(const struct ipcfs_created *object, struct native_look (*look)(int id));

/* Every allocation of the operation fails once: it leaves nothing behind, and so many objects. Tells how many there were.
 * `check` is called each time. */
unsigned fail_each_allocation(int (*operation)(void), size_t objects, void (*check)(void));

/* ---- the permission check beside the kernel's ---- */

enum {
    OWNER = 1000,
    OWNING_GROUP = 2000,
    CREATOR = 1100,
    CREATING_GROUP = 2100,
    STRANGER = 1,
    OTHER_GROUP = 9
};
enum { MODES = 01000 };

struct identity {
    const char *what;
    uid_t uid;
    gid_t gid;
    size_t group_count;
    gid_t last_group;   /* of the supplementary ones */
    bool without_power; /* gives CAP_IPC_OWNER up */
};
/* Effective ids, as the FUSE side puts them on. 0 or −1. */
int become(const struct identity *identity);
/* Calls `compare` in a child process for each identity there is, which it has to become; its result must be 0. `ids` are
 * the objects, one of each mode. */
void compare_for_every_identity(const int *ids,
                                int (*compare)(const int *ids, const struct identity *identity));

#endif
