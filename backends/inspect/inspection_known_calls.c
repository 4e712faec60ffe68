/* SPDX-License-Identifier: MIT */
#include "inspection_known_calls.h"

#include <sys/syscall.h>

static const struct call calls[] = {
    {SYS_read, CALL_FD, "read", false, 0},
    {SYS_pread64, CALL_FD, "pread64", false, 0},
    {SYS_readv, CALL_FD, "readv", false, 0},
    {SYS_preadv, CALL_FD, "preadv", false, 0},
    {SYS_preadv2, CALL_FD, "preadv2", false, 0},
    {SYS_recvfrom, CALL_FD, "recvfrom", false, 0},
    {SYS_recvmsg, CALL_FD, "recvmsg", false, 0},
    {SYS_recvmmsg, CALL_FD, "recvmmsg", false, 0},
    {SYS_accept, CALL_FD, "accept", false, 0},
    {SYS_accept4, CALL_FD, "accept4", false, 0},
    {SYS_write, CALL_FD, "write", true, 0},
    {SYS_pwrite64, CALL_FD, "pwrite64", true, 0},
    {SYS_writev, CALL_FD, "writev", true, 0},
    {SYS_pwritev, CALL_FD, "pwritev", true, 0},
    {SYS_pwritev2, CALL_FD, "pwritev2", true, 0},
    {SYS_sendto, CALL_FD, "sendto", true, 0},
    {SYS_sendmsg, CALL_FD, "sendmsg", true, 0},
    {SYS_sendmmsg, CALL_FD, "sendmmsg", true, 0},
    {SYS_connect, CALL_FD, "connect", true, 0},
    {SYS_sendfile, CALL_FD, "sendfile", true, 0},
    {SYS_vmsplice, CALL_VMSPLICE, "vmsplice", true, 0},
    {SYS_mq_timedsend, CALL_QUEUE, "mq_timedsend", true, 0},
    {SYS_mq_timedreceive, CALL_QUEUE, "mq_timedreceive", false, 0},
    {SYS_flock, CALL_LOCK, "flock", false, 0},
    {SYS_fcntl, CALL_FCNTL, "fcntl", false, 0},
    {SYS_futex, CALL_FUTEX, "futex", false, 0},
#ifdef SYS_futex_wait
    {SYS_futex_wait, CALL_FUTEX2, "futex_wait", false, 0},
#endif
    {SYS_semop, CALL_SEM, "semop", false, 0},
    {SYS_semtimedop, CALL_SEM, "semtimedop", false, 0},
    {SYS_msgsnd, CALL_MSG, "msgsnd", true, 0},
    {SYS_msgrcv, CALL_MSG, "msgrcv", false, 0},
    {SYS_wait4, CALL_WAIT4, "wait4", false, 0},
    {SYS_waitid, CALL_WAITID, "waitid", false, 0},
#ifdef SYS_poll
    {SYS_poll, CALL_POLL, "poll", false, 0},
    {SYS_select, CALL_POLL, "select", false, 0},
    {SYS_epoll_wait, CALL_POLL, "epoll_wait", false, 0},
#endif
    {SYS_ppoll, CALL_POLL, "ppoll", false, 0},
    {SYS_pselect6, CALL_POLL, "pselect6", false, 0},
    {SYS_epoll_pwait, CALL_POLL, "epoll_pwait", false, 0},
    {SYS_epoll_pwait2, CALL_POLL, "epoll_pwait2", false, 0},
#ifdef SYS_open
    {SYS_open, CALL_OPEN, "open", false, 0},
    {SYS_creat, CALL_OPEN, "creat", false, 0},
#endif
    {SYS_openat, CALL_OPEN, "openat", false, 0},
    {SYS_openat2, CALL_OPEN, "openat2", false, 0},
};

const struct call *known_call(long number)
{
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (calls[i].number == number)
            return &calls[i];
    return NULL;
}

bool call_is_timed(const struct process_call *call)
{
    switch (call->number) {
    case SYS_futex:
    case SYS_semtimedop:
    case SYS_epoll_pwait2:
        return call->arguments[3];
    case SYS_mq_timedsend:
    case SYS_mq_timedreceive:
    case SYS_recvmmsg:
#ifdef SYS_futex_wait
    case SYS_futex_wait:
#endif
#ifdef SYS_select
    case SYS_select:
#endif
    case SYS_pselect6:
        return call->arguments[4];
#ifdef SYS_poll
    case SYS_poll:
        return (int)call->arguments[2] >= 0;
    case SYS_epoll_wait:
#endif
    case SYS_epoll_pwait:
        return (int)call->arguments[3] >= 0;
    case SYS_ppoll:
        return call->arguments[2];
    default:
        return false;
    }
}
