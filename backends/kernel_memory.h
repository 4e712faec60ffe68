/* SPDX-License-Identifier: MIT */
/*
 * The kernel's own mounts of memory, which have no place in any directory: System V segments, memfd_create(2) and shared
 * anonymous mappings lie there, and nobody else can put a file of his own name there (shmem_kernel_file_setup() in Linux
 * mm/shmem.c, hugetlb_file_setup() in fs/hugetlbfs/inode.c).
 */
#ifndef IPCFS_BACKENDS_KERNEL_MEMORY_H
#define IPCFS_BACKENDS_KERNEL_MEMORY_H

#include <stdbool.h>
#include <sys/types.h>

/* Learns their device numbers, by making a file in each. At start; again is harmless. Where one cannot be made, nothing is
 * known of that mount. */
void kernel_memory_start(void);
bool kernel_memory_is(dev_t device);

#endif
