/* SPDX-License-Identifier: MIT */
/*
 * What was known of each object at the last look, so that a look can tell what has changed.
 *
 * The memory it takes is bounded: of more than KNOWN_MAX objects the rest is not known. Of those it is told that they were
 * created and removed, where the kernel tells that, but not that they have another size, mode or owner.
 */
#ifndef IPCFS_FS_EVENTS_KNOWN_H
#define IPCFS_FS_EVENTS_KNOWN_H

#include "hash.h"

#include "ipcfs/backend.h"

enum { KNOWN_MAX = 128 * 1024 };

struct known {
    UT_hash_handle hh;
    struct ipcfs_objid id; /* zeros: it was gone before it could be looked at */
    bool sized;
    uint64_t size;
    mode_t mode;
    uid_t uid;
    gid_t gid;
    enum ipcfs_fill fill;
    pid_t creator;
    bool creator_gone;
    uint64_t look; /* number of the last that saw it */
    const struct ipcfs_backend *kind;
    size_t key_length;
    char *key; /* in this piece of memory: the kind, and the name, terminated: */
    const char *name;
    char *other; /* owned: its name in the second directory; NULL: none */
};

/* Zeros: empty. */
struct known_table {
    struct known *by_name;
    bool full; /* there are objects that are not in it */
};

/* NULL: it is not known. */
struct known *known_find(struct known_table *table, const struct ipcfs_backend *kind, const char *name);
/* The same, made where it is not there; NULL where there is no room. */
struct known *known_get(struct known_table *table, const struct ipcfs_backend *kind, const char *name);
void known_drop(struct known_table *table, struct known *known);
void known_clear(struct known_table *table);

#endif
