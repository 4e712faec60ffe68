/* SPDX-License-Identifier: MIT */
/*
 * Control files: what stands under ctl/, and sysv/ftok. Tables: files of ctl/, of ctl/<kind>/ (those of creation only
 * where a kind has options), of sysv/, and the files every object has in ctl/<path of the object>/ before those of its
 * kind. ctl/README is made from the same tables.
 */
#ifndef IPCFS_FS_CONTROL_H
#define IPCFS_FS_CONTROL_H

#include "node.h"
#include "tree.h"

extern const struct control_file control_files[];
extern const struct control_file control_kind_files[];
extern const struct control_file control_create_files[];
extern const struct control_file control_sysv_files[];

/*
 * The control file number `index` of the place that a node of that type is, or is in: ctl/<object>/, an object that is a
 * directory, or a member of one. NULL past the last.
 */
const struct ipcfs_verb *control_verb(const struct ipcfs_backend *kind, enum node_type type, unsigned index);
/* Its number by name; −ENOENT. */
int control_verb_find(const struct ipcfs_backend *kind, enum node_type type, const char *name,
                      unsigned *index);
/* That of a node which has one. */
const struct ipcfs_verb *control_verb_of(const struct node_kin *kin);
/* Whether rendering it looks at all processes: it runs beside the threads that answer requests. */
bool control_verb_is_slow(const struct node_kin *kin);
/* Renders a control file that has a text; one that is only written renders nothing. */
int control_verb_read(struct ipcfs *fs, const struct caller *caller, const struct node_kin *kin,
                      const struct ipcfs_ref *ref, struct text *out);
/* Whether it is `lines` of a kind with messages, whose `open` is not the backend's: fs/message.h is what it opens. */
bool control_verb_is_lines(const struct node_kin *kin);

/* The `write` of ctl/<kind>/create and of sysv/ftok. */
int control_create(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                   const char *line, size_t length, struct text *answer);
int control_ftok(struct ipcfs *fs, const struct ipcfs_backend *kind, const struct caller *caller,
                 const char *line, size_t length, struct text *answer);

#endif
