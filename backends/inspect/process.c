/* SPDX-License-Identifier: MIT */
#include "process.h"

#include <errno.h>

int process_read(pid_t pid, unsigned what, struct process *out)
{
    (void)pid;
    (void)what;
    (void)out;
    return -EOPNOTSUPP;
}

void process_free(struct process *process)
{
    (void)process;
}

int processes_read(pid_t only, unsigned what, process_visit *visit, void *data)
{
    (void)only;
    (void)what;
    (void)visit;
    (void)data;
    return -EOPNOTSUPP;
}
