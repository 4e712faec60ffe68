/* SPDX-License-Identifier: MIT */
/*
 * Looking at all processes (backends/inspect/) for the files that show it.
 *
 * A look takes milliseconds to tenths of seconds, as there are processes. It belongs to the read(2) that asked: what happened
 * before that is seen. Only who reads many such files one after another, as grep -r and tar do, is shown one look for
 * several of them: from the INSPECT_WALK-th file on that one thread has read without a pause, and for INSPECT_REUSE_MS.
 */
#ifndef IPCFS_FS_INSPECT_H
#define IPCFS_FS_INSPECT_H

#include "inspect/inspection.h"

#include "ipcfs/caller.h"

struct ipcfs;

enum { INSPECT_WALK = 32, INSPECT_REUSE_MS = 1000 };

struct inspected; /* counted */

/* The calling thread has the caller's identity. `what`: INSPECT_HOLDERS, INSPECT_WAITERS. 0 or −errno. */
int inspect(struct ipcfs *fs, const struct caller *caller, unsigned what, struct inspected **out);
const struct inspection *inspected(const struct inspected *inspected);
/* NULL is harmless. */
void inspected_put(struct inspected **inspected);
#define AUTO_INSPECTED __attribute__((cleanup(inspected_put))) struct inspected

/* A look at one process. *out is the caller's. */
int inspect_process(struct ipcfs *fs, pid_t pid, struct inspection **out);

#endif
