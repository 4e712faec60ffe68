/* SPDX-License-Identifier: MIT */
#include "sock_diag_message.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/unix_diag.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>

/* Of Linux include/net/tcp_states.h; UNIX and UDP sockets have some of them too. */
static const char *state_name(unsigned state)
{
    static const char *const names[] = {
        [TCP_ESTABLISHED] = "established", [TCP_SYN_SENT] = "syn-sent",     [TCP_SYN_RECV] = "syn-recv",
        [TCP_FIN_WAIT1] = "fin-wait-1",    [TCP_FIN_WAIT2] = "fin-wait-2",  [TCP_TIME_WAIT] = "time-wait",
        [TCP_CLOSE] = "unconnected",       [TCP_CLOSE_WAIT] = "close-wait", [TCP_LAST_ACK] = "last-ack",
        [TCP_LISTEN] = "listen",           [TCP_CLOSING] = "closing",
    };
    const char *name = state < sizeof names / sizeof *names ? names[state] : NULL;
    return name ? name : "unknown";
}

/* Puts the attributes behind a header of `header` bytes into a table of `count`, by their types. */
static void sort_attributes(const struct nlmsghdr *message, size_t header, const struct nlattr **table,
                            unsigned count)
{
    const struct nlattr *attribute = NULL;
    mnl_attr_for_each(attribute, message, header)
    {
        unsigned type = mnl_attr_get_type(attribute);
        if (type < count)
            table[type] = attribute;
    }
}

/* The content of an attribute; false where it is not there. */
static bool read_attribute(const struct nlattr *attribute, void *out, size_t size)
{
    if (!attribute || mnl_attr_get_payload_len(attribute) < size)
        return false;
    memcpy(out, mnl_attr_get_payload(attribute), size);
    return true;
}

/* ---- UNIX ---- */

static const char *unix_kind(unsigned type)
{
    switch (type) {
    case SOCK_STREAM:
        return "unix-stream";
    case SOCK_DGRAM:
        return "unix-dgram";
    case SOCK_SEQPACKET:
        return "unix-seqpacket";
    default:
        return "unix";
    }
}

/* A path comes with a NUL byte at its end. An abstract name begins with one and may have more: '@' stands for each. */
static void write_name(const struct nlattr *attribute, char *out)
{
    size_t size = attribute ? mnl_attr_get_payload_len(attribute) : 0;
    size = size < DIAG_ADDRESS_ROOM ? size : DIAG_ADDRESS_ROOM - 1;
    if (size)
        memcpy(out, mnl_attr_get_payload(attribute), size);
    out[size] = '\0';
    if (*out)
        return;
    for (size_t i = 0; i < size; i++)
        if (!out[i])
            out[i] = '@';
}

/* The kernel gives its own form of a device number here (Linux include/linux/kdev_t.h), not that of stat(2). */
static void read_node(const struct nlattr *attribute, struct diag_socket *out)
{
    struct unix_diag_vfs node;
    if (!read_attribute(attribute, &node, sizeof node))
        return;
    out->bound = true;
    out->node_device = makedev(node.udiag_vfs_dev >> 20, node.udiag_vfs_dev & 0xFFFFF);
    out->node_inode = node.udiag_vfs_ino;
}

bool diag_parse_unix(const struct nlmsghdr *message, struct diag_addresses *addresses,
                     struct diag_socket *out)
{
    const struct unix_diag_msg *told = mnl_nlmsg_get_payload(message);
    if (mnl_nlmsg_get_payload_len(message) < sizeof *told || told->udiag_family != AF_UNIX)
        return false;
    const struct nlattr *attributes[UNIX_DIAG_UID + 1] = {0};
    struct unix_diag_rqlen queues = {0};
    sort_attributes(message, sizeof *told, attributes, UNIX_DIAG_UID + 1);
    write_name(attributes[UNIX_DIAG_NAME], addresses->local);
    (void)read_attribute(attributes[UNIX_DIAG_RQLEN], &queues, sizeof queues);
    *out = (struct diag_socket){
        .kind = unix_kind(told->udiag_type),
        .state = state_name(told->udiag_state),
        .local = addresses->local,
        .remote = "",
        .inode = told->udiag_ino,
        .receive = queues.udiag_rqueue,
        .send = queues.udiag_wqueue,
        .reachable = told->udiag_type == SOCK_DGRAM || told->udiag_state != TCP_ESTABLISHED,
    };
    (void)read_attribute(attributes[UNIX_DIAG_PEER], &out->peer, sizeof out->peer);
    out->has_uid = read_attribute(attributes[UNIX_DIAG_UID], &out->uid, sizeof out->uid);
    read_node(attributes[UNIX_DIAG_VFS], out);
    return true;
}

