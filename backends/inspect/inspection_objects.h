/* SPDX-License-Identifier: MIT */
/* The objects of an inspection, each once: an array, and a table by which they are found in it. */
#ifndef IPCFS_BACKENDS_INSPECT_INSPECTION_OBJECTS_H
#define IPCFS_BACKENDS_INSPECT_INSPECTION_OBJECTS_H

#include "inspection.h"

#define NO_OBJECT SIZE_MAX

/* What makes an object itself. */
struct object_key {
    enum inspected_type type;
    const struct ipcfs_backend *kind; /* NULL of what is not of the tree; and so the device of what is */
    uint64_t number;
    dev_t device;
};

/* Of what is known by a path alone; its number is objects_number(). */
#define NO_DEVICE ((dev_t)-1)

/* By type, then by kind in the order of ipcfs_backends, then by number, then by device: < 0, 0, > 0. */
int object_keys_compare(const struct object_key *one, const struct object_key *other);

/* What is known of an object only while the inspection is made. */
struct object_note {
    char *listed;   /* a name that leads to it; owned; NULL: none */
    bool unwanted;  /* nothing is to be told of it, unless somebody waits there */
    size_t becomes; /* it has turned out to be that one; or NO_OBJECT */
};

struct objects {
    struct inspected_object *rows; /* owned; and so their names */
    struct object_note *notes;     /* owned; parallel */
    size_t count, room, note_room;
    size_t *slots; /* owned: a hash table of indices */
    size_t slot_count;
    uint64_t secret[8]; /* users choose inode numbers of file systems of their own */
};

/* Zeros are an empty one, but for the secret. */
void objects_begin(struct objects *objects);
void objects_free(struct objects *objects);

/* That of a text, in the place of an inode's. Two texts may have the same, but nobody can find out which. */
uint64_t objects_number(const struct objects *objects, const char *text);
/* NO_OBJECT where there is none. */
size_t objects_find(const struct objects *objects, const struct object_key *key);
/* Adds it where there is none; without a name then. 0 or −ENOMEM. */
int objects_add(struct objects *objects, const struct object_key *key, size_t *index);
/* Its name from now on. 0 or −ENOMEM. */
int objects_name(struct objects *objects, size_t index, const char *name, size_t length);

#endif
