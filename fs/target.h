/* SPDX-License-Identifier: MIT */
/*
 * What a request's node id means, and its attributes.
 *
 * Attributes come from the object at every request; nothing is kept. Timeouts: an object may change behind the daemon's
 * back at any moment, so it has none, and neither has its name, here and below ctl/. The tree's own entries, control
 * directories and files never change.
 *
 * Why a stat(2) has to cost a LOOKUP and a GETATTR. A name that the kernel may keep could be checked by the GETATTR or OPEN
 * that follows, and ESTALE has the path walked anew. But nothing follows where the kernel answers by itself: a name that is
 * gone would still be found by O_PATH, readlink(2), realpath(3), getxattr(2) (ENOSYS is remembered), statx(2) with
 * AT_STATX_DONT_SYNC; chmod(2) and link(2) would go by the former owner and mode (setattr_prepare(), may_linkat()); and
 * rename(2) of two names that meant one object would succeed and do nothing (vfs_rename()), which loses data. Attributes
 * kept for the shortest time there is, a tick, would spare the GETATTR of the same call, but also that of an fstat(2) of an
 * O_PATH descriptor, of which the daemon never hears. tests/mount/names.py has all of these.
 *
 * A directory of objects is the tree's own, too. The kernel keeps its attributes, and so saves a request per walk
 * through it; so they must not decide about what can change natively. They grant everything, and every step into the
 * directory is checked against the native one, by doing it as the caller. Only owner and sticky bit are the native ones,
 * because the kernel's own checks need them (who may remove a name; fs.protected_regular). Every lookup in the directory
 * sees whether they have changed, and then has the kernel forget what it was told; before it makes such a check it asks
 * for the right to write to the directory, and so again.
 */
#ifndef IPCFS_FS_TARGET_H
#define IPCFS_FS_TARGET_H

#include "inode.h"
#include "ipcfs.h"
#include "processes.h"

/* Seconds for which the kernel may keep an answer. */
#define TIMEOUT_FIXED 86400.0
#define TIMEOUT_OBJECT 0.0

/*
 * The size that the kernel is to believe a fresh node has (fs/node.h). A direct write(2) that ends behind the size the
 * kernel knows takes the inode's lock exclusively (fuse_dio_wr_exclusive_lock(), Linux fs/fuse/file.c), and a second
 * writer on the same descriptor would wait for it where no signal reaches him, as long as the first waits here. So the
 * answers from which the kernel takes the size, of LOOKUP and SETATTR, give one that only few writes go beyond. (It is
 * also the position of a write with O_APPEND, and must not be above what RLIMIT_FSIZE may be.)
 * GETATTR tells the true one: stat(2) shows it, and the kernel does not keep it, because target_loosen() told it before
 * that the inode has changed (the attr_version in fuse_change_attributes_i(), fs/fuse/inode.c).
 *
 * A connection is written to by several, and waits for its other end: no write(2) goes beyond its size (MAX_RW_COUNT, Linux
 * include/linux/fs.h, is less), and open(2) without O_LARGEFILE still takes it. But O_APPEND takes the lock whatever the
 * size is: writers who share such a descriptor wait for each other in the kernel.
 */
enum { OPEN_SIZE = 1 << 20, CONNECTION_OPEN_SIZE = INT32_MAX };

/* Either a fixed entry of the tree, or a node in use. */
struct target {
    const struct tree_entry *entry;
    struct node_use use;
};

/* −ESTALE for an id that means nothing. */
int target_get(struct ipcfs *fs, uint64_t id, struct target *target);
void target_put(struct target *target);
#define AUTO_TARGET __attribute__((cleanup(target_put))) struct target

/*
 * Attributes as the mount shows them: with its inode number and, for control files, its mode. `*timeout` is
 * for how long the kernel may keep them. Of what is in proc/ the calling thread has the caller's identity.
 */
int target_stat(struct ipcfs *fs, const struct target *target, struct statx *out, double *timeout);

/* Whether it is a control file of this type. */
bool target_is_verb(const struct target *target, enum ipcfs_verb_type type);
/* Whether it is a fresh node that can be written to, or a file of ctl/ that is written. */
bool target_has_open_size(const struct target *target);
/* What the kernel is to believe that one of this description has. */
off_t open_size(const struct node_kin *kin);
/* Before the attributes of one are answered to GETATTR or STATX. */
void target_loosen(struct ipcfs *fs, uint64_t id, const struct target *target);

/* Looks at what a directory of the tree stands for; tells the kernel where it has changed. */
int directory_look(struct ipcfs *fs, const struct tree_entry *entry, struct ipcfs_directory *out);

/* The same for an object that has just been found. */
void object_attributes(const struct ipcfs_backend *backend, const struct ipcfs_found *found,
                       struct statx *out);
/* The same for a control directory or file. They are constant: a node's depend on the object's identity alone. */
void control_attributes(const struct ipcfs *fs, const struct node_kin *kin, struct statx *out);
/* The same for what is in an object with these attributes: it has the object's owner, and no right that this denies. */
void part_attributes(const struct ipcfs *fs, const struct node_kin *kin, const struct statx *object,
                     struct statx *out);
/* The same for a process, or a link in its directory. */
void process_attributes(const struct ipcfs *fs, const struct node_kin *kin, const char *name,
                        const struct process_identity *identity, struct statx *out);
void statx_to_stat(const struct statx *from, struct stat *to);

#endif
