/* SPDX-License-Identifier: MIT */
/*
 * Looking at all processes (backends/inspect/) for the files that show it.
 *
 * A look takes milliseconds to tenths of seconds, as there are processes. It belongs to the read(2) that asked: what happened
 * before that is seen. Only who reads many such files one after another, as grep -r and tar do, is shown one look for
 * several of them: from the INSPECT_WALK-th file on that one thread has read without a pause, and for INSPECT_REUSE_MS. A file
 * that it has read before in the same walk ends it. fs/inspect.c has the essay on what is fresh.
 */
#ifndef IPCFS_FS_INSPECT_H
#define IPCFS_FS_INSPECT_H

#include "inspect/inspection.h"
#include "process_links.h"
#include "processes.h"

#include "ipcfs/caller.h"

struct ipcfs;

/* A pause of more than INSPECT_PAUSE_MS between two files ends a walk. */
enum { INSPECT_WALK = 32, INSPECT_REUSE_MS = 1000, INSPECT_PAUSE_MS = 100 };

struct inspected; /* counted */

/* The walks of those who read one such file after another. 0 or −ENOMEM. walks_free() takes NULL. */
struct walks;
int walks_new(struct walks **out);
void walks_free(struct walks *walks);

/* The caller's thread reads that file, named by its inode number, from its start: before inspect() for it. `process`: it is a
 * link of that process; zeros: it is in ctl/. */
void inspect_begin(struct ipcfs *fs, const struct caller *caller, struct ipcfs_objid process, uint64_t file);
/* It has been read. */
void inspect_end(struct ipcfs *fs, const struct caller *caller);
/* Ends the walk of the caller's thread, where it walks: what it asks for next is fresh. */
void inspect_forget(struct ipcfs *fs, const struct caller *caller);

/* The calling thread has the caller's identity. `what`: INSPECT_HOLDERS, INSPECT_WAITERS. 0 or −errno. */
int inspect(struct ipcfs *fs, const struct caller *caller, unsigned what, struct inspected **out);
/* The same, but only of one object; who walks is shown everything (inspect() with INSPECT_WAITERS). */
int inspect_object(struct ipcfs *fs, const struct caller *caller, const struct ipcfs_backend *kind,
                   uint64_t number, struct inspected **out);
const struct inspection *inspected(const struct inspected *inspected);
/* NULL is harmless. */
void inspected_put(struct inspected **inspected);
#define AUTO_INSPECTED __attribute__((cleanup(inspected_put))) struct inspected

/*
 * A look at one process: the links to what it holds and waits for, but not since when. −ENOENT where it is gone, or the calling thread, which
 * has the caller's identity, may not look into it; −EACCES where it may not see all; −ETIMEDOUT where it does not answer.
 * inspect_process_kept() does not look: it is what one who walks is shown, or NULL.
 */
int inspect_process(struct ipcfs *fs, const struct caller *caller, struct ipcfs_objid process,
                    struct inspected **out);
struct inspected *inspect_process_kept(struct ipcfs *fs, const struct caller *caller,
                                       struct ipcfs_objid process);
const struct process_links *inspected_links(const struct inspected *inspected);

#endif
