/* SPDX-License-Identifier: MIT */
#include "sock_show.h"

#include "nodes.h"
#include "object_count.h"
#include "small_file.h"
#include "sock.h"
#include "sock_holders.h"
#include "sock_listener.h"
#include "sock_node.h"
#include "tmpfs_show.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/statvfs.h>

/* ---- state ---- */

enum {
    FIELD_NAME,
    FIELD_TYPE,
    FIELD_KIND,
    FIELD_STATE,
    FIELD_SIZE,
    FIELD_BACKLOG,
    FIELD_QUEUED,
    FIELD_CONNECTIONS,
    FIELD_INODE,
    FIELD_MODE,
    FIELD_UID,
    FIELD_GID,
    FIELD_NLINK,
    FIELD_INO,
    FIELD_ATIME,
    FIELD_MTIME,
    FIELD_CTIME,
    FIELD_BTIME,
    FIELD_HOLDER,
    FIELD_PEER,
};
_Static_assert(FIELD_BTIME - FIELD_MODE == TMPFS_BTIME, "in the order of tmpfs_show_attributes()");

const struct ipcfs_field sock_fields[] = {
    [FIELD_NAME] = {"name", IPCFS_NAME, "", "its name"},
    [FIELD_TYPE] = {"type", IPCFS_STRING, "",
                    "socket: made by bind; directory: made by mkdir; file: a regular file beside them"},
    [FIELD_KIND] = {"kind", IPCFS_STRING, "", "stream, seqpacket or dgram"},
    [FIELD_STATE] =
        {"state", IPCFS_STRING, "",
         "listen; bound: does not listen, or has datagrams; new: just made; stale: nobody has it"},
    [FIELD_SIZE] = {"size", IPCFS_UNSIGNED, "bytes", "length, of a file; of all else 0"},
    [FIELD_BACKLOG] = {"backlog", IPCFS_UNSIGNED, "connections", "so many may wait to be accepted"},
    [FIELD_QUEUED] = {"queued", IPCFS_UNSIGNED, "connections",
                      "so many wait to be accepted (of a directory with datagrams: of those)"},
    [FIELD_CONNECTIONS] = {"connections", IPCFS_UNSIGNED, "", "accepted, and open"},
    [FIELD_INODE] = {"inode", IPCFS_UNSIGNED, "",
                     "the socket's number, as in ctl/sock/list and /proc/PID/fd"},
    [FIELD_MODE] = {"mode", IPCFS_MODE, "", "permission bits"},
    [FIELD_UID] = {"uid", IPCFS_UNSIGNED, "", "owner"},
    [FIELD_GID] = {"gid", IPCFS_UNSIGNED, "", "owning group"},
    [FIELD_NLINK] = {"nlink", IPCFS_UNSIGNED, "", "number of names"},
    [FIELD_INO] = {"ino", IPCFS_UNSIGNED, "", "inode number"},
    [FIELD_ATIME] = {"atime", IPCFS_TIME, "", "last use, as the runtime directory keeps it"},
    [FIELD_MTIME] = {"mtime", IPCFS_TIME, "", "last change of content"},
    [FIELD_CTIME] = {"ctime", IPCFS_TIME, "", "last change of content or attributes"},
    [FIELD_BTIME] = {"btime", IPCFS_TIME, "", "creation"},
    [FIELD_HOLDER] = {"holder", IPCFS_TABLE, "", "who has the socket open"},
    [FIELD_PEER] = {"peer", IPCFS_TABLE, "", "who is connected, through accept in the directory"},
    {0},
};

static const char *type_name(mode_t mode)
{
    return S_ISSOCK(mode) ? "socket" : S_ISDIR(mode) ? "directory" : "file";
}

/* "stream" of "unix-stream". */
static const char *short_kind(const char *kind)
{
    const char *dash = strchr(kind, '-');
    return dash ? dash + 1 : kind;
}

static int show_holders(uint32_t inode, struct ipcfs_value *values)
{
    AUTO_HOLDERS holders = {0};
    int error = inode ? sock_holders_read(inode, &holders) : 0;
    if (error)
        return error;
    struct ipcfs_table *table = sock_holders_table(&holders);
    if (!table)
        return -ENOMEM;
    values[FIELD_HOLDER] = (struct ipcfs_value){.known = true, .table = table};
    return 0;
}

