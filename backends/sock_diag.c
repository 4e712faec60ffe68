/* SPDX-License-Identifier: MIT */
#include "sock_diag.h"

#include "net_spaces.h"
#include "sock_diag_message.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/log.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

/* The longest piece of an answer (netlink_recvmsg() and netlink_dump() in Linux net/netlink/af_netlink.c). */
enum { PIECE_ROOM = 32 * 1024 };
/* The kernel has put the next piece of an answer into the socket before recv(2) of one returns, so there is never anything to
 * wait for. If there were, a worker would wait so long. */
enum { TIME_MAX_S = 2 };
/* The states that sockets have (net/tcp_states.h), without those of sockets that are only bound (TCP_BOUND_INACTIVE), as ss -a
 * asks for them. */
enum { ALL_STATES = 0xFFF };
enum { UNIX_SHOW = UDIAG_SHOW_NAME | UDIAG_SHOW_VFS | UDIAG_SHOW_PEER | UDIAG_SHOW_RQLEN | UDIAG_SHOW_UID };

static const struct family {
    int family;
    int protocol;
    const char *kind;   /* of its sockets; NULL: they tell it themselves */
    const char *module; /* which the kernel needs to tell of them */
} families[] = {
    {AF_UNIX, 0, NULL, "unix_diag"},
    {AF_INET, IPPROTO_TCP, "tcp", "tcp_diag"},
    {AF_INET6, IPPROTO_TCP, "tcp", "tcp_diag"},
    {AF_INET, IPPROTO_UDP, "udp", "udp_diag"},
    {AF_INET6, IPPROTO_UDP, "udp", "udp_diag"},
};
enum { FAMILIES = sizeof families / sizeof *families };

struct walk {
    int fd; /* borrowed */
    diag_visit *visit;
    void *data;
    const struct family *family; /* asked for */
    bool answered;
    int result; /* of `visit` */
    _Alignas(struct nlmsghdr) char piece[PIECE_ROOM];
};

/* ---- questions ---- */

static int open_socket(void)
{
    const struct timeval time_max = {.tv_sec = TIME_MAX_S};
    AUTO_FD fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0)
        return errno == EPROTONOSUPPORT ? -EOPNOTSUPP : -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time_max, sizeof time_max) < 0)
        return -errno;
    return TAKE_FD(fd);
}

static int send_question(int fd, uint16_t flags, const void *question, size_t size)
{
    _Alignas(struct nlmsghdr) char buffer[128];
    struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
    message->nlmsg_type = SOCK_DIAG_BY_FAMILY;
    message->nlmsg_flags = NLM_F_REQUEST | flags;
    memcpy(mnl_nlmsg_put_extra_header(message, size), question, size);
    return send(fd, message, message->nlmsg_len, 0) < 0 ? -errno : 0;
}

/* ---- answers ---- */

/* What ends an answer. That sockets came and went meanwhile (NLM_F_DUMP_INTR) is no error: the walk goes on. */
static int take_end(const struct nlmsghdr *message)
{
    int error = 0; /* a struct nlmsgerr begins with it, and so does the end of an answer in pieces */
    if (mnl_nlmsg_get_payload_len(message) >= sizeof error)
        memcpy(&error, mnl_nlmsg_get_payload(message), sizeof error);
    return error;
}

static bool parse(struct walk *walk, const struct nlmsghdr *message, struct diag_addresses *addresses,
                  struct diag_socket *out)
{
    if (message->nlmsg_type != SOCK_DIAG_BY_FAMILY)
        return false;
    if (walk->family->family == AF_UNIX)
        return diag_parse_unix(message, addresses, out);
    return diag_parse_inet(message, walk->family->kind, walk->fd, addresses, out);
}

static int take_message(struct walk *walk, const struct nlmsghdr *message)
{
    struct diag_addresses addresses;
    struct diag_socket socket;
    bool is_end = message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR;
    walk->answered = is_end || !(message->nlmsg_flags & NLM_F_MULTI);
    if (is_end)
        return take_end(message);
    if (parse(walk, message, &addresses, &socket))
        walk->result = walk->visit(walk->data, &socket);
    return 0;
}

/* mnl_nlmsg_ok() takes a length above INT_MAX for a negative one. */
static bool is_whole(const struct nlmsghdr *message, int size)
{
    return mnl_nlmsg_ok(message, size) && message->nlmsg_len <= (uint32_t)size;
}

static int take_piece(struct walk *walk, int size)
{
    int error = 0;
    const struct nlmsghdr *message = (const struct nlmsghdr *)walk->piece;
    for (; !walk->answered && !walk->result && is_whole(message, size);
         message = mnl_nlmsg_next(message, &size))
        error = take_message(walk, message);
    return error;
}

/* 0 or the kernel's −errno. */
static int take_answer(struct walk *walk)
{
    int error = 0;
    walk->answered = false;
    while (!error && !walk->answered && !walk->result) {
        ssize_t size = recv(walk->fd, walk->piece, sizeof walk->piece, MSG_TRUNC);
        if (size < 0 && errno == EINTR)
            continue;
        if (size <= 0)
            return size < 0 ? -errno : -EIO;
        if (size > (ssize_t)sizeof walk->piece)
            return -EMSGSIZE;
        error = take_piece(walk, (int)size);
    }
    return error;
}

