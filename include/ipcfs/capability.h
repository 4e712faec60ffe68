/* SPDX-License-Identifier: MIT */
#ifndef IPCFS_CAPABILITY_H
#define IPCFS_CAPABILITY_H

#include <linux/capability.h>
#include <stdbool.h>

/*
 * Whether the calling thread has CAP_… effective at this moment. Where it counts is not looked at: a user name space may
 * not own what is asked for.
 */
bool has_capability(unsigned capability);

#endif
