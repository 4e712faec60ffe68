/* SPDX-License-Identifier: MIT */
/* Sockets, and network name spaces, for the tests of what ctl/sock/ shows. */
#ifndef IPCFS_TESTS_CONTRACT_SOCK_SOCKETS_H
#define IPCFS_TESTS_CONTRACT_SOCK_SOCKETS_H

#include "subject.h"

#include "sock_diag.h"

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

/*
 * Each test begins in a network name space of its own, in which nothing but the loopback interface is; and nodes that are
 * bound natively, in the runtime directory, count as those of the mount.
 */
int begin_in_own_net(void **state);
int end_in_own_net(void **state);
#define NET_TEST(function) cmocka_unit_test_setup_teardown(function, begin_in_own_net, end_in_own_net)
/* From here on in one more, new and empty. */
void enter_new_net(void);

/* ---- sockets ---- */

/* A path in the runtime directory: the node of sock/NAME. */
const char *node_path(const char *name);
/* Each fails the test where it can not be done. `size` bytes of an address's sun_path. */
int bound_socket(int type, const char *path, size_t size);
/* A node in sock/: of streams, one that listens. */
int node_socket(int type, const char *name);
int connect_to_node(int type, const char *name);
int accept_one(int listener);
ino_t inode_of(int fd);
uint64_t node_inode(const char *name);
void close_all(const int *fds, size_t count);

/* `only_ipv6`: as IPV6_V6ONLY. */
int inet_socket(int family, int type, bool only_ipv6);
/* To all addresses of this machine, or to that of the loopback interface; to any port. */
void bind_inet(int fd, int family, bool any);
/* Connects it to what the other is bound to. */
void connect_to(int fd, int other);
/* Some of every sort; how many. */
enum { SOME_MAX = 16 };
size_t make_some(int fds[static SOME_MAX]);
/* Of a process: makes and closes sockets until it is killed; it has so many at most. */
enum { COME_AND_GO = 256 };
int come_and_go(void);

/* A process that has bound such a node in a network name space of its own, and is stopped; killed by kill_and_wait(). */
pid_t start_elsewhere(int type, const char *name);
/* From here on this process can ask nobody about sockets. 0, or 1. */
int give_up_netlink(void);
/* Until nodes made before are not new any more. */
void let_nodes_age(void);

/* ---- what the walk tells ---- */

/* A socket, and where its addresses are. */
struct told {
    struct diag_socket socket;
    char local[128];
    char remote[128];
};
struct told_all {
    struct told *rows; /* free(3) */
    size_t count;
};
struct told_all walk_all(void);
/* The one of that inode among them; fails the test where it is not met exactly once. */
const struct told *only_one(const struct told_all *all, ino_t inode);
/* A diag_visit that counts, in a size_t. */
int count_visits(void *data, const struct diag_socket *socket);

#endif
