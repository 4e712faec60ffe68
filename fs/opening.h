/* SPDX-License-Identifier: MIT */
/*
 * OPEN that waits.
 *
 * It is the one wait that keeps no lock of the kernel: LOOKUP, which may run under the directory's, is over. The handle is
 * in the table while it waits, so that it counts for its user, but nobody knows its number yet. It is made known by the
 * reply alone; where the kernel does not take that, because the caller is gone, it is withdrawn, and what it has got goes
 * back with it.
 */
#ifndef IPCFS_FS_OPENING_H
#define IPCFS_FS_OPENING_H

#include "park.h"

struct opening {
    struct parked parked;
    struct ipcfs *fs;
    struct handle *handle; /* parked: counted */
};

/* `finish` of every one. */
void opening_finish(struct waiter *waiter, ssize_t result);

/* Answers the request, now or later. `opening` may lie on the stack; its handle is in the table. `patient`: it may wait. */
void opening_run(struct opening *opening, struct wait_line *line, bool patient, struct reply *reply);
/* Answers it now. */
void opening_answer(struct ipcfs *fs, struct reply *reply, struct handle *handle, ssize_t result);

#endif
