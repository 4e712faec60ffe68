/* SPDX-License-Identifier: MIT */
/* The messages of sock_diag(7) that tell of a socket each. */
#ifndef IPCFS_BACKENDS_SOCK_DIAG_MESSAGE_H
#define IPCFS_BACKENDS_SOCK_DIAG_MESSAGE_H

#include "sock_diag.h"

#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/un.h>

/* A path that fills sun_path, which is longer than "[ADDRESS]%INTERFACE:PORT", and a terminator. */
enum { DIAG_ADDRESS_ROOM = sizeof(((struct sockaddr_un *)0)->sun_path) + 2 };
_Static_assert(INET6_ADDRSTRLEN + 2 + 1 + IFNAMSIZ + 1 + 5 <= DIAG_ADDRESS_ROOM, "room for both");

/* Where the strings of a struct diag_socket are that are not constant. */
struct diag_addresses {
    char local[DIAG_ADDRESS_ROOM];
    char remote[DIAG_ADDRESS_ROOM];
};

/* Each: false where it is no message about such a socket. `out` borrows the addresses. */
bool diag_parse_unix(const struct nlmsghdr *message, struct diag_addresses *addresses,
                     struct diag_socket *out);
/* `kind`: "tcp" or "udp". `fd`: any socket of the network name space, to ask it for the name of an interface. */
bool diag_parse_inet(const struct nlmsghdr *message, const char *kind, int fd,
                     struct diag_addresses *addresses, struct diag_socket *out);

#endif
