/* SPDX-License-Identifier: MIT */
/*
 * The memory of another process, as far as reading it waits for nobody: pages that are in memory, and in its page table
 * (/proc/PID/pagemap, proc_pid_pagemap(5)). Any other would have to be got from where the process chose, as from a file system
 * that does not answer. A process can still take a page away between the look and the reading; so this is only for threads
 * that can be given up (patience.h).
 *
 * Rights: those to see its system calls (PTRACE_MODE_ATTACH_FSCREDS). process_vm_readv(2) would go by the real user id, which
 * is the daemon's whoever it acts for.
 */
#ifndef IPCFS_BACKENDS_INSPECT_PROCESS_MEMORY_H
#define IPCFS_BACKENDS_INSPECT_PROCESS_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct process_memory {
    int bytes, pages; /* owned */
};

/* `directory` is of the process, or of all its threads and `prefix` "TID/"; otherwise that is "". 0 or −errno. */
int process_memory_open(int directory, const char *prefix, struct process_memory *out);
void process_memory_close(const struct process_memory *memory);
/* False: not all of it is there. */
bool process_memory_read(const struct process_memory *memory, uint64_t address, void *out, size_t size);
/* With its end. False also where it does not fit. */
bool process_memory_string(const struct process_memory *memory, uint64_t address, char *out, size_t room);

#endif
