/* SPDX-License-Identifier: MIT */
/* Datagrams through the mount: what `send` and `recv` of a listening socket open. One write sends one, one read takes one. */
#ifndef IPCFS_BACKENDS_SOCK_DATAGRAM_H
#define IPCFS_BACKENDS_SOCK_DATAGRAM_H

#include "sock_endpoint.h"

/* As `open` of a verb. −EOPNOTSUPP where the socket takes connections. */
int datagram_open_send(const struct ipcfs_ref *ref, int64_t number, int flags, struct ipcfs_file **out);
int datagram_open_recv(const struct ipcfs_ref *ref, int64_t number, int flags, struct ipcfs_file **out);

/* How many are queued. The kernel does not tell, so they are looked at one after another; empty ones are seen once. */
unsigned datagrams_queued(struct endpoint *endpoint);

#endif
