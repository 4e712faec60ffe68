/* SPDX-License-Identifier: MIT */
/* The files in the directory of a listening socket. */
#include "sock_connection.h"
#include "sock_datagram.h"
#include "sock_listeners.h"

#include "ipcfs/number.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* ---- words ---- */

struct word {
    const char *start;
    size_t length;
};

/* The line without blanks around it. */
static struct word trimmed(const struct ipcfs_written *written)
{
    static const char blanks[] = " \t";
    struct word word = {.start = written->data + strspn(written->data, blanks)};
    word.length = (size_t)(written->data + written->size - word.start);
    while (word.length && strchr(blanks, word.start[word.length - 1]))
        word.length--;
    return word;
}

/* ---- type ---- */

static int read_type(const struct ipcfs_ref *ref, int64_t number, struct text *out)
{
    (void)number;
    struct endpoint *endpoint = listener_endpoint(ref->id);
    if (!endpoint)
        return -ESTALE;
    text_printf(out, "%s\n", sock_type_name(endpoint->type));
    endpoint_put(endpoint);
    return text_error(out);
}

static int write_type(const struct ipcfs_ref *ref, int64_t number, const struct ipcfs_written *written)
{
    (void)number;
    struct word word = trimmed(written);
    int type = sock_type_of(word.start, word.length);
    if (!type)
        text_printf(written->reason, "not a type, which is stream, seqpacket or dgram");
    int error = type ? listener_set_type(ref->id, type) : -EINVAL;
    if (error == -EBUSY)
        text_printf(written->reason,
                    "somebody waits to accept or to connect, has send or recv open, or is queued");
    return error;
}

/* ---- backlog ---- */

static int read_backlog(const struct ipcfs_ref *ref, int64_t number, struct text *out)
{
    (void)number;
    unsigned backlog = 0;
    int error = listener_backlog(ref->id, &backlog);
    if (error)
        return error;
    text_printf(out, "%u\n", backlog);
    return text_error(out);
}

static int write_backlog(const struct ipcfs_ref *ref, int64_t number, const struct ipcfs_written *written)
{
    (void)number;
    uint64_t backlog = 0;
    struct word word = trimmed(written);
    unsigned max = listener_backlog_max();
    int error = parse_digits(word.start, word.length, 10, max, &backlog);
    if (error == -ERANGE)
        text_printf(written->reason, "over net.core.somaxconn (%u)", max);
    else if (error)
        text_printf(written->reason, "not a number, which would be digits only");
    if (error)
        return -EINVAL;
    error = listener_set_backlog(ref->id, (unsigned)backlog);
    if (error == -EOPNOTSUPP)
        text_printf(written->reason, "of datagrams net.unix.max_dgram_qlen says how many may be queued");
    return error;
}

/* ---- socket ---- */

static int link_socket(const struct ipcfs_ref *ref, char *target, size_t room)
{
    return sock_kept_path(ref->id.number, target, room);
}

/* ---- the table ---- */

enum { NEEDS_BOTH = IPCFS_NEEDS_READ | IPCFS_NEEDS_WRITE };

const struct ipcfs_verb listener_files[] = {
    {.name = "accept",
     .type = IPCFS_VERB_CONNECTION,
     .mode = 0660,
     .read_needs = NEEDS_BOTH,
     .write_needs = NEEDS_BOTH,
     .help = "open waits for a client; the open file is the connection, both directions of it (accept)",
     .open = connection_open_accept},
    {.name = "connect",
     .type = IPCFS_VERB_CONNECTION,
     .mode = 0666,
     .read_needs = IPCFS_NEEDS_WRITE,
     .write_needs = IPCFS_NEEDS_WRITE,
     .help = "open connects, and waits for room in the queue; the open file is the connection (connect)",
     .open = connection_open_connect},
    {.name = "socket",
     .type = IPCFS_VERB_LINK,
     .mode = 0777,
     .help = "symbolic link to the socket's node: a path that native programs can connect to",
     .link = link_socket},
    {.name = "type",
     .type = IPCFS_VERB_TEXT,
     .mode = 0644,
     .read_needs = IPCFS_NEEDS_READ,
     .write_needs = IPCFS_NEEDS_WRITE,
     .help =
         "stream, seqpacket or dgram; writing another makes the socket anew, where nobody waits or is queued",
     .read = read_type,
     .write = write_type},
    {.name = "backlog",
     .type = IPCFS_VERB_TEXT,
     .mode = 0644,
     .read_needs = IPCFS_NEEDS_READ,
     .write_needs = IPCFS_NEEDS_WRITE,
     .help = "how many may wait to be accepted; write N: up to net.core.somaxconn, 0 for as many as that",
     .read = read_backlog,
     .write = write_backlog},
    {.name = "send",
     .type = IPCFS_VERB_FILE,
     .mode = 0222,
     .write_needs = IPCFS_NEEDS_WRITE,
     .help = "each write sends a datagram, waiting for room in the queue; of type dgram",
     .open = datagram_open_send},
    {.name = "recv",
     .type = IPCFS_VERB_FILE,
     .mode = 0440,
     .read_needs = NEEDS_BOTH,
     .help = "each read takes a datagram, waiting for it; of type dgram",
     .open = datagram_open_recv},
    {0},
};
