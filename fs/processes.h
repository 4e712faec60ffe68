/* SPDX-License-Identifier: MIT */
/*
 * The processes that proc/ shows: those that the calling thread may look into natively, by the right to open /proc/PID/fd
 * (proc_pid_fd(5)). Who may not do that is told nothing of what they use. What hidepid hides (proc(5)) is not found, nor are
 * kernel threads, threads, processes that have ended, and the daemon itself.
 *
 * Nothing here waits for a process, whatever it does. That leaves out what tells the same more directly: /proc/PID/exe and
 * stat are told under exec_update_lock, which a process has while it closes files in the middle of an execve(2); and with
 * status and statm the reader may become the last who has the process's memory, and has to take it down (mmput()): in both,
 * a file system that does not answer keeps him (call_proc_get_link(), do_task_stat() and task_statm() in Linux 6.18 fs/proc/).
 */
#ifndef IPCFS_FS_PROCESSES_H
#define IPCFS_FS_PROCESSES_H

#include "ipcfs/backend.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct process_identity {
    pid_t pid;
    /* Which of those that have had the pid: the inode of its pidfd, of which no two are ever the same (Linux 6.9); before
     * that the time of its start (starttime in proc_pid_stat(5)). */
    uint64_t birth;
    uid_t uid; /* effective */
    gid_t gid;
};

/* The pid that a name in proc/ stands for. */
bool process_parse(const char *name, pid_t *out);
/* −ENOENT where there is none, or the calling thread may not look into it. */
int process_identify(pid_t pid, struct process_identity *out);
/* The one of that pid and birth. −ENOENT also where another has the pid by now. */
int process_find(struct ipcfs_objid process, struct process_identity *out);

/* Called with each process; `next` is the position behind it. False ends the walk. */
typedef bool process_row(void *data, pid_t pid, uint64_t next);
/*
 * All processes from that position on, 0 being the first, in the order of the pids. Positions stay true while processes
 * come and go: who is there all the time is met once. 0 or −errno.
 */
int processes_list(uint64_t position, process_row *row, void *data);

#endif
