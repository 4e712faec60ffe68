/* SPDX-License-Identifier: MIT */
#include "mq_make.h"

#include "mq_directory.h"
#include "mq_limits.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

/*
 * A child that has not answered after so long is given up. Looked at every now and then: it may have been
 * stopped.
 */
enum { CHILD_TIME_MAX_MS = 2000, CHILD_LOOK_MS = 20 };

const struct ipcfs_field mq_options[] = {
    [MQ_OPTION_MAXMSG] = {"maxmsg", IPCFS_UNSIGNED, "messages", "so many may be in the queue"},
    [MQ_OPTION_MSGSIZE] = {"msgsize", IPCFS_UNSIGNED, "bytes", "the longest message"},
    {0},
};

/* What the child tells. The descriptor comes with it. */
struct answer {
    int error;       /* 0, or −errno */
    bool judged;     /* it is mq_open(2)'s */
    uint64_t number; /* of the queue's inode */
};

/* ---- the child: nothing but system calls ---- */

/*
 * The limit, as far as the daemon may set it. Also the hard one: the caller could raise the soft one
 * meanwhile (prlimit(2)). A limit above the daemon's own takes CAP_SYS_RESOURCE, which comes back with the
 * saved uid.
 */
static int take_limit(const struct rlimit *wanted)
{
    struct rlimit limit = *wanted;
    struct rlimit own;
    if (setrlimit(RLIMIT_MSGQUEUE, &limit) == 0)
        return 0;
    if (getrlimit(RLIMIT_MSGQUEUE, &own) < 0)
        return -errno;
    limit.rlim_max = limit.rlim_max < own.rlim_max ? limit.rlim_max : own.rlim_max;
    limit.rlim_cur = limit.rlim_cur < limit.rlim_max ? limit.rlim_cur : limit.rlim_max;
    return setrlimit(RLIMIT_MSGQUEUE, &limit) < 0 ? -errno : 0;
}

static int take_limit_with_own_right(const struct rlimit *wanted)
{
    uid_t real;
    uid_t effective;
    uid_t saved;
    if (getresuid(&real, &effective, &saved) < 0 || syscall(SYS_setresuid, -1, saved, -1) < 0)
        return -errno;
    int error = take_limit(wanted);
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

static int make_queue(const struct mq_order *order, struct answer *answer)
{
    int error = take_limit_with_own_right(&order->limit);
    if (!error)
        error = become_caller();
    if (error)
        return error;
    /* The system call takes the name without a slash. */
    int fd = (int)syscall(SYS_mq_open, order->name, O_CREAT | O_EXCL | O_RDWR | O_NONBLOCK | O_CLOEXEC,
                          order->mode, order->has_attributes ? &order->attributes : NULL);
    answer->judged = fd < 0;
    struct stat stat;
    if (fd < 0 || fstat(fd, &stat) < 0)
        return -errno;
    answer->number = stat.st_ino;
    return fd;
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

static void address(struct envelope *envelope, struct answer *answer)
{
    *envelope = (struct envelope){.content = {.iov_base = answer, .iov_len = sizeof *answer}};
    envelope->message = (struct msghdr){.msg_iov = &envelope->content,
                                        .msg_iovlen = 1,
                                        .msg_control = envelope->control.room,
                                        .msg_controllen = sizeof envelope->control.room};
}

static void send_answer(int socket, struct answer *answer, int fd)
{
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

static _Noreturn void be_the_child(const struct mq_order *order, int socket)
{
    struct answer answer = {0};
    int fd = make_queue(order, &answer);
    answer.error = fd < 0 ? fd : 0;
    send_answer(socket, &answer, fd);
    _exit(0);
}

/* ---- the parent ---- */

/* The child closes an end first of all, so that there is a number free for the queue's descriptor. */
static pid_t start_child(const struct mq_order *order, int *parent_end, int *child_end)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0) {
        close(*parent_end);
        be_the_child(order, *child_end);
    }
    int error = pid < 0 ? -errno : 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(TAKE_FD(*child_end));
    return error ? error : pid;
}

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool is_stopped(pid_t pid)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

/* Whether there is something to read: an answer, or the end of the child. */
static bool await_answer(pid_t pid, int socket)
{
    int64_t end = now_ms() + CHILD_TIME_MAX_MS;
    struct pollfd wanted = {.fd = socket, .events = POLLIN};
    while (now_ms() < end) {
        if (poll(&wanted, 1, CHILD_LOOK_MS) > 0)
            return true;
        if (is_stopped(pid))
            return false;
    }
    return false;
}

/* The descriptor that came, or −errno. */
static int receive_answer(int socket, struct answer *answer)
{
    struct envelope envelope;
    address(&envelope, answer);
    ssize_t count = recvmsg(socket, &envelope.message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (count != (ssize_t)sizeof *answer)
        return -EAGAIN; /* it was killed */
    if (answer->error)
        return answer->error;
    const struct cmsghdr *header = CMSG_FIRSTHDR(&envelope.message);
    if (!header || header->cmsg_type != SCM_RIGHTS)
        return -EMFILE; /* it came, but there was no number free for it (MSG_CTRUNC) */
    int fd = -1;
    memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return fd;
}

/* However it stands: it has said what it had to say, or never will. */
static void end_child(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

/*
 * The queue must be in the directory that the objects of this kind are in: /dev/mqueue may be of another name
 * space.
 */
static int check_made(int fd, const char *name, struct statx *stat)
{
    int error = mq_fd_stat(fd, stat);
    if (!error && !mq_is_queue(stat)) {
        (void)syscall(SYS_mq_unlink, name);
        error = -EXDEV;
    }
    return error;
}

int mq_make(const struct mq_order *order, struct statx *stat, bool *judged)
{
    int ends[2];
    *judged = false;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    AUTO_FD parent_end = ends[0];
    pid_t pid = start_child(order, &parent_end, &ends[1]);
    if (pid < 0)
        return pid;
    struct answer answer = {0};
    AUTO_FD fd = await_answer(pid, parent_end) ? receive_answer(parent_end, &answer) : -EAGAIN;
    end_child(pid);
    *judged = answer.judged;
    int error = fd < 0 ? fd : check_made(fd, order->name, stat);
    if (error && answer.number)
        mq_name_remove_if(order->name, answer.number);
    return error ? error : TAKE_FD(fd);
}

/* ---- what is asked for ---- */

static long to_long(uint64_t number)
{
    return number > LONG_MAX ? LONG_MAX : (long)number;
}

static int take_options(const struct ipcfs_value *options, struct mq_order *out)
{
    const struct ipcfs_value *maxmsg = options ? &options[MQ_OPTION_MAXMSG] : NULL;
    const struct ipcfs_value *msgsize = options ? &options[MQ_OPTION_MSGSIZE] : NULL;
    if (!options || (!maxmsg->known && !msgsize->known))
        return 0;
    struct mq_system system;
    int error = mq_read_system(&system);
    if (error)
        return error;
    out->has_attributes = true;
    out->attributes.mq_maxmsg = to_long(maxmsg->known ? maxmsg->number : mq_default_maxmsg(&system));
    out->attributes.mq_msgsize = to_long(msgsize->known ? msgsize->number : mq_default_msgsize(&system));
    return 0;
}

int mq_order(const struct ipcfs_wish *wish, struct mq_order *out)
{
    *out = (struct mq_order){.name = wish->name, .mode = wish->mode & 07777};
    int error = mq_caller_limit(wish->caller, &out->limit);
    return error ? error : take_options(wish->options, out);
}
