/* SPDX-License-Identifier: MIT */
/* Regular files beside sockets, open. */
#ifndef IPCFS_BACKENDS_SOCK_PLAIN_H
#define IPCFS_BACKENDS_SOCK_PLAIN_H

#include "sock_file.h"

/* Takes the descriptor. 0 or −ENOMEM. */
int sock_plain_new(int *fd, struct ipcfs_file **out);
/* The descriptor, borrowed; −1 of an open file of another sort, and of NULL. */
int sock_plain_fd(const struct ipcfs_file *file);

#endif
