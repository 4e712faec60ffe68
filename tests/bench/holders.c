/* SPDX-License-Identifier: MIT */
#include "holders.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void be_holder(int told, size_t count, holder_job *job)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int error = job(count) == -1 ? errno : 0;
    if (write(told, &error, sizeof error) == sizeof error && !error) {
        close(told);
        for (;;)
            pause();
    }
    _exit(1);
}

static int start_one(struct holders *holders, size_t count, holder_job *job)
{
    int told[2];
    int error = EPROTO;
    if (pipe2(told, O_CLOEXEC) == -1)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        close(told[0]);
        be_holder(told[1], count, job);
    }
    close(told[1]);
    if (pid != -1) {
        holders->pids[holders->count++] = pid;
        if (read(told[0], &error, sizeof error) != sizeof error)
            error = EPROTO;
    }
    close(told[0]);
    errno = error;
    return error ? -1 : 0;
}

int holders_start(struct holders *holders, size_t total, size_t each, holder_job *job)
{
    holders->pids = calloc(total / each + 1, sizeof *holders->pids);
    if (!holders->pids)
        return -1;
    for (size_t left = total; left > 0;) {
        size_t count = left < each ? left : each;
        if (start_one(holders, count, job) == -1)
            return -1;
        left -= count;
    }
    return 0;
}

void holders_end(struct holders *holders)
{
    for (size_t i = 0; i < holders->count; i++)
        kill(holders->pids[i], SIGKILL);
    for (size_t i = 0; i < holders->count; i++)
        waitpid(holders->pids[i], NULL, 0);
    free(holders->pids);
    *holders = (struct holders){0};
}
