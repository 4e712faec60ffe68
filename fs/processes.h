/* SPDX-License-Identifier: MIT */
/*
 * The processes that proc/ shows: those that the calling thread may look into natively, by the right with which readlink(2)
 * of /proc/PID/exe succeeds (PTRACE_MODE_READ_FSCREDS in ptrace(2)). Who may not do that is told nothing of what they use.
 * Kernel threads have no such link, nor has a process that has ended; what hidepid hides (proc(5)) is not found.
 *
 * Nothing here waits for a process: these files of /proc take no lock that one holds while it waits for others
 * (do_task_stat(), proc_exe_link() and proc_pid_status() in Linux fs/proc/).
 */
#ifndef IPCFS_FS_PROCESSES_H
#define IPCFS_FS_PROCESSES_H

#include "node.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct process_identity {
    pid_t pid;
    uint64_t
        start; /* clock ticks after boot (starttime in proc_pid_stat(5)): with the pid, which process it is */
    uid_t uid; /* effective */
    gid_t gid;
};

/* The pid that a name in proc/ stands for. */
bool process_parse(const char *name, pid_t *out);
/* −ENOENT where there is none, or the calling thread may not look into it. */
int process_identify(pid_t pid, struct process_identity *out);
/* The one that a node of proc/ is of. −ENOENT also where another has its pid by now. */
int process_find(const struct node_kin *kin, struct process_identity *out);
/* The process that a thread is of. −ENOENT. */
int process_of_thread(pid_t tid, pid_t *out);

/* Called with each process; `next` is the position behind it. False ends the walk. */
typedef bool process_row(void *data, pid_t pid, uint64_t next);
/*
 * All processes from that position on, 0 being the first, in the order of the pids. Positions stay true while processes
 * come and go: who is there all the time is met once. 0 or −errno.
 */
int processes_list(uint64_t position, process_row *row, void *data);

#endif
