/* SPDX-License-Identifier: MIT */
/*
 * The network name spaces that processes are in, but the daemon's own (network_namespaces(7)).
 *
 * Found by the processes: of each that of its main thread. No process can make the walk wait. These are not found: name spaces
 * kept without a process in them (by a bind mount, as ip-netns(8) does, or by a descriptor), those that only other threads are
 * in, and those of processes that the daemon cannot see (of another branch of PID name spaces; with no right to trace them, of
 * other users).
 */
#ifndef IPCFS_BACKENDS_NET_SPACES_H
#define IPCFS_BACKENDS_NET_SPACES_H

/* `fd`: borrowed, what `open_one` gave. Anything but 0 ends the walk, which returns it. */
typedef int net_space_visit(void *data, int fd);

/*
 * Calls `open_one` once in each of them, and `visit` with the descriptor that it gives, in the calling thread. Both have
 * the daemon's own identity. `open_one` runs in a thread that enters the name space and ends there, so that no other thread
 * of the daemon is ever in a wrong one: a socket made there belongs to that name space for good.
 *
 * 0, or −errno: at the end, that of the first name space that could not be entered or in which `open_one` failed (−EPERM: the
 * user name space that it belongs to is not one of the daemon's; before Linux 6.11 also where there is a process that the daemon
 * may not trace).
 */
int net_spaces_walk(int (*open_one)(void), net_space_visit *visit, void *data);

#endif
