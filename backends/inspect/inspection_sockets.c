/* SPDX-License-Identifier: MIT */
/*
 * Sockets: /proc tells their numbers only. By sock_diag(7) one that is bound to a node of the mount is found to be that
 * object; and one whose other end is a listening socket of the daemon's, or was accepted there, uses that.
 */
#include "inspection_build.h"

#include "rows.h"
#include "sock.h"
#include "sock_diag.h"
#include "sock_listeners.h"
#include "sock_node.h"

#include "ipcfs/place.h"

#include <errno.h>

/* So many are asked for one by one: that is quicker than a list of all that there are. */
enum { FEW = 16 };

/* An end that the daemon has of a connection, or a socket on which it listens. */
struct own_end {
    uint32_t inode;
    uint64_t listener; /* `id.number` of the directory */
};

struct asking {
    struct build *build;
    struct own_end *ends; /* by inode; owned */
    size_t count, room;
};

static int keep_end(void *data, uint64_t listener, ino_t inode)
{
    struct asking *asking = data;
    if (!ROWS_MAKE_ROOM(asking->ends, asking->count, asking->room))
        return -ENOMEM;
    asking->ends[asking->count++] = (struct own_end){.inode = (uint32_t)inode, .listener = listener};
    return 0;
}

static int by_inode(const void *a, const void *b)
{
    uint32_t one = ((const struct own_end *)a)->inode;
    uint32_t other = ((const struct own_end *)b)->inode;
    return (one > other) - (one < other);
}

static const struct own_end *own_end(const struct asking *asking, uint32_t inode)
{
    const struct own_end key = {.inode = inode};
    if (!inode || !asking->count)
        return NULL;
    return bsearch(&key, asking->ends, asking->count, sizeof key, by_inode);
}

/* Its uses are that object's from now on. */
static int turn_into(struct build *build, size_t socket, uint64_t number)
{
    const struct object_key key = {.type = INSPECTED_OBJECT, .kind = &ipcfs_sock_backend, .number = number};
    size_t object = NO_OBJECT;
    int error = objects_add(&build->objects, &key, &object);
    if (!error)
        build->objects.notes[socket].becomes = object;
    return error;
}

static int look_at(void *data, const struct diag_socket *socket)
{
    struct asking *asking = data;
    struct objects *objects = &asking->build->objects;
    const struct object_key key = {.type = INSPECTED_SOCKET, .number = socket->inode};
    size_t found = socket->inode ? objects_find(objects, &key) : NO_OBJECT;
    const struct own_end *other = own_end(asking, socket->peer);
    if (found == NO_OBJECT)
        return 0;
    objects->rows[found].socket = socket->inode;
    objects->rows[found].peer = socket->peer;
    if (other)
        return turn_into(asking->build, found, other->listener);
    if (!socket->bound || !socket->reachable || !place_device() || socket->node_device != place_device())
        return 0;
    int error = turn_into(asking->build, found, socket->node_inode);
    if (!error) {
        size_t node = objects->notes[found].becomes;
        objects->rows[node].socket = socket->inode;
        objects->rows[node].peer = socket->peer;
    }
    return error;
}

static size_t count_sockets(const struct objects *objects)
{
    size_t count = 0;
    for (size_t i = 0; i < objects->count; i++)
        count += objects->rows[i].type == INSPECTED_SOCKET;
    return count;
}

/* The kernel finds a UNIX socket by its number. −ENOENT where one is of another family, or gone. */
static int ask_each(struct asking *asking)
{
    const struct objects *objects = &asking->build->objects;
    size_t count = objects->count; /* what sockets turn into is behind */
    int error = 0;
    for (size_t i = 0; !error && i < count; i++) {
        struct diag_socket socket;
        if (objects->rows[i].type != INSPECTED_SOCKET)
            continue;
        error = diag_find_unix((uint32_t)objects->rows[i].number, &socket);
        if (!error)
            error = look_at(asking, &socket);
    }
    return error;
}

static int ask(struct asking *asking)
{
    int error = listeners_each_end(keep_end, asking);
    if (asking->count)
        qsort(asking->ends, asking->count, sizeof *asking->ends, by_inode);
    if (error)
        return error;
    error = count_sockets(&asking->build->objects) <= FEW ? ask_each(asking) : -ENOENT;
    if (error == -ENOENT)
        error = diag_walk(look_at, asking);
    return sock_node_is_blind(error) ? 0 : error;
}

int build_ask_sockets(struct build *build)
{
    struct asking asking = {.build = build};
    int error = count_sockets(&build->objects) ? ask(&asking) : 0;
    free(asking.ends);
    return error;
}
