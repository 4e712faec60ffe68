/* SPDX-License-Identifier: MIT */
/*
 * The contract of include/ipcfs/backend.h, checked for every kind there is, on a private /dev/shm and IPC
 * name space.
 */
#include "subject.h"

#include "private_shm.h"

#include "creds.h"
#include "ipcfs/place.h"

#include <limits.h>
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

#define NODES "/run/ipcfs/mnt/nodes/" /* of "/mnt": see main() */

static const struct traits all_traits[] = {
    {.kind = "shm", .path = "/dev/shm", .renames = true, .links = true, .bytes = true, .hides_sem = true},
    {.kind = "mq", .messages = true, .whole_seconds = true},
    {.kind = "sem", .type = S_IFDIR, .name_max = NAME_MAX - 4},
    {.kind = "sysv/msg", .messages = true, .numbers = true},
    {.kind = "sysv/sem", .type = S_IFDIR, .numbers = true},
    {.kind = "sysv/shm", .numbers = true},
    {.kind = "pipe", .type = S_IFIFO, .path = NODES "pipe", .renames = true, .links = true},
    {.kind = "sock", .what = "files", .path = NODES "sock", .renames = true, .links = true, .bytes = true},
    {.kind = "sock",
     .what = "sockets",
     .type = S_IFSOCK,
     .path = NODES "sock",
     .renames = true,
     .links = true},
    {.kind = "sock", .what = "directories", .type = S_IFDIR, .path = NODES "sock"},
};

static const struct suite *const suites[] = {
    &names_suite,
    &changes_suite,
    &data_suite,
    &messages_suite,
    &lists_suite,
    &failures_suite,
    &planted_suite,
    &shm_suite,
    &pipe_suite,
    &sock_suite,
    &mq_suite,
    &sysv_msg_suite,
    &sysv_msg_data_suite,
    &sysv_msg_access_suite,
    &mq_make_suite,
    &mq_rights_suite,
    &locks_suite,
    &posix_sem_suite,
    &posix_sem_waits_suite,
    &posix_sem_planted_suite,
    &posix_sem_cut_suite,
    &posix_sem_rights_suite,
    &sysv_sem_suite,
    &sysv_sem_files_suite,
    &sysv_sem_wait_suite,
    &sysv_sem_hold_suite,
    &sysv_sem_access_suite,
    &sysv_sem_storm_suite,
    &sysv_shm_suite,
    &sysv_shm_access_suite,
    &sysv_shm_data_suite,
    &sysv_shm_pending_suite,
    &sock_diag_suite,
    &sock_agrees_suite,
    &sock_bound_suite,
    &sock_show_suite,
    &sock_survey_suite,
    &sock_reclaim_suite,
    &proc_fds_suite,
    &pipe_show_suite,
    &pipe_survey_suite,
    &pipe_busy_suite,
    &traces_suite,
    &traces_bytes_suite,
    &traces_messages_suite,
    &traces_segment_suite,
    &traces_queue_suite,
    &traces_set_suite,
    &sock_traces_suite,
};

/* What is for one kind alone runs once, with the first that is said of it. */
static bool is_for_this_kind(const struct suite *suite, bool first)
{
    if (suite->only_kind)
        return first && strcmp(suite->only_kind, kind->kind) == 0;
    return (!suite->only_bytes || traits->bytes) && (!suite->only_messages || traits->messages) &&
           (!suite->only_nodes || traits->path) && !traits->numbers;
}

static int run_suites(bool first)
{
    int failed = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(suites); i++) {
        char name[128];
        if (!is_for_this_kind(suites[i], first))
            continue;
        (void)snprintf(name, sizeof name, "%s%s%s: %s", kind->kind, traits->what ? " " : "",
                       traits->what ? traits->what : "", suites[i]->name);
        failed += _cmocka_run_group_tests(name, suites[i]->tests, suites[i]->count, NULL, NULL);
    }
    return failed;
}

static int run_kind(const struct ipcfs_backend *backend)
{
    kind = backend;
    int error = backend->start();
    if (error) {
        (void)fprintf(stderr, "%s: start: %s\n", backend->kind, strerror(-error));
        return 1;
    }
    int failed = 0;
    bool first = true;
    for (size_t i = 0; i < ARRAY_LENGTH(all_traits); i++) {
        traits = &all_traits[i];
        if (strcmp(traits->kind, kind->kind) != 0)
            continue;
        failed += run_suites(first);
        first = false;
    }
    backend->stop();
    if (!first)
        return failed;
    (void)fprintf(stderr, "%s: say in all_traits what this kind can do\n", backend->kind);
    return 1;
}

/* A thousand queues of default attributes must fit into the least RLIMIT_MSGQUEUE that systems come with. */
static void allow_many_queues(void)
{
    private_set("fs/mqueue/queues_max", "5000");
    private_set("fs/mqueue/msg_default", "3");
    private_set("fs/mqueue/msgsize_default", "128");
}

/* Waits for `child`, and for what else ends meanwhile. */
static _Noreturn void wait_for(pid_t child)
{
    int status = 0;
    pid_t ended = 0;
    while ((ended = wait(&status)) != child)
        if (ended < 0 && errno != EINTR)
            _exit(EXIT_FAILURE);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE);
}

static void go_on_in_a_child(void)
{
    pid_t child = fork();
    if (child < 0)
        _exit(EXIT_FAILURE);
    if (child > 0)
        wait_for(child);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* The tests run in a process name space whose first process does nothing but wait for them: with it ends what a failed
 * test has left, stopped or not. */
static void enter_process_name_space(void)
{
    if (unshare(CLONE_NEWPID) < 0) {
        perror("unshare");
        _exit(EXIT_FAILURE);
    }
    go_on_in_a_child();
    go_on_in_a_child();
}

/* The kinds to test, as given: where none is, all. */
static bool is_wanted(const char *name, int count, char **wanted)
{
    bool found = count == 0;
    for (int i = 0; i < count; i++)
        found = found || strcmp(wanted[i], name) == 0;
    return found;
}

/* usage: test_contract [KIND]... */
int main(int argc, char **argv)
{
    enter_process_name_space();
    private_shm_enter("size=64m,nr_inodes=20000,mode=1777");
    if (mount("proc", "/proc", "proc", 0, NULL) < 0) {
        perror("/proc");
        return EXIT_FAILURE;
    }
    allow_many_queues();
    if (creds_init())
        return EXIT_FAILURE;
    place_init(NULL, "/mnt"); /* nothing is mounted there: kinds have no use for more than the name */
    (void)umask(0);
    (void)alarm(540); /* nothing here may block for ever */
    int failed = 0, run = 0;
    for (size_t i = 0; ipcfs_backends[i]; i++)
        if (is_wanted(ipcfs_backends[i]->kind, argc - 1, argv + 1)) {
            failed += run_kind(ipcfs_backends[i]);
            run++;
        }
    place_end();
    if (run == 0)
        (void)fprintf(stderr, "there is no such kind\n");
    return failed || run == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
