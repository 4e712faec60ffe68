/* SPDX-License-Identifier: MIT */
/*
 * The kernel, as the session fuzzer plays it: it knows nodes by the LOOKUPs and handles by the OPENs that were answered, and
 * which requests are not answered yet. It keeps to what the kernel guarantees: a node is not forgotten while it is in use, a
 * handle is not released while a request with it is under way. All else may be asked for.
 *
 * Requests are begun and sent by tests/session/wire.h; every reply is looked at: exactly one to each request that wants one,
 * of the size that the protocol says (Linux uapi/linux/fuse.h).
 */
#ifndef IPCFS_TESTS_FUZZ_KERNEL_H
#define IPCFS_TESTS_FUZZ_KERNEL_H

#include "wire.h"

#include <stdbool.h>
#include <stdint.h>

/* Before the first of all; and an input's begin and end. At the end nothing is left of it: no reply outstanding, no node, no
 * handle, no object. A session serves many inputs, and when it ends there is no descriptor and no memory left of it. */
void kernel_start(void);
void kernel_begin(void);
void kernel_end(void);

struct kernel_handle {
    uint64_t node, handle;
    bool directory;
    unsigned busy; /* requests under way */
};

/* A node that is known, the root (0) always among them; the others the newest first. */
uint64_t kernel_node(unsigned which);
/* An open file or directory, the newest first; NULL: there is none. */
const struct kernel_handle *kernel_handle(unsigned which);
/* Whether another may be opened, and whether another request may be under way. */
bool kernel_has_room(void);

/* Ends the request that was begun: of `size` bytes at most is the answer, where the request says so itself. */
void kernel_send(uint32_t opcode, uint64_t node, uint64_t handle, size_t size);

/* The LOOKUPs of a path below the root, as far as they lead. */
void kernel_walk(const char *path);
void kernel_forget(unsigned which, uint64_t lookups);
void kernel_release(unsigned which, uint32_t flags, uint64_t owner);
void kernel_interrupt(unsigned which);

#endif
