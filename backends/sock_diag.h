/* SPDX-License-Identifier: MIT */
/* The machine's sockets, as the kernel tells of them by sock_diag(7). Nothing here takes, changes or waits for anything. */
#ifndef IPCFS_BACKENDS_SOCK_DIAG_H
#define IPCFS_BACKENDS_SOCK_DIAG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A socket. Unknown numbers are 0; strings are borrowed for the call that gives them. */
struct diag_socket {
    const char *kind;  /* "unix-stream", "unix-dgram", "unix-seqpacket", "tcp", "udp" */
    const char *state; /* "listen", "established", "unconnected" … */
    const char *
        local; /* address; of a UNIX socket its path, or "@NAME" of the abstract name space; "" without a name */
    const char *remote; /* the same of the other end, where that is known */
    uint32_t inode;
    uint32_t peer; /* inode of the other end (UNIX) */
    uint32_t
        receive; /* bytes that wait to be read; of one that listens: connections that wait to be accepted */
    uint32_t
        send; /* bytes that are not read, or acknowledged, by the other end; of one that listens: its backlog */
    bool has_uid;
    uid_t uid;  /* owner */
    bool bound; /* to a node of a file system: */
    dev_t node_device;
    uint32_t node_inode; /* low 32 bits */
};

/* Anything but 0 ends the walk, which returns it. */
typedef int diag_visit(void *data, const struct diag_socket *socket);

/* All UNIX, TCP and UDP sockets of the daemon's network name space. 0 or −errno. */
int diag_walk(diag_visit *visit, void *data);

/* A UNIX socket of that inode. 0, −ENOENT or −errno. */
int diag_find_unix(uint32_t inode, struct diag_socket *out);

/*
 * The sockets bound to a node, whose inode has that number (all of it or its low 32 bits), in whatever network name space
 * they are: their addresses are not of one (unix(7)), but sock_diag tells of one only. Visits each; 0 or −errno.
 */
int diag_walk_bound(dev_t device, uint64_t inode, diag_visit *visit, void *data);

#endif
