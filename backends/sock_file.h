/* SPDX-License-Identifier: MIT */
/* Open files of the kind `sock`: regular files beside sockets, connections, and datagram sockets. The slots of the backend
 * that take a file (backends/sock.c) call these. */
#ifndef IPCFS_BACKENDS_SOCK_FILE_H
#define IPCFS_BACKENDS_SOCK_FILE_H

#include "ipcfs/backend.h"

struct sock_file_ops {
    ssize_t (*try_read)(struct ipcfs_file *file, char *buffer, size_t size, off_t offset, int flags,
                        struct ipcfs_wait *wait);
    ssize_t (*try_write)(struct ipcfs_file *file, const char *data, size_t size, off_t offset, int flags,
                         struct ipcfs_wait *wait);
    int (*poll)(struct ipcfs_file *file, struct ipcfs_wait *wait);
    uint64_t (*lane)(struct ipcfs_file *file, bool writing);
    size_t (*message_room)(struct ipcfs_file *file);                      /* NULL: no datagrams */
    int (*try_connect)(struct ipcfs_file *file, struct ipcfs_wait *wait); /* NULL: no connection */
    void (*shutdown)(struct ipcfs_file *file, int how);                   /* NULL: no connection */
    void (*close)(struct ipcfs_file *file);
};

/* The first member of what each sort of open file is. */
struct ipcfs_file {
    const struct sock_file_ops *ops;
};

#endif
