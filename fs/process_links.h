/* SPDX-License-Identifier: MIT */
/*
 * What a directory proc/PID/ shows: a symbolic link for each object that the process uses, however often it does.
 *
 * A link is called WORD:NAME, with the word of the kind ('-' for '/') and the object's name in the tree: "shm:jobs",
 * "sysv-msg:7". Its target is the path from there: "../../shm/jobs". What no name in the tree leads to is
 *
 *     shm:NAME (deleted)              an object that was removed; the last name that is known
 *     memfd:NAME, shared:NAME …       other shared memory; shared:[INO] where it has no name
 *     pipe:[INO], socket:[INO]        as /proc/PID/fd shows them; fifo:NAME is a FIFO elsewhere
 *     file:NAME                       a file whose lock the process waits for
 *
 * and its target is in /proc: the descriptor, or where there is none the mapping (map_files).
 *
 * Where several objects of a process would be called the same, each has its inode number behind its name: "memfd:NAME[INO]";
 * and where that is the same too (on two devices), "[MAJOR:MINOR:INO]". So has what has no name, and a name that ends with
 * ']' already. Thus the end of a name tells which of the three it is, and in each of them no two are equal. A name that does
 * not fit into NAME_MAX bytes with its word is replaced by "#INO".
 */
#ifndef IPCFS_FS_PROCESS_LINKS_H
#define IPCFS_FS_PROCESS_LINKS_H

#include "inspect/inspection.h"

struct process_link {
    char *name;
    char *target;
};

struct process_links {
    struct process_link *links; /* in the order of the names */
    size_t count;
};

/* The links of a process of the inspection, which may go away afterwards. −ENOMEM, and then `out` is empty. */
int process_links_make(const struct inspection *inspection, const struct process *process,
                       struct process_links *out);
/* NULL where there is none of that name. */
const struct process_link *process_links_find(const struct process_links *links, const char *name);
/* Harmless on zeros. */
void process_links_reset(struct process_links *links);
#define AUTO_PROCESS_LINKS __attribute__((cleanup(process_links_reset))) struct process_links

#endif
