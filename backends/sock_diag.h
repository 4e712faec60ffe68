/* SPDX-License-Identifier: MIT */
/*
 * The machine's sockets, as the kernel tells of them by sock_diag(7). Nothing here takes or changes anything, or waits for
 * anybody. The kernel tells everybody, whoever he is, of all sockets of a network name space (ss(8) needs no rights either).
 *
 * A walk is no snapshot: the kernel answers in pieces of up to 32 KiB, and sockets come and go between two. One that is
 * there all the time is usually met once; but where a socket beside it in the kernel's hash table comes or goes just between
 * two pieces, it may be met twice or not at all (unix_diag_dump() in Linux net/unix/diag.c counts sockets).
 *
 * −EOPNOTSUPP: the kernel has no module to tell of what is asked for. The walk over all sockets leaves out what it has no
 * module for, and logs that once.
 */
#ifndef IPCFS_BACKENDS_SOCK_DIAG_H
#define IPCFS_BACKENDS_SOCK_DIAG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A socket. Unknown numbers are 0; strings are borrowed for the call that gives them. */
struct diag_socket {
    const char *kind;  /* "unix-stream", "unix-dgram", "unix-seqpacket", "tcp", "udp"; constant */
    const char *state; /* "listen", "established", "unconnected" …; constant */
    /* Address, as ss -n writes it: "127.0.0.1:80", "[::1]:80", "0.0.0.0:80" (IPv4 only), "[::]:80" (IPv6 only), "*:80" (both);
     * "*" for port 0. Of a UNIX socket its path as it was bound, or "@NAME" of the abstract name space, with '@' for each NUL
     * byte; "" without a name. */
    const char *local;
    const char
        *remote;    /* the same of the other end; "" of a UNIX socket, whose other end is told by `peer` */
    uint32_t inode; /* 0: it belongs to no process any more (TIME-WAIT), or not yet */
    uint32_t peer;  /* inode of the other end (UNIX) */
    /* Bytes that wait to be read (of datagrams of UNIX: of the first one); of one that listens: connections that wait to be
     * accepted. */
    uint32_t receive;
    /* Bytes that are not read, or acknowledged, by the other end (UNIX: the memory that they take); of one that listens: its
     * backlog. */
    uint32_t send;
    bool has_uid;
    uid_t uid;  /* owner */
    bool bound; /* to a node of a file system: */
    dev_t node_device;
    uint32_t node_inode; /* low 32 bits */
    /* connect(2) to the node finds it. Not so a connected stream: it may have been bound to the node itself, or have the
     * address from the socket that accepted it, which need not be there any more. */
    bool reachable;
};

/* Anything but 0 ends the walk, which returns it. */
typedef int diag_visit(void *data, const struct diag_socket *socket);

/* All UNIX, TCP and UDP sockets of the daemon's network name space. 0 or −errno. */
int diag_walk(diag_visit *visit, void *data);

/* A UNIX socket of that inode in the daemon's network name space; its addresses are left out (""). 0, −ENOENT or −errno. */
int diag_find_unix(uint32_t inode, struct diag_socket *out);

/*
 * UNIX sockets that are bound to a node, of all other network name spaces (net_spaces.h says which are found): their
 * addresses are not of one (unix(7)), but sock_diag tells of one only. `visit` has the daemon's own identity. 0; or −errno,
 * after it has visited what could be seen.
 */
int diag_walk_elsewhere(diag_visit *visit, void *data);
/* The same of the daemon's own network name space. 0 or −errno. */
int diag_walk_here(diag_visit *visit, void *data);

/*
 * The sockets bound to a node, whose inode has that number (all of it or its low 32 bits): those of the daemon's network name
 * space; and where none of them is `reachable`, those of all others, as above. Visits each; 0 or −errno.
 */
int diag_walk_bound(dev_t device, uint64_t inode, diag_visit *visit, void *data);

#endif
