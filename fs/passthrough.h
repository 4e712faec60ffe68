/* SPDX-License-Identifier: MIT */
/*
 * FUSE passthrough: the kernel carries read, write, splice and mmap of an open file on a backing file, without asking
 * the daemon (Linux Documentation/filesystems/fuse/fuse-passthrough.rst; fs/fuse/passthrough.c, backing.c, iomode.c).
 *
 * The backing file is registered by ioctl on the session's descriptor and named by an id. All open files of one inode
 * must use one id, and an inode that is open for passthrough can not be opened otherwise; fs/node.h keeps the id and
 * counts its users. The kernel opens the backing file for each opener with the credentials of the thread that
 * registered it, so that must be the daemon's own; the opener's right is checked before (fs/ops_file.c). With these
 * credentials it also writes: without CAP_FSETID among them a write takes set-user-ID bits off the object, whoever
 * writes, and even where they were set natively after the open, so that the mount does not know of them.
 */
#ifndef IPCFS_FS_PASSTHROUGH_H
#define IPCFS_FS_PASSTHROUGH_H

#include <stdbool.h>
#include <stdint.h>

enum passthrough_mode { PASSTHROUGH_AUTO, PASSTHROUGH_ON, PASSTHROUGH_OFF };

/* Parses "auto", "on" or "off"; −EINVAL for anything else. */
int passthrough_parse_mode(const char *word, enum passthrough_mode *mode);

/* Whether it can be had, by the kernel's release and this process's capabilities. Only a mount tells for sure. */
bool passthrough_expected(void);

/* Registers `fd`; returns the id, > 0, or −errno. */
int32_t passthrough_open(int session_fd, int fd);
/* Gives an id back. */
void passthrough_close(int session_fd, int32_t backing_id);

/*
 * Tries whether the kernel accepts a backing file on this session, after FUSE_INIT. 0, or −errno: −EPERM without
 * CAP_SYS_ADMIN in the initial user namespace.
 */
int passthrough_probe(int session_fd);

#endif
