/* SPDX-License-Identifier: MIT */
/*
 * When a thread last ran: se.exec_start in /proc/PID/task/TID/sched, by the clock of the processor that it ran on (struct
 * rq, clock_task in Linux kernel/sched/sched.h). That clock stands while the processor serves interrupts or is taken away
 * by a hypervisor, so each processor has its own, and they drift apart for as long as the machine is up. They are compared
 * with CLOCK_REALTIME in turn, when first asked for, by a thread that goes there for a moment. Where the daemon may not
 * run, it does not go: nothing is known of those.
 *
 * What the clock stood since then is not known, so a wait may be told as shorter by that. And a thread that sleeps may be
 * moved to another processor: from Linux 6.12 on it may be in the queue of its processor for a while yet. Then the kernel
 * sets the time to 0 (seen on 6.18), and when it last ran is not to be known.
 */
#ifndef IPCFS_BACKENDS_INSPECT_TASK_CLOCK_H
#define IPCFS_BACKENDS_INSPECT_TASK_CLOCK_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct task_clocks {
    cpu_set_t allowed;            /* where the calling thread may run; none: nothing is known */
    cpu_set_t compared;           /* these are, as far as they can be */
    int64_t offsets[CPU_SETSIZE]; /* of CLOCK_REALTIME, in ns; 0: not known */
};

/* Of the calling thread, whose the clocks are from then on. */
void task_clocks_begin(struct task_clocks *clocks);
/* When a thread last ran that is now off its processor, CLOCK_REALTIME; "sched" and "stat" of it lie below `directory`, behind
 * `prefix` ("" or "TID/"). False where nothing is known. */
bool task_clocks_last_run(struct task_clocks *clocks, int directory, const char *prefix,
                          struct timespec *out);

#endif
