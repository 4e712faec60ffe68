/* SPDX-License-Identifier: MIT */
#include "as_caller.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/monotonic.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/*
 * A child that has not answered after so long is given up. Looked at every now and then: it may have been
 * stopped.
 */
enum { CHILD_TIME_MAX_MS = 2000, CHILD_LOOK_MS = 20 };

/* ---- the child: nothing but system calls ---- */

/*
 * The limit, as far as the daemon may set it. Also the hard one: the caller could raise the soft one
 * meanwhile (prlimit(2)). A limit above the daemon's own takes CAP_SYS_RESOURCE, which comes back with the
 * saved uid.
 */
static int take_limit(int resource, const struct rlimit *wanted)
{
    struct rlimit limit = *wanted;
    struct rlimit own;
    if (setrlimit(resource, &limit) == 0)
        return 0;
    if (getrlimit(resource, &own) < 0)
        return -errno;
    limit.rlim_max = limit.rlim_max < own.rlim_max ? limit.rlim_max : own.rlim_max;
    limit.rlim_cur = limit.rlim_cur < limit.rlim_max ? limit.rlim_cur : limit.rlim_max;
    return setrlimit(resource, &limit) < 0 ? -errno : 0;
}

static int take_limit_with_own_right(int resource, const struct rlimit *wanted)
{
    uid_t real;
    uid_t effective;
    uid_t saved;
    if (getresuid(&real, &effective, &saved) < 0 || syscall(SYS_setresuid, -1, saved, -1) < 0)
        return -errno;
    int error = take_limit(resource, wanted);
    if (syscall(SYS_setresuid, -1, effective, -1) < 0)
        return -errno;
    return error;
}

/*
 * The effective ids and the groups are the acting thread's already. That it may not be traced is settled
 * before the real uid is the caller's. The kernel leaves it so, because neither the effective ids nor, in
 * effect, the capabilities change any more (commit_creds(), Linux kernel/cred.c).
 */
static int become_caller(void)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || syscall(SYS_setresgid, gid, gid, gid) < 0 ||
        syscall(SYS_setresuid, uid, uid, uid) < 0)
        return -errno;
    return 0;
}

/* A message with room for one descriptor. */
struct envelope {
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr aligned;
    } control;
    struct iovec content;
    struct msghdr message;
};

static void address(struct envelope *envelope, struct as_caller_answer *answer)
{
    *envelope = (struct envelope){.content = {.iov_base = answer, .iov_len = sizeof *answer}};
    envelope->message = (struct msghdr){.msg_iov = &envelope->content,
                                        .msg_iovlen = 1,
                                        .msg_control = envelope->control.room,
                                        .msg_controllen = sizeof envelope->control.room};
}

static void send_answer(int socket, struct as_caller_answer *answer)
{
    int fd = answer->error ? -1 : answer->fd;
    struct envelope envelope;
    address(&envelope, answer);
    if (fd < 0) {
        envelope.message.msg_control = NULL;
        envelope.message.msg_controllen = 0;
    } else {
        struct cmsghdr *header = CMSG_FIRSTHDR(&envelope.message);
        *header = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(header), &fd, sizeof fd);
    }
    (void)sendmsg(socket, &envelope.message, MSG_NOSIGNAL);
}

static _Noreturn void be_the_child(const struct as_caller_task *task, int socket)
{
    struct as_caller_answer answer = {.fd = -1};
    answer.error = take_limit_with_own_right(task->resource, &task->limit);
    if (!answer.error)
        answer.error = become_caller();
    if (!answer.error)
        answer.error = task->act(task->order, &answer);
    send_answer(socket, &answer);
    _exit(0);
}

/* ---- the parent ---- */

enum { CHILDREN_KEPT = 64 };
static atomic_int children[CHILDREN_KEPT];
static atomic_uint children_count;

static void keep_child(pid_t pid)
{
    atomic_store(&children[atomic_fetch_add(&children_count, 1) % CHILDREN_KEPT], pid);
}

bool as_caller_was_child(pid_t pid)
{
    bool was = false;
    for (int i = 0; i < CHILDREN_KEPT && !was; i++)
        was = atomic_load(&children[i]) == pid;
    return was;
}

/* The child closes an end first of all, so that there is a number free for a descriptor that the task opens. */
static pid_t start_child(const struct as_caller_task *task, int *parent_end, int *child_end)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0) {
        close(*parent_end);
        be_the_child(task, *child_end);
    }
    int error = pid < 0 ? -errno : 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(TAKE_FD(*child_end));
    return error ? error : pid;
}

static bool is_stopped(pid_t pid)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

/* Whether there is something to read: an answer, or the end of the child. */
static bool await_answer(pid_t pid, int socket)
{
    int64_t end = monotonic_ms() + CHILD_TIME_MAX_MS;
    struct pollfd wanted = {.fd = socket, .events = POLLIN};
    while (monotonic_ms() < end) {
        if (poll(&wanted, 1, CHILD_LOOK_MS) > 0)
            return true;
        if (is_stopped(pid))
            return false;
    }
    return false;
}

static int receive_answer(int socket, struct as_caller_answer *answer)
{
    struct envelope envelope;
    struct as_caller_answer told;
    address(&envelope, &told);
    ssize_t count = recvmsg(socket, &envelope.message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (count != (ssize_t)sizeof told)
        return -EAGAIN; /* it was killed */
    bool has_descriptor = !told.error && told.fd >= 0;
    *answer = told;
    answer->fd = -1;
    if (!has_descriptor)
        return told.error;
    const struct cmsghdr *header = CMSG_FIRSTHDR(&envelope.message);
    if (!header || header->cmsg_type != SCM_RIGHTS)
        return -EMFILE; /* it came, but there was no number free for it (MSG_CTRUNC) */
    memcpy(&answer->fd, CMSG_DATA(header), sizeof answer->fd);
    return 0;
}

/* However it stands: it has said what it had to say, or never will. */
static void end_child(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

int as_caller(const struct as_caller_task *task, struct as_caller_answer *answer)
{
    int ends[2];
    *answer = (struct as_caller_answer){.fd = -1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    AUTO_FD parent_end = ends[0];
    pid_t pid = start_child(task, &parent_end, &ends[1]);
    if (pid < 0)
        return pid;
    keep_child(pid);
    int error = await_answer(pid, parent_end) ? receive_answer(parent_end, answer) : -EAGAIN;
    end_child(pid);
    return error;
}