/* ---- TCP and UDP ---- */

/* "%NAME" of an interface; "" of none, or of one that is gone. */
static void write_interface(unsigned index, int fd, char out[IFNAMSIZ + 1])
{
    struct ifreq question = {.ifr_ifindex = (int)index};
    *out = '\0';
    if (index && ioctl(fd, SIOCGIFNAME, &question) == 0)
        (void)snprintf(out, IFNAMSIZ + 1, "%%%.*s", IFNAMSIZ - 1, question.ifr_name);
}

/* `only_ipv6`: an IPv6 socket that has nothing to do with IPv4 (ipv6(7), IPV6_V6ONLY). How much it is. */
static size_t write_host(int family, const uint32_t *address, bool only_ipv6, char out[INET6_ADDRSTRLEN + 2])
{
    const unsigned char *bytes = (const unsigned char *)address;
    char digits[INET6_ADDRSTRLEN];
    if (family == AF_INET)
        return (size_t)snprintf(out, INET6_ADDRSTRLEN + 2, "%u.%u.%u.%u", bytes[0], bytes[1], bytes[2],
                                bytes[3]);
    if (!only_ipv6 && memcmp(address, &in6addr_any, sizeof in6addr_any) == 0)
        return (size_t)snprintf(out, INET6_ADDRSTRLEN + 2, "*");
    (void)inet_ntop(AF_INET6, address, digits, sizeof digits);
    return (size_t)snprintf(out, INET6_ADDRSTRLEN + 2, "[%s]", digits);
}

struct end {
    const uint32_t *address;
    uint16_t port; /* in network byte order */
    const char *interface;
};

static void write_end(int family, const struct end *end, bool only_ipv6, char out[DIAG_ADDRESS_ROOM])
{
    size_t used = write_host(family, end->address, only_ipv6, out);
    if (end->port)
        (void)snprintf(out + used, DIAG_ADDRESS_ROOM - used, "%s:%u", end->interface, ntohs(end->port));
    else
        (void)snprintf(out + used, DIAG_ADDRESS_ROOM - used, "%s:*", end->interface);
}

static void write_ends(const struct inet_diag_msg *told, bool only_ipv6, int fd,
                       struct diag_addresses *addresses)
{
    char interface[IFNAMSIZ + 1];
    write_interface(told->id.idiag_if, fd, interface);
    const struct end local = {told->id.idiag_src, told->id.idiag_sport, interface};
    const struct end remote = {told->id.idiag_dst, told->id.idiag_dport, ""};
    write_end(told->idiag_family, &local, only_ipv6, addresses->local);
    write_end(told->idiag_family, &remote, only_ipv6, addresses->remote);
}

bool diag_parse_inet(const struct nlmsghdr *message, const char *kind, int fd,
                     struct diag_addresses *addresses, struct diag_socket *out)
{
    const struct inet_diag_msg *told = mnl_nlmsg_get_payload(message);
    if (mnl_nlmsg_get_payload_len(message) < sizeof *told)
        return false;
    const struct nlattr *attributes[INET_DIAG_SKV6ONLY + 1] = {0};
    uint8_t only_ipv6 = 0;
    sort_attributes(message, sizeof *told, attributes, INET_DIAG_SKV6ONLY + 1);
    (void)read_attribute(attributes[INET_DIAG_SKV6ONLY], &only_ipv6, sizeof only_ipv6);
    write_ends(told, only_ipv6, fd, addresses);
    *out = (struct diag_socket){
        .kind = kind,
        .state = state_name(told->idiag_state),
        .local = addresses->local,
        .remote = addresses->remote,
        .inode = told->idiag_inode,
        .receive = told->idiag_rqueue,
        .send = told->idiag_wqueue,
        .has_uid = told->idiag_inode != 0,
        .uid = told->idiag_uid,
        .reachable = told->idiag_state != TCP_ESTABLISHED,
    };
    return true;
}
