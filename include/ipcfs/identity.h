/* SPDX-License-Identifier: MIT */
/*
 * Whose rights the calling thread has, for backends.
 *
 * The FUSE side calls an operation with the caller's identity on (fs/creds.h). Within it a backend may be the daemon
 * itself for a while, for what no right of the caller's decides about and after it has checked those that do; and it may
 * keep the caller's identity, to act with it later, in a keeper's thread. Only the effective ids, the groups and with
 * them the capabilities change, and only the calling thread's.
 */
#ifndef IPCFS_IDENTITY_H
#define IPCFS_IDENTITY_H

#include <stdbool.h>
#include <sys/types.h>

struct ipcfs_identity;

/* The calling thread's, as it is now. 0 or −ENOMEM. Owned: identity_free(), which takes NULL. */
int identity_of_thread(struct ipcfs_identity **out);
/* The owner's of something, who is not there himself: without supplementary groups. The same. */
int identity_of_owner(uid_t uid, gid_t gid, struct ipcfs_identity **out);
void identity_free(struct ipcfs_identity *identity);

struct identity_change {
    struct ipcfs_identity *before; /* owned; NULL: nothing is put on */
};

/* Puts an identity on; NULL: the daemon's own. 0, or −errno, and then nothing has changed. */
int identity_put_on(struct identity_change *change, const struct ipcfs_identity *identity);
/* Puts the one before back on. Harmless when nothing is put on. */
void identity_put_back(struct identity_change *change);
#define AUTO_IDENTITY __attribute__((cleanup(identity_put_back))) struct identity_change

/* The thread id of the caller whose request the calling thread acts for, to be shown: it authorises nothing. 0 where he is
 * out of sight, and in threads that act for nobody. */
pid_t identity_caller_pid(void);

#endif
