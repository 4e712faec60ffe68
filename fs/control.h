/* SPDX-License-Identifier: MIT */
/*
 * Control files: what stands under ctl/. Three tables: files of ctl/, files of ctl/<kind>/, and the files every object
 * has in ctl/<path of the object>/ before those of its kind. ctl/README is made from the same tables.
 */
#ifndef IPCFS_FS_CONTROL_H
#define IPCFS_FS_CONTROL_H

#include "node.h"
#include "tree.h"

extern const struct control_file control_files[];
extern const struct control_file control_kind_files[];

/* The control file number `index` of an object of that kind: name, mode and help. NULL past the last. */
const struct ipcfs_verb *control_verb(const struct ipcfs_backend *kind, unsigned index);
/* Its number by name; −ENOENT. */
int control_verb_find(const struct ipcfs_backend *kind, const char *name, unsigned *index);
/* Whether it is `lines`, which all kinds with messages have (fs/message.h). */
bool control_verb_is_lines(const struct ipcfs_backend *kind, unsigned index);
/* Renders a NODE_CTL_FILE of type IPCFS_VERB_TEXT. */
int control_verb_read(const struct node_kin *kin, const struct ipcfs_ref *ref, struct text *out);

#endif