/* ---- families ---- */

static int ask_unix(int fd)
{
    const struct unix_diag_req question = {
        .sdiag_family = AF_UNIX, .udiag_states = ALL_STATES, .udiag_show = UNIX_SHOW};
    return send_question(fd, NLM_F_DUMP, &question, sizeof question);
}

static int ask_inet(int fd, int family, int protocol)
{
    const struct inet_diag_req_v2 question = {
        .sdiag_family = (uint8_t)family, .sdiag_protocol = (uint8_t)protocol, .idiag_states = ALL_STATES};
    return send_question(fd, NLM_F_DUMP, &question, sizeof question);
}

/* −EOPNOTSUPP: the kernel has not the module. */
static int walk_family(struct walk *walk, const struct family *family)
{
    walk->family = family;
    int error =
        family->family == AF_UNIX ? ask_unix(walk->fd) : ask_inet(walk->fd, family->family, family->protocol);
    if (!error)
        error = take_answer(walk);
    if (error)
        return error == -ENOENT ? -EOPNOTSUPP : error;
    return walk->result;
}

static int new_walk(int fd, diag_visit *visit, void *data, struct walk **out)
{
    struct walk *walk = malloc(sizeof *walk);
    if (!walk)
        return -ENOMEM;
    walk->fd = fd;
    walk->visit = visit;
    walk->data = data;
    walk->family = families;
    walk->result = 0;
    *out = walk;
    return 0;
}

static int pass_over(const struct family *family)
{
    static atomic_bool logged[FAMILIES];
    if (!atomic_exchange(&logged[family - families], true))
        log_warning("the list of sockets is not complete: the kernel has no %s", family->module);
    return 0;
}

int diag_walk(diag_visit *visit, void *data)
{
    AUTO_FREE struct walk *walk = NULL;
    AUTO_FD fd = open_socket();
    int result = fd < 0 ? fd : new_walk(fd, visit, data, &walk);
    for (size_t i = 0; !result && i < FAMILIES; i++) {
        result = walk_family(walk, &families[i]);
        if (result == -EOPNOTSUPP && !walk->result)
            result = pass_over(&families[i]);
    }
    return result;
}

/* The UNIX sockets of the name space that a socket belongs to. */
static int walk_unix(int fd, diag_visit *visit, void *data)
{
    AUTO_FREE struct walk *walk = NULL;
    int error = new_walk(fd, visit, data, &walk);
    return error ? error : walk_family(walk, families);
}

/* ---- one ---- */

static int keep(void *data, const struct diag_socket *socket)
{
    struct diag_socket *out = data;
    *out = *socket;
    out->local = "";
    out->remote = "";
    return 0;
}

int diag_find_unix(uint32_t inode, struct diag_socket *out)
{
    const struct unix_diag_req question = {
        .sdiag_family = AF_UNIX,
        .udiag_states = ALL_STATES,
        .udiag_ino = inode,
        .udiag_show = UNIX_SHOW,
        .udiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE},
    };
    AUTO_FD fd = inode ? open_socket() : -ENOENT; /* the kernel answers EINVAL to 0 */
    if (fd < 0)
        return fd;
    AUTO_FREE struct walk *walk = NULL;
    int error = new_walk(fd, keep, out, &walk);
    if (!error)
        error = send_question(fd, 0, &question, sizeof question);
    return error ? error : take_answer(walk);
}

/* ---- by node ---- */

struct elsewhere {
    diag_visit *visit;
    void *data;
};

static int visit_if_bound(void *data, const struct diag_socket *socket)
{
    const struct elsewhere *elsewhere = data;
    return socket->bound ? elsewhere->visit(elsewhere->data, socket) : 0;
}

static int walk_there(void *data, int fd)
{
    return walk_unix(fd, visit_if_bound, data);
}

int diag_walk_elsewhere(diag_visit *visit, void *data)
{
    struct elsewhere elsewhere = {.visit = visit, .data = data};
    return net_spaces_walk(open_socket, walk_there, &elsewhere);
}

int diag_walk_here(diag_visit *visit, void *data)
{
    struct elsewhere here = {.visit = visit, .data = data};
    AUTO_FD fd = open_socket();
    return fd < 0 ? fd : walk_unix(fd, visit_if_bound, &here);
}

struct search {
    dev_t device;
    uint32_t inode;
    diag_visit *visit;
    void *data;
    bool reached;
    int result; /* of `visit` */
};

static int visit_if_meant(void *data, const struct diag_socket *socket)
{
    struct search *search = data;
    if (!socket->bound || socket->node_device != search->device || socket->node_inode != search->inode)
        return 0;
    search->reached = search->reached || socket->reachable;
    search->result = search->visit(search->data, socket);
    return search->result;
}

int diag_walk_bound(dev_t device, uint64_t inode, diag_visit *visit, void *data)
{
    struct search search = {.device = device, .inode = (uint32_t)inode, .visit = visit, .data = data};
    AUTO_FD fd = open_socket();
    int result = fd < 0 ? fd : walk_unix(fd, visit_if_meant, &search);
    if (result || search.reached)
        return result;
    int error = diag_walk_elsewhere(visit_if_meant, &search);
    if (search.result || search.reached)
        return search.result; /* what could not be looked into does not matter */
    return error;
}
