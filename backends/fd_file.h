/* SPDX-License-Identifier: MIT */
/* Objects that are regular files: what the slots of the contract do, by a descriptor. Nothing here waits, and nothing that
 * is not a regular file may come here: it is opened. Each is 0 (a count, a position, a descriptor) or −errno. */
#ifndef IPCFS_BACKENDS_FD_FILE_H
#define IPCFS_BACKENDS_FD_FILE_H

#include "ipcfs/backend.h"

/* Open flags of a caller that go on to the file. O_APPEND does not: it is a matter of each write (fd_file_write()). */
enum { FD_FILE_FLAGS = O_ACCMODE | O_DIRECT | O_NOATIME | O_SYNC | O_DSYNC };

/* Opens what an O_PATH descriptor is of, as the calling thread. `flags` as open(2), without O_CREAT and O_EXCL. */
int fd_file_open(int path_fd, int flags);
/* The same for a lock_owner(). */
int fd_file_open_to_lock(int path_fd);
/* Gives it a size: by the descriptor of the caller, or with −1 by one opened for it. */
int fd_file_resize(int path_fd, int fd, off_t size);

/* try_read, try_write and poll of the contract. */
ssize_t fd_file_read(int fd, char *buffer, size_t size, off_t offset, struct ipcfs_wait *wait);
ssize_t fd_file_write(int fd, const char *data, size_t size, off_t offset, int flags,
                      struct ipcfs_wait *wait);
int fd_file_poll(struct ipcfs_wait *wait);

int fd_file_allocate(int fd, int mode, off_t offset, off_t length);
off_t fd_file_seek(int fd, off_t offset, int whence);

#endif
