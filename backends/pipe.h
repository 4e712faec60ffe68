/* SPDX-License-Identifier: MIT */
/*
 * Named pipes: FIFOs of the mount, made by mkfifo(3). The kernel makes a pipe of such an inode when it is first opened
 * (fifo(7); fifo_open(), Linux fs/pipe.c), and no open, read or write of it ever comes to the daemon. What it does not keep
 * is the node: name, owner, mode and times are those of a FIFO in the runtime directory (ipcfs/place.h). That one is never
 * opened: it would be another pipe.
 *
 * Nothing else that may lie there is an object. Names that begin with ".ipcfs." are this program's own.
 */
#ifndef IPCFS_BACKENDS_PIPE_H
#define IPCFS_BACKENDS_PIPE_H

#include "ipcfs/backend.h"

extern const struct ipcfs_backend ipcfs_pipe_backend;

/* A descriptor, borrowed, of the directory with the FIFOs; from start to stop. */
int pipe_nodes(void);
/* A descriptor of the FIFO that a reference means by its name, as nodes_resolve() gives it. */
int pipe_resolve(const struct ipcfs_ref *ref, struct statx *stat);

#endif