static int show_node(const struct statx *stat, struct ipcfs_value *values)
{
    struct sock_node node;
    int error = sock_node_look(stat, &node);
    if (error || node.state == SOCK_NODE_UNKNOWN)
        return error;
    values[FIELD_STATE] = ipcfs_string(sock_node_state_name(node.state));
    values[FIELD_CONNECTIONS] = ipcfs_number(node.connected);
    if (node.inode) {
        values[FIELD_KIND] = ipcfs_string(short_kind(node.kind));
        values[FIELD_INODE] = ipcfs_number(node.inode);
    }
    if (node.state == SOCK_NODE_LISTEN) {
        values[FIELD_BACKLOG] = ipcfs_number(node.send);
        values[FIELD_QUEUED] = ipcfs_number(node.receive);
    }
    return show_holders(node.inode, values);
}

static const char *socket_kind(int type)
{
    return type == SOCK_STREAM ? "stream" : type == SOCK_SEQPACKET ? "seqpacket" : "dgram";
}

/* One that could not be made to listen again has no listener. */
static int show_listener(struct ipcfs_objid id, struct ipcfs_value *values)
{
    struct listener_state listener = {0};
    int error = listener_state(id, &listener);
    if (error == -ESTALE) { /* it was removed, or could not be made at start */
        values[FIELD_STATE] = ipcfs_string(sock_node_state_name(SOCK_NODE_STALE));
        return 0;
    }
    values[FIELD_PEER] = (struct ipcfs_value){.known = listener.peers, .table = listener.peers};
    if (error)
        return error;
    values[FIELD_KIND] = ipcfs_string(socket_kind(listener.type));
    values[FIELD_STATE] = ipcfs_string(sock_node_state_name(SOCK_NODE_LISTEN));
    values[FIELD_BACKLOG] = ipcfs_number(listener.backlog);
    values[FIELD_QUEUED] = (struct ipcfs_value){.known = listener.queued_known, .number = listener.queued};
    values[FIELD_CONNECTIONS] = ipcfs_number(listener.connections);
    values[FIELD_INODE] = ipcfs_number(listener.inode);
    return 0;
}

int sock_show_state(const struct ipcfs_ref *ref, const struct statx *stat, struct ipcfs_value *values)
{
    for (size_t i = 0; sock_fields[i].name; i++)
        values[i] = (struct ipcfs_value){.known = false};
    values[FIELD_NAME] = ipcfs_string(ref->name);
    values[FIELD_TYPE] = ipcfs_string(type_name(stat->stx_mode));
    values[FIELD_SIZE] = ipcfs_number(stat->stx_size);
    tmpfs_show_attributes(stat, values + FIELD_MODE);
    if (S_ISSOCK(stat->stx_mode))
        return show_node(stat, values);
    return S_ISDIR(stat->stx_mode) ? show_listener(nodes_object_id(stat), values) : 0;
}

/* ---- limits ---- */

enum {
    LIMIT_SOMAXCONN,
    LIMIT_MAX_DGRAM_QLEN,
    LIMIT_RMEM_DEFAULT,
    LIMIT_RMEM_MAX,
    LIMIT_WMEM_DEFAULT,
    LIMIT_WMEM_MAX,
    LIMIT_SOCKETS_USED,
    LIMIT_INODES,
    LIMIT_INODES_USED,
    LIMIT_INODES_AVAILABLE,
    LIMIT_OBJECTS,
};

