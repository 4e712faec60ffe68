/* SPDX-License-Identifier: MIT */
#include "thread_process.h"

#include "proc_numbers.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Only the first thread of a process can be asked for by its number alone (pidfd_open(2)). */
static bool is_process(pid_t thread)
{
    AUTO_FD process = (int)syscall(SYS_pidfd_open, thread, 0);
    return process >= 0;
}

/* The first thread is among those in task/ as long as the process is there. */
pid_t thread_process(pid_t thread)
{
    char path[32];
    struct proc_numbers tids;
    if (thread <= 0) {
        errno = ESRCH;
        return 0;
    }
    if (is_process(thread))
        return thread;
    (void)snprintf(path, sizeof path, "/proc/%d/task", thread);
    AUTO_FD task = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (task < 0)
        return 0;
    proc_numbers_begin(&tids, task);
    while (proc_numbers_next(&tids) == 1)
        if (is_process(tids.number))
            return tids.number;
    return 0;
}
