/* SPDX-License-Identifier: MIT */
/* Processes joined with the objects they use: on a private /dev/shm, /run, IPC and process name space. */
#include "inspect_join_subject.h"

#include "private_shm.h"

#include "creds.h"
#include "ipcfs/place.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void go_on_in_a_child(void)
{
    int status = 0;
    pid_t child = fork();
    if (child < 0)
        _exit(EXIT_FAILURE);
    (void)prctl(PR_SET_PDEATHSIG, child ? 0 : SIGKILL);
    if (child == 0)
        return;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE);
}

/* The first process of the name space does nothing but wait: with it ends what a failed test has left. */
static void enter_name_spaces(void)
{
    if (unshare(CLONE_NEWPID | CLONE_NEWNET) < 0) {
        perror("unshare");
        _exit(EXIT_FAILURE);
    }
    go_on_in_a_child();
    go_on_in_a_child();
    private_shm_enter("size=64m,mode=1777");
    if (mount("proc", "/proc", "proc", 0, NULL) < 0 || mount("none", "/mnt", "tmpfs", 0, NULL) < 0) {
        perror("mount");
        _exit(EXIT_FAILURE);
    }
}

static int start_kinds(void)
{
    for (size_t i = 0; ipcfs_backends[i]; i++) {
        int error = ipcfs_backends[i]->start();
        if (!error)
            continue;
        (void)fprintf(stderr, "%s: %s\n", ipcfs_backends[i]->kind, strerror(-error));
        return error;
    }
    return 0;
}

int main(void)
{
    enter_name_spaces();
    place_init(NULL, "/mnt"); /* the mount is not there: see add_node() */
    (void)umask(0);
    (void)alarm(240);
    if (creds_init() || start_kinds())
        return EXIT_FAILURE;
    int failed = _cmocka_run_group_tests("what kinds recognize", join_recognize_tests, join_recognize_count,
                                         NULL, NULL);
    failed += _cmocka_run_group_tests("what processes have", join_use_tests, join_use_count, NULL, NULL);
    failed += _cmocka_run_group_tests("what threads wait for", join_wait_tests, join_wait_count, NULL, NULL);
    failed += _cmocka_run_group_tests("locks", join_lock_tests, join_lock_count, NULL, NULL);
    failed += _cmocka_run_group_tests("sockets", join_socket_tests, join_socket_count, NULL, NULL);
    failed += _cmocka_run_group_tests("limits", join_limit_tests, join_limit_count, NULL, NULL);
    failed += _cmocka_run_group_tests("deadlocks", join_deadlock_tests, join_deadlock_count, NULL, NULL);
    for (size_t i = 0; ipcfs_backends[i]; i++)
        ipcfs_backends[i]->stop();
    place_end();
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
