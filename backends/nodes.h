/* SPDX-License-Identifier: MIT */
/*
 * A directory of a file system in which files are objects: the tmpfs at /dev/shm (backends/tmpfs.h), and what the runtime
 * directory has for a kind (ipcfs/place.h). It is reached by a descriptor, as the calling thread, and every 0 or −errno is
 * the kernel's own answer, but that only what is an object is found, changed or removed.
 *
 * Anything may lie there. So a name is first resolved with O_PATH | O_NOFOLLOW, which opens nothing: a FIFO or a device is
 * never opened, a symbolic link never followed.
 */
#ifndef IPCFS_BACKENDS_NODES_H
#define IPCFS_BACKENDS_NODES_H

#include "ipcfs/backend.h"

#include <dirent.h>

struct nodes {
    int fd; /* of the directory; −1: none */
    dev_t device;
    unsigned shows;      /* of which types files are objects: IPCFS_MAKES_ */
    const char *foreign; /* names that begin so are not the kind's; NULL: there are no such */
    bool spares;         /* it is in the runtime directory, half of which is left to root (place_room.h) */
};

/* Takes the descriptor; on error it is closed. */
int nodes_open(struct nodes *nodes, int fd);
void nodes_close(struct nodes *nodes);

/* ---- files ---- */

/* Attributes of `name` in `directory`, or of `directory` itself with "". */
int nodes_stat_at(int directory, const char *name, struct statx *out);
/* Whether a file with those attributes can be an object: of a type that is shown, and in the directory's own file system,
 * not what is mounted on a name in it. */
bool nodes_shows(const struct nodes *nodes, const struct statx *stat);
/* Whether the name is one of those that are not shown, whatever they are: foreign, or this program's own (".ipcfs."). */
bool nodes_hides(const struct nodes *nodes, const char *name);
/* Whether something in the directory can bear the name: not "", "." and "..". */
bool nodes_is_name(const char *name);
/* An inode's number, as part of an identity. */
static inline uint64_t nodes_number(uint64_t inode)
{
    return inode & ((UINT64_C(1) << 48) - 1);
}
/* As the slot watched_name(). */
const char *nodes_watched_name(const struct nodes *nodes, const char *file);
struct ipcfs_objid nodes_object_id(const struct statx *stat);
/* Whether the file of those attributes is the object that the reference means. */
bool nodes_is_meant(const struct ipcfs_ref *ref, const struct statx *stat);

/* An O_PATH descriptor of what the name means, and its attributes. −ESTALE where that is nothing that is shown. */
int nodes_path_descriptor(const struct nodes *nodes, const char *name, struct statx *stat);
/* The same of the object that the reference means, by its name; −ESTALE also where there is no such name. */
int nodes_resolve(const struct nodes *nodes, const struct ipcfs_ref *ref, struct statx *stat);
/* What open(2) with O_CREAT and O_NOFOLLOW, as the C library does it, answers where there is another type of file. */
int nodes_refusal(mode_t mode);
/* Removes the name if it means that object. */
void nodes_remove_if(const struct nodes *nodes, const char *name, struct ipcfs_objid id);

/* A hold takes the descriptor. 0 or −ENOMEM. */
struct ipcfs_hold {
    int fd; /* O_PATH */
};
int nodes_make_hold(int *fd, struct ipcfs_hold **out);
void nodes_release(struct ipcfs_hold *hold);

/* ---- walks (backends/nodes_list.c) ---- */

/* 1 with what readdir(3) gives, 0 at the end; the rest is as the slots of the contract. */
int nodes_list_open(const struct nodes *nodes, struct ipcfs_lister **out);
int nodes_list_seek(struct ipcfs_lister *lister, uint64_t position);
int nodes_list_file(struct ipcfs_lister *lister, const struct dirent **out);
void nodes_list_close(struct ipcfs_lister *lister);
/* The entry of a file that bears `name` here. */
struct ipcfs_entry nodes_entry(const struct dirent *file, const char *name, mode_t type);
/* As the slot, where objects have the names of their files. */
int nodes_list_next(const struct nodes *nodes, struct ipcfs_lister *lister, struct ipcfs_entry *out);

/* ---- what the slots of the contract do, where objects have the names of their files ---- */

int nodes_find(const struct nodes *nodes, const char *name, struct ipcfs_found *out,
               struct ipcfs_hold **hold);
int nodes_hold(const struct nodes *nodes, const struct ipcfs_ref *ref, struct ipcfs_hold **out);
int nodes_stat(const struct nodes *nodes, const struct ipcfs_ref *ref, struct statx *out);
/* A regular file of a reference that has a hold, opened: a descriptor. */
int nodes_open_file(const struct nodes *nodes, const struct ipcfs_ref *ref, int flags);

/* ---- and what makes, moves and removes names (backends/nodes_change.c) ---- */

/*
 * There is no file in `out`. Of a regular file `*fd` is a descriptor, opened as the wish has it; otherwise −1. A node of
 * another type is found by its name when it has just been made: so nobody else may remove or replace names meanwhile.
 */
int nodes_create(const struct nodes *nodes, const struct ipcfs_wish *wish, struct ipcfs_created *out,
                 int *fd);
/* Undoes it all, where what follows fails. */
void nodes_take_back(const struct nodes *nodes, const char *name, struct ipcfs_created *created);
void nodes_uncreate(const struct nodes *nodes, const char *name, const struct ipcfs_created *created);
/* `removed`, if not NULL, is what it was. */
int nodes_remove(const struct nodes *nodes, const char *name, struct ipcfs_found *removed);
int nodes_rename(const struct nodes *nodes, const char *name, const char *to_name, unsigned flags);
int nodes_link(const struct nodes *nodes, const struct ipcfs_ref *ref, const char *name);
/* A size may be changed of a regular file only: by `fd`, a descriptor of the caller's, or with −1 by one opened for it. */
int nodes_change(const struct nodes *nodes, const struct ipcfs_ref *ref, int fd,
                 const struct ipcfs_change *change);

#endif
