/* SPDX-License-Identifier: MIT */
/*
 * UNIX sockets. What lies in a directory of the runtime directory (ipcfs/place.h) is what there is, of three types:
 *
 *   socket     made by bind(2) of any program, which sends MKNOD. The kernel finds the socket by the inode of the mount
 *              (unix_find_bsd(), Linux net/unix/af_unix.c), and checks for the right to write to it; neither connect(2) nor
 *              data come to the daemon. The node outlives the socket, as on every file system.
 *   file       a regular file, which programs put beside their sockets: lock files, process ids.
 *   directory  made by mkdir(2): a socket on which the daemon listens (backends/sock_listener.h). Its permission bits are
 *              those for reading and writing, with the right to search for whom any of them is. It keeps its name.
 *
 * Nothing else that may lie there is an object. Names that begin with ".ipcfs." are this program's own.
 */
#ifndef IPCFS_BACKENDS_SOCK_H
#define IPCFS_BACKENDS_SOCK_H

#include "ipcfs/backend.h"

extern const struct ipcfs_backend ipcfs_sock_backend;

/* A descriptor, borrowed, of the directory with the nodes; from start to stop. */
int sock_nodes(void);

/* Removes the name of a reference, as the calling thread, if it still means that object. 0, −ESTALE, or why the name cannot
 * be removed. */
int sock_remove_meant(const struct ipcfs_ref *ref);

#endif
