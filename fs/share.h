/* SPDX-License-Identifier: MIT */
/*
 * Shares of something that runs out, descriptors mostly: one user must not have it all. Other than root, each may have
 * so many. Whoever uses this guards it by a lock of his own.
 */
#ifndef IPCFS_FS_SHARE_H
#define IPCFS_FS_SHARE_H

#include <sys/types.h>

struct share;

struct shares {
    struct share *by_user; /* of users other than root who have any */
    unsigned max;          /* for each */
};

/* One more for that user: 0, −EDQUOT where he has `max` already, or −ENOMEM. */
int share_take(struct shares *shares, uid_t uid);
void share_give_back(struct shares *shares, uid_t uid);

#endif