const struct ipcfs_field sock_limit_fields[] = {
    [LIMIT_SOMAXCONN] = {"somaxconn", IPCFS_UNSIGNED, "connections",
                         "the largest backlog (net.core.somaxconn)"},
    [LIMIT_MAX_DGRAM_QLEN] = {"max_dgram_qlen", IPCFS_UNSIGNED, "datagrams",
                              "so many may wait in one UNIX socket (net.unix.max_dgram_qlen)"},
    [LIMIT_RMEM_DEFAULT] = {"rmem_default", IPCFS_UNSIGNED, "bytes",
                            "receive buffer of a socket (net.core.rmem_default)"},
    [LIMIT_RMEM_MAX] = {"rmem_max", IPCFS_UNSIGNED, "bytes", "the largest that SO_RCVBUF makes it"},
    [LIMIT_WMEM_DEFAULT] = {"wmem_default", IPCFS_UNSIGNED, "bytes",
                            "send buffer of a socket (net.core.wmem_default)"},
    [LIMIT_WMEM_MAX] = {"wmem_max", IPCFS_UNSIGNED, "bytes", "the largest that SO_SNDBUF makes it"},
    [LIMIT_SOCKETS_USED] = {"sockets_used", IPCFS_UNSIGNED, "", "sockets of all sorts that there are"},
    [LIMIT_INODES] = {"inodes", IPCFS_UNSIGNED, "",
                      "so many files may be on the file system of the runtime directory"},
    [LIMIT_INODES_USED] = {"inodes_used", IPCFS_UNSIGNED, "", "in use"},
    [LIMIT_INODES_AVAILABLE] = {"inodes_available", IPCFS_UNSIGNED, "", "left"},
    [LIMIT_OBJECTS] = {"objects", IPCFS_UNSIGNED, "", "so many have a name in sock/"},
    {0},
};

const struct ipcfs_limit sock_limit_rows[] = {
    {"sysctl net.core.somaxconn", LIMIT_SOMAXCONN, IPCFS_NO_USE, .scope = IPCFS_LIMITS_OBJECT},
    {"sysctl net.unix.max_dgram_qlen", LIMIT_MAX_DGRAM_QLEN, IPCFS_NO_USE, .scope = IPCFS_LIMITS_OBJECT},
    {"sysctl net.core.rmem_max", LIMIT_RMEM_MAX, IPCFS_NO_USE, .scope = IPCFS_LIMITS_OBJECT},
    {"sysctl net.core.wmem_max", LIMIT_WMEM_MAX, IPCFS_NO_USE, .scope = IPCFS_LIMITS_OBJECT},
    {"inodes of the runtime directory's file system", LIMIT_INODES, LIMIT_INODES_USED,
     .scope = IPCFS_LIMITS_FILESYSTEM},
    {0},
};

const struct ipcfs_total sock_totals[] = {
    {IPCFS_TOTAL_OBJECTS, LIMIT_OBJECTS},
    {IPCFS_TOTAL_SOCKETS, LIMIT_SOCKETS_USED},
    {0},
};

/* The number behind `label`; unknown where the file or the label is missing. */
static struct ipcfs_value read_number(const char *path, const char *label)
{
    uint64_t number = 0;
    bool known = small_file_number(path, label, &number) == 0;
    return (struct ipcfs_value){.known = known, .number = number};
}

/* Without a limit (nr_inodes=0) a tmpfs says 0 of everything. */
static int show_inodes(struct ipcfs_value *values)
{
    struct statvfs system;
    struct ipcfs_value limits[TMPFS_INODES_AVAILABLE + 1];
    int nodes = sock_nodes();
    if (nodes < 0)
        return nodes;
    if (fstatvfs(nodes, &system) < 0)
        return -errno;
    tmpfs_show_limits(&system, limits);
    values[LIMIT_INODES] = limits[TMPFS_INODES];
    values[LIMIT_INODES_USED] = limits[TMPFS_INODES_USED];
    values[LIMIT_INODES_AVAILABLE] = limits[TMPFS_INODES_AVAILABLE];
    return 0;
}

int sock_show_limits(struct ipcfs_value *values)
{
    static const struct {
        const char *path;
        const char *label;
        unsigned field;
    } sources[] = {
        {"/proc/sys/net/core/somaxconn", "", LIMIT_SOMAXCONN},
        {"/proc/sys/net/unix/max_dgram_qlen", "", LIMIT_MAX_DGRAM_QLEN},
        {"/proc/sys/net/core/rmem_default", "", LIMIT_RMEM_DEFAULT},
        {"/proc/sys/net/core/rmem_max", "", LIMIT_RMEM_MAX},
        {"/proc/sys/net/core/wmem_default", "", LIMIT_WMEM_DEFAULT},
        {"/proc/sys/net/core/wmem_max", "", LIMIT_WMEM_MAX},
        {"/proc/net/sockstat", "sockets: used ", LIMIT_SOCKETS_USED},
    };
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        values[sources[i].field] = read_number(sources[i].path, sources[i].label);
    int error = show_inodes(values);
    return error ? error : object_count(&ipcfs_sock_backend, &values[LIMIT_OBJECTS]);
}
