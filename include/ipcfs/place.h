/* SPDX-License-Identifier: MIT */
/*
 * Where the mount is, for kinds whose objects are nodes of the mount itself (pipe, sock).
 *
 * The kernel makes a pipe, or a socket's address, of a node of the mount by the node's mode; it keeps neither owner nor
 * mode nor times of it. Those are kept by a node of the same type in the *runtime directory*: there it survives the
 * daemon. A pipe or socket belongs to one mount, because it hangs on an inode there; so every mount point has a runtime
 * directory of its own, BASE/NAME, where NAME is its path with '-' for '/' ("\x2d" for '-', other bytes likewise), as
 * systemd writes unit names. One daemon at a time has it: it is locked by flock(2).
 *
 *   BASE/               0711 where it is made; otherwise as it is, but nobody else may replace what is in it
 *   BASE/NAME/          0711
 *   BASE/NAME/nodes/    0700: the way to what must not be opened natively, for that would be another pipe
 *   BASE/NAME/nodes/KIND/   1777: as for /tmp, anybody may make names, and remove his own
 *   BASE/NAME/listen/   0711: sockets on which the daemon listens itself
 *   BASE/NAME/daemons   0600: the pids of the daemons there were since the machine was booted
 *
 * Each function: 0 (or a descriptor) or −errno.
 */
#ifndef IPCFS_PLACE_H
#define IPCFS_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Before the kinds start: makes and locks the runtime directory of that mount point. `base` NULL: /run/ipcfs for root,
 * otherwise ipcfs in XDG_RUNTIME_DIR. A failure is met by place_open().
 */
void place_init(const char *base, const char *mountpoint);
/* Logs the failure, if there was one. */
void place_report(void);
void place_end(void);

/* A new descriptor of the directory "nodes/KIND" or "listen", made where it is missing. −EBUSY where another daemon has the
 * runtime directory, or why there is none. */
int place_open(const char *directory);
/* Its absolute path; "" where there is none. Fixed between place_init() and place_end(). */
const char *place_path(void);

/*
 * The daemons there were of all mounts of this user, with runtime directories below the same base, since the machine was booted;
 * they may have ended. What was made through a mount was natively made by its daemon: the kernel remembers no other.
 */
struct place_daemons {
    pid_t *pids; /* owned */
    size_t count;
    bool all; /* not all are known: any process may have been one */
};
/* With the daemon's own identity. It never waits for anybody. On failure `all` is true. */
void place_daemons(struct place_daemons *out);
bool place_was_daemon(const struct place_daemons *daemons, pid_t pid);
void place_daemons_free(struct place_daemons *daemons);

/* The device number of the mount, which statx(2) and sock_diag(7) tell of its inodes; 0 before it is mounted. Of an inode's
 * number the low 48 bits are the object's `id.number`. */
void place_set_device(dev_t device);
dev_t place_device(void);

#endif
