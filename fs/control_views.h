/* SPDX-License-Identifier: MIT */
/*
 * The files that look at the whole system: `render` of files of ctl/ (struct control_file) and `read` of those that every
 * object has. Each acts as the caller, and shows what he could see natively.
 */
#ifndef IPCFS_FS_CONTROL_VIEWS_H
#define IPCFS_FS_CONTROL_VIEWS_H

#include "node.h"

#include "ipcfs/caller.h"

struct ipcfs;

/* fs/control_list.c: of a kind, and of all */
int control_kind_list(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                      struct text *out);
int control_kind_list_json(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                           struct text *out);
int control_list_json(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                      struct text *out);
/* fs/control_limits.c: of a kind, and of all */
int control_kind_limits(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                        struct text *out);
int control_kind_limits_json(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                             struct text *out);
int control_limits(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                   struct text *out);
int control_limits_json(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                        struct text *out);
/* fs/control_readme.c */
int control_readme(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                   struct text *out);
/* fs/control_metrics.c */
int control_metrics(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                    struct text *out);
/* fs/control_orphans.c */
int control_orphans(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                    struct text *out);
int control_orphans_json(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                         struct text *out);
/* fs/control_waits.c */
int control_waits(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                  struct text *out);
int control_waits_json(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                       struct text *out);
int control_waits_dot(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                      struct text *out);
int control_deadlocks(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                      struct text *out);
/* fs/control_graph.c */
int control_graph(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                  struct text *out);
/* fs/control_holders.c */
extern const struct ipcfs_field holders_fields[];
extern const struct ipcfs_field waiters_fields[];
int holders_text(struct ipcfs *fs, const struct caller *caller, const struct node_kin *kin,
                 const struct ipcfs_ref *ref, struct text *out);
int holders_json(struct ipcfs *fs, const struct caller *caller, const struct node_kin *kin,
                 const struct ipcfs_ref *ref, struct text *out);
int waiters_text(struct ipcfs *fs, const struct caller *caller, const struct node_kin *kin,
                 const struct ipcfs_ref *ref, struct text *out);
int waiters_json(struct ipcfs *fs, const struct caller *caller, const struct node_kin *kin,
                 const struct ipcfs_ref *ref, struct text *out);

#endif
