/* SPDX-License-Identifier: MIT */
/* Looking at processes, by the contract of backends/inspect/process.h alone: no mount and no object of the tree. */
#include "inspect_peers.h"

#include "private_shm.h"

#include "creds.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* The parent waits for this child, and for what else ends meanwhile, and ends as the child does. */
static void go_on_in_a_child(void)
{
    int status = 0;
    pid_t ended = 0;
    pid_t child = fork();
    if (child < 0)
        _exit(EXIT_FAILURE);
    if (child > 0) {
        while ((ended = wait(&status)) != child)
            if (ended < 0 && errno != EINTR)
                _exit(EXIT_FAILURE);
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE);
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* In a process name space of their own, whose first process does nothing but wait: with it ends what a failed test has
 * left, and no other process of the machine is looked at. */
static void enter_name_spaces(void)
{
    if (unshare(CLONE_NEWPID) < 0) {
        perror("unshare");
        _exit(EXIT_FAILURE);
    }
    go_on_in_a_child();
    go_on_in_a_child();
    private_shm_enter("size=16m,mode=1777");
    if (mount("proc", "/proc", "proc", 0, NULL) < 0) {
        perror("/proc");
        _exit(EXIT_FAILURE);
    }
}

#define RUN(name) _cmocka_run_group_tests(#name, name##_tests, name##_count, NULL, NULL)

int main(void)
{
    enter_name_spaces();
    if (creds_init())
        return EXIT_FAILURE;
    (void)umask(0);
    (void)alarm(200); /* nothing here may block for ever */
    int failed = RUN(inspect_process) + RUN(inspect_descriptors) + RUN(inspect_calls) + RUN(inspect_rights) +
                 RUN(inspect_walk) + RUN(inspect_stuck) + RUN(inspect_fifo);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
