/* SPDX-License-Identifier: MIT */
/*
 * The text of a control file as one read found it. Readers share it by counting, so that none has to wait for another
 * and no lock is held over a reply. All snapshots together are limited: what a user leaves half read is memory.
 */
#ifndef IPCFS_FS_SNAPSHOT_H
#define IPCFS_FS_SNAPSHOT_H

#include "ipcfs/text.h"

#include <stdatomic.h>

struct snapshot {
    atomic_uint users;
    struct text text;
};

/* Makes one of a text, which it takes over, with one user. −ENOMEM also where all together are too much. */
int snapshot_new(struct text *text, struct snapshot **out);
struct snapshot *snapshot_get(struct snapshot *snapshot);
/* NULL is harmless. */
void snapshot_put(struct snapshot *snapshot);

#endif
