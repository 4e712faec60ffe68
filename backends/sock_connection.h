/* SPDX-License-Identifier: MIT */
/* Connections made through the mount: what `accept` and `connect` of a listening socket open. */
#ifndef IPCFS_BACKENDS_SOCK_CONNECTION_H
#define IPCFS_BACKENDS_SOCK_CONNECTION_H

#include "ipcfs/backend.h"

/* As `open` of a verb. −EOPNOTSUPP where the socket takes datagrams. */
int connection_open_accept(const struct ipcfs_ref *ref, int64_t number, int flags, struct ipcfs_file **out);
int connection_open_connect(const struct ipcfs_ref *ref, int64_t number, int flags, struct ipcfs_file **out);

#endif
