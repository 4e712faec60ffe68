/* SPDX-License-Identifier: MIT */
#include "mq_users.h"

#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

void act_as(uid_t uid)
{
    assert_int_equal(setegid(uid), 0);
    assert_int_equal(seteuid(uid), 0);
}

void act_as_root(void)
{
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(setegid(0), 0);
}

int create_as(uid_t uid, const struct ipcfs_wish *wish)
{
    struct ipcfs_created object = {0};
    act_as(uid);
    int error = kind->create(wish, &object);
    if (!error)
        let_go(&object);
    act_as_root();
    return error;
}

int create_name_as(uid_t uid, const char *name)
{
    const struct ipcfs_wish wish = {
        .name = name, .flags = O_RDWR | O_CREAT | O_EXCL, .mode = 0600, .caller = &self};
    return create_as(uid, &wish);
}

pid_t start_process(uid_t uid, rlim_t limit, int (*run)(void))
{
    const struct rlimit limits = {limit, limit};
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    if ((limit && setrlimit(RLIMIT_MSGQUEUE, &limits)) || setgroups(0, NULL) || setresgid(uid, uid, uid) ||
        setresuid(uid, uid, uid))
        _exit(99);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* after the uid, whose change takes it off */
    _exit(run());
}

/* Tells that it is who it is to be by stopping. */
static int stop_until_killed(void)
{
    for (;;)
        (void)raise(SIGSTOP);
    return 0;
}

pid_t start_idle_process(uid_t uid, rlim_t limit)
{
    int status = 0;
    pid_t pid = start_process(uid, limit, stop_until_killed);
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    return pid;
}

int end_of(pid_t pid)
{
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

int run_as(uid_t uid, rlim_t limit, int (*run)(void))
{
    return end_of(start_process(uid, limit, run));
}

void kill_and_wait(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

mqd_t native_open(const char *name, int flags)
{
    mqd_t queue = mq_open(name, flags | O_NONBLOCK, 0600, NULL);
    assert_true(queue >= 0);
    return queue;
}
