/* SPDX-License-Identifier: MIT */
/* The objects of the kind `sock`, as far as they are nodes: names, attributes, creation, removal. Slots of its table. */
#ifndef IPCFS_BACKENDS_SOCK_NODES_H
#define IPCFS_BACKENDS_SOCK_NODES_H

#include "nodes.h"

int sock_start(void);
void sock_stop(void);
const char *sock_watched_name(const char *file, bool *passing);
int sock_stat_directory(unsigned directory, struct ipcfs_directory *out);
int sock_stat_system(struct statvfs *out);
int sock_list_open(unsigned directory, struct ipcfs_lister **out);
int sock_list_next(struct ipcfs_lister *lister, struct ipcfs_entry *out);

int sock_find(unsigned directory, const char *name, struct ipcfs_found *out, struct ipcfs_hold **hold);
int sock_hold(const struct ipcfs_ref *ref, struct ipcfs_hold **out);
int sock_stat(const struct ipcfs_ref *ref, struct statx *out);

/* What ctl/sock/create takes. */
extern const struct ipcfs_field sock_options[];
int sock_create(const struct ipcfs_wish *wish, struct ipcfs_created *out);
void sock_uncreate(unsigned directory, const char *name, const struct ipcfs_created *created);
int sock_remove(unsigned directory, const char *name);
int sock_rename(unsigned directory, const char *name, unsigned to_directory, const char *to_name,
                unsigned flags);
int sock_link(const struct ipcfs_ref *ref, unsigned directory, const char *name);
int sock_change(const struct ipcfs_ref *ref, struct ipcfs_file *file, const struct ipcfs_change *change);

/* Of a regular file: −EISDIR and −ENXIO of the others. */
int sock_open(const struct ipcfs_ref *ref, int flags, struct ipcfs_file **out);
int sock_lock_owner(const struct ipcfs_ref *ref, struct ipcfs_file **out);

#endif
