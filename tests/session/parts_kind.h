/* SPDX-License-Identifier: MIT */
/*
 * Kinds of the test's own: "set", whose objects are directories of files and of members, and "slab", whose objects have
 * their size for good. A member of a set is a semaphore; what waits for it waits in a futex(2), as a keeper has to.
 */
#ifndef IPCFS_TESTS_SESSION_PARTS_KIND_H
#define IPCFS_TESTS_SESSION_PARTS_KIND_H

#include "wire.h"

#include <stdatomic.h>

enum { OBJECTS = 4, MEMBERS = 3 };

struct set_object {
    char name[NAME_MAX + 1]; /* "": none */
    uint64_t number, birth;
    mode_t mode;
    uid_t uid;
    gid_t gid;
    int values[MEMBERS];
};

/* What the kinds did and were told. What is not atomic is guarded, or of tests with one thread. */
struct natively {
    struct set_object objects[OBJECTS]; /* guarded by a lock of the kind's: see parts_set() and the like */
    atomic_int holds, files, listers;
    atomic_int taken;    /* holds that are locked */
    atomic_int blocking; /* threads in the native call that waits */
    atomic_int wrong;    /* calls that no kind should get */
    uint64_t births;
    int create_error;
    atomic_uint creations, uncreations;
    _Atomic uid_t maker, opener, writer, commander;
    _Atomic mode_t mode;
    atomic_uint changes;
    atomic_bool command_held; /* the last prepare() was given a hold */
    off_t slab_size;
    char slab[8];
};
extern struct natively native;

extern const struct ipcfs_backend set_kind;
extern const struct ipcfs_backend slab_kind;

/* Sets "one" (0640, of 1000:1001) and "two" (0777, root's), all values 0. */
void parts_reset(void);
struct set_object *parts_object(const char *name);
/* Removes it; those that wait for it end with EIDRM. 0 or −ENOENT. */
int parts_remove(const char *name);
int parts_value(const char *name, int member);
/* Wakes who waits. Does nothing where there is no such object. */
void parts_set(const char *name, int member, int value);

#endif
