/* SPDX-License-Identifier: MIT */
/* One question of sock_diag(7), asked by hand: the other end of a UNIX socket, and what waits in it. */
#include "sock_diag.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <string.h>
#include <sys/socket.h>

struct question {
    struct nlmsghdr header;
    struct unix_diag_req request;
};

static int take(const struct nlmsghdr *answer, struct diag_socket *out)
{
    if (answer->nlmsg_type == NLMSG_ERROR)
        return ((const struct nlmsgerr *)NLMSG_DATA(answer))->error;
    const struct unix_diag_msg *told = NLMSG_DATA(answer);
    int length = (int)(answer->nlmsg_len - NLMSG_LENGTH(sizeof *told));
    out->inode = told->udiag_ino;
    for (const struct rtattr *part = (const struct rtattr *)(told + 1); RTA_OK(part, length);
         part = RTA_NEXT(part, length)) {
        if (part->rta_type == UNIX_DIAG_PEER)
            memcpy(&out->peer, RTA_DATA(part), sizeof out->peer);
        if (part->rta_type == UNIX_DIAG_RQLEN)
            out->receive = ((const struct unix_diag_rqlen *)RTA_DATA(part))->udiag_rqueue;
        if (part->rta_type == UNIX_DIAG_UID)
            memcpy(&out->uid, RTA_DATA(part), sizeof out->uid);
    }
    return 0;
}

int diag_find_unix(uint32_t inode, struct diag_socket *out)
{
    struct question question = {.header = {.nlmsg_len = sizeof question,
                                           .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                                           .nlmsg_flags = NLM_F_REQUEST},
                                .request = {.sdiag_family = AF_UNIX,
                                            .udiag_states = UINT32_MAX,
                                            .udiag_ino = inode,
                                            .udiag_show = UDIAG_SHOW_PEER | UDIAG_SHOW_RQLEN | UDIAG_SHOW_UID,
                                            .udiag_cookie = {UINT32_MAX, UINT32_MAX}}};
    union {
        struct nlmsghdr header;
        char bytes[4096];
    } answer;
    *out = (struct diag_socket){0};
    AUTO_FD fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0 || send(fd, &question, sizeof question, 0) < 0 ||
        recv(fd, answer.bytes, sizeof answer.bytes, 0) < (ssize_t)sizeof answer.header)
        return -errno;
    return take(&answer.header, out);
}
