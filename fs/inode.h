/* SPDX-License-Identifier: MIT */
/*
 * The inode numbers of the mount: made of what they are of, and read back.
 *
 * 8 bits what it is, 8 bits of which kind, 48 bits the object's own number. So they are the same at every look, known without
 * a node (readdir), and different for all that is shown at one time, but that two names of one object have control
 * directories with the same numbers. An object of the first kind, POSIX shared memory, has the very number that its tmpfs
 * file has.
 *
 * Who finds such a number in another process (stat(2) of what it has open) learns from it which object that is:
 * inode_meaning(). Kinds that have members, or control files with numbers, have objects whose numbers are below 2^32, and the
 * member's stands above that. Numbers of control files are many and any: they are scattered there and not read back.
 */
#ifndef IPCFS_FS_INODE_H
#define IPCFS_FS_INODE_H

#include "node.h"
#include "tree.h"

/* So many looks in a row at an open connection show different numbers. */
enum { INODE_LOOKS = 11 };

/* The inode numbers of a fixed entry, and of an object. */
uint64_t entry_inode(const struct tree_entry *entry);
uint64_t object_inode(const struct ipcfs_backend *backend, uint64_t number);
uint64_t control_inode(const struct ipcfs_backend *backend, uint64_t number);
/* Of the control file or member that a node of this description is, or would be. */
uint64_t part_inode(const struct node_kin *kin);
/* Of a process, and of a link in its directory: a hash of its name, so that no two are likely to be the same. */
uint64_t process_inode(pid_t pid);
uint64_t process_link_inode(pid_t pid, const char *name);
/*
 * Of a connection that is open, at the look of that number. A regular file that is both what a program reads and what it
 * writes would grow for ever, so cat(1) and grep(1) refuse to begin: they know it by the inode number. A connection is both in
 * the simplest of servers (cat <&3 >&3), and is a regular file, because of nothing else would open(2) come here. So while it
 * is open, every look shows another number.
 */
uint64_t look_inode(const struct node_kin *kin, unsigned look);

/* What a number is of. Of `out` then type, backend, object.number, verb and, of members and what is in them, number are set; of
 * an object that is a directory the type is NODE_OBJECT, too. False for the fixed tree, proc/, and what is no number of this mount. */
bool inode_meaning(uint64_t ino, struct node_kin *out);

#endif
