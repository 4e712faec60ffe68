/* SPDX-License-Identifier: MIT */
/*
 * Listening sockets made by mkdir, by the contract of backends/sock_listener.h and sock_file.h alone: no mount and no kind
 * above them. Native programs are at the other end.
 */
#include "sock_listener_subject.h"

#include "private_shm.h"

#include "creds.h"
#include "ipcfs/log.h"
#include "ipcfs/place.h"

#include <sys/prctl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Ends as the child does. */
static void go_on_in_a_child(void)
{
    int status = 0;
    pid_t child = fork();
    if (child < 0)
        _exit(EXIT_FAILURE);
    if (child > 0) {
        while (waitpid(child, &status, 0) != child)
            ;
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE);
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* A process name space, so that nothing outlives the tests, and a network name space, whose settings are its own. */
static void enter_name_spaces(void)
{
    private_shm_enter("size=16m,mode=1777");
    if (unshare(CLONE_NEWPID | CLONE_NEWNET) < 0) {
        perror("unshare");
        _exit(EXIT_FAILURE);
    }
    go_on_in_a_child();
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
    log_set_level(LOG_LEVEL_ERROR);
    (void)alarm(240); /* nothing here may block for ever */
    place_init(NULL, "/mnt");
    if (listeners_start())
        return EXIT_FAILURE;
    int failed = RUN(listener_data) + RUN(listener_waits) + RUN(listener_rights) + RUN(listener_kept);
    listeners_stop();
    place_end();
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
