/* SPDX-License-Identifier: MIT */
/*
 * The mqueue file system as a directory: its descriptor, walks through it, and what is under a name.
 *
 * A process that may mount (CAP_SYS_ADMIN) gets a descriptor of it by fsopen(2) and fsmount(2), with no mount
 * point, so that nothing anybody mounts or unmounts matters. For others it is /dev/mqueue, where that is the
 * file system.
 */
#ifndef IPCFS_BACKENDS_MQ_DIRECTORY_H
#define IPCFS_BACKENDS_MQ_DIRECTORY_H

#include "ipcfs/backend.h"

/* How every queue is opened, beside the access mode. */
enum { MQ_OPEN_FLAGS = O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY };

int mq_directory_start(void);
void mq_directory_stop(void);

/* openat(2), fstatat(2) and unlinkat(2) of a name in it. −errno. */
int mq_name_open(const char *name, int flags);
int mq_name_stat(const char *name, struct statx *out);
int mq_name_remove(const char *name);
/* Removes the name if it means the queue of that inode number. */
void mq_name_remove_if(const char *name, uint64_t number);

/* statx of what a descriptor is of. */
int mq_fd_stat(int fd, struct statx *out);
/* Opens what a descriptor (O_PATH or any) is of once more, with the calling thread's own rights. −errno. */
int mq_fd_open(int fd, int access);

/* Whether it is a queue of this file system: not the directory itself, nor what is mounted on a name. */
bool mq_is_queue(const struct statx *stat);
struct ipcfs_objid mq_id(const struct statx *stat);
/*
 * Whether the calling thread may search the directory: a queue reached by a descriptor is still reached
 * through it.
 */
int mq_check_search(void);

int mq_directory_watched(void);
int mq_stat_directory(unsigned directory, struct ipcfs_directory *out);
int mq_stat_system(struct statvfs *out);
bool mq_recognize(const struct ipcfs_thing *thing, uint64_t *number);
int mq_list_open(unsigned directory, struct ipcfs_lister **out);
int mq_list_seek(struct ipcfs_lister *lister, uint64_t position);
int mq_list_next(struct ipcfs_lister *lister, struct ipcfs_entry *out);
void mq_list_close(struct ipcfs_lister *lister);

#endif
