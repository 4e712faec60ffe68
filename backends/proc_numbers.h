/* SPDX-License-Identifier: MIT */
/*
 * The numbers in a directory of /proc: processes, threads, descriptors. The kernel lists each of these in the order of the
 * numbers, so what comes and goes meanwhile makes nothing else appear twice or not at all.
 */
#ifndef IPCFS_BACKENDS_PROC_NUMBERS_H
#define IPCFS_BACKENDS_PROC_NUMBERS_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>

struct proc_numbers {
    int directory; /* borrowed; read from where it stands */
    int number;    /* the last one, and how it is called there */
    const char *name;
    size_t at, end; /* what is left in the buffer */
    _Alignas(struct dirent64) char buffer[4096];
};

/* The next one: 1; 0 at the end, or −errno. */
int proc_numbers_next(struct proc_numbers *numbers);

/* Those below that directory. The buffer is left as it is. */
static inline void proc_numbers_begin(struct proc_numbers *numbers, int directory)
{
    numbers->directory = directory;
    numbers->at = numbers->end = 0;
}

/* The error; 0 for those of a process or descriptor that goes meanwhile, or is none of the caller's. */
int unless_out_of_reach(int error);

#endif
