/* SPDX-License-Identifier: MIT */
/*
 * The tmpfs at /dev/shm, in which the C library keeps POSIX shared memory and semaphores: its directory, and the files in
 * it. Anything may lie there, so a name is first resolved with O_PATH | O_NOFOLLOW, which opens nothing.
 */
#ifndef IPCFS_BACKENDS_TMPFS_H
#define IPCFS_BACKENDS_TMPFS_H

#include "ipcfs/backend.h"

#include <dirent.h>

#define IPCFS_SHM_DIRECTORY "/dev/shm"

/* Each kind has one of its own, because each starts and stops by itself. */
struct tmpfs {
    int fd; /* of the directory */
    dev_t device;
};
/* −ENOSYS where it is not the file system that the C library takes. */
int tmpfs_open(struct tmpfs *out);
void tmpfs_close(struct tmpfs *tmpfs);

/* Attributes of `name` in `directory`, or of `directory` itself with "". 0 or −errno. */
int tmpfs_stat_at(int directory, const char *name, struct statx *out);
/* Whether a file of those attributes is a regular file of the tmpfs itself, not of what is mounted on a name in it. */
bool tmpfs_is_file(const struct tmpfs *tmpfs, const struct statx *stat);
struct ipcfs_objid tmpfs_object_id(const struct statx *stat);
/* Whether the file of those attributes is the object that the reference means. */
bool tmpfs_is_meant(const struct ipcfs_ref *ref, const struct statx *stat);

/* An O_PATH descriptor of that regular file, and its attributes. −ESTALE for any other kind of file. */
int tmpfs_path_descriptor(const struct tmpfs *tmpfs, const char *name, struct statx *stat);
/* What open(2) with O_NOFOLLOW, as the C library does it, answers where the name is not a regular file. */
int tmpfs_refusal(mode_t mode);
/* Removes the name if it means that object. */
void tmpfs_remove_if(const struct tmpfs *tmpfs, const char *name, struct ipcfs_objid id);

/* A hold takes the descriptor. 0 or −ENOMEM. */
struct ipcfs_hold {
    int fd; /* O_PATH */
};
int tmpfs_make_hold(int *fd, struct ipcfs_hold **out);
void tmpfs_release(struct ipcfs_hold *hold);

/* A walk. 1 with what readdir(3) gives, 0 at the end; the rest is as the slots of the backend. */
int tmpfs_list_open(const struct tmpfs *tmpfs, struct ipcfs_lister **out);
int tmpfs_list_seek(struct ipcfs_lister *lister, uint64_t position);
int tmpfs_list_next(struct ipcfs_lister *lister, const struct dirent **out);
void tmpfs_list_close(struct ipcfs_lister *lister);
/* The entry of a file that bears `name` here. */
struct ipcfs_entry tmpfs_entry(const struct dirent *file, const char *name, mode_t type);

#endif
