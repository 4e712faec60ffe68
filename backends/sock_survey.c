/* SPDX-License-Identifier: MIT */
#include "sock_show.h"

#include "sock_diag.h"
#include "sock_holders.h"
#include "sock_listeners.h"
#include "sock_node.h"
#include "sock_nodes.h"

#include "ipcfs/place.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIELD_KIND,
    FIELD_STATE,
    FIELD_RECEIVE,
    FIELD_SEND,
    FIELD_LOCAL,
    FIELD_REMOTE,
    FIELD_INODE,
    FIELD_PEER,
    FIELD_UID,
    FIELD_NAME,
    FIELD_HOLDERS,
    FIELD_COUNT,
};

const struct ipcfs_field sock_survey_fields[] = {
    [FIELD_KIND] = {"kind", IPCFS_STRING, "", "unix-stream, unix-dgram, unix-seqpacket, tcp or udp"},
    [FIELD_STATE] = {"state", IPCFS_STRING, "",
                     "listen, established, unconnected ...; stale, new: no socket, but a node in sock/"},
    [FIELD_RECEIVE] = {"receive", IPCFS_UNSIGNED, "bytes",
                       "wait to be read (listen: connections that wait to be accepted)"},
    [FIELD_SEND] = {"send", IPCFS_UNSIGNED, "bytes", "not taken by the other end yet (listen: the backlog)"},
    [FIELD_LOCAL] = {"local", IPCFS_NAME, "", "its address and port, its path, or @ and its abstract name"},
    [FIELD_REMOTE] = {"remote", IPCFS_NAME, "", "the same of the other end; of unix: see peer"},
    [FIELD_INODE] = {"inode", IPCFS_UNSIGNED, "", "its number, as in /proc/PID/fd"},
    [FIELD_PEER] = {"peer", IPCFS_UNSIGNED, "", "that of the other end (unix)"},
    [FIELD_UID] = {"uid", IPCFS_UNSIGNED, "", "owner"},
    [FIELD_NAME] = {"name", IPCFS_NAME, "", "its name in sock/"},
    [FIELD_HOLDERS] = {"holders", IPCFS_STRING, "",
                       "processes that have it open, as far as you may see them: at most 16, then ..."},
    {0},
};

/* ---- names ---- */

/* An object of sock/ that has, or may have, a socket. */
struct object {
    uint32_t inode; /* of a node: its own; of a directory: its socket's, or 0 where nobody listens */
    bool is_directory;
    bool reached; /* a socket was met that it leads to */
    char *name;   /* owned */
};

struct survey {
    ipcfs_survey_row *row;
    void *data;
    dev_t device;
    struct object *objects; /* owned; in the order of compare() */
    size_t count;
    size_t room;
    struct sock_holders holders;
};

static int compare(const void *left, const void *right)
{
    const struct object *a = left;
    const struct object *b = right;
    if (a->is_directory != b->is_directory)
        return a->is_directory ? 1 : -1;
    return a->inode < b->inode ? -1 : a->inode > b->inode;
}

static struct object *find(const struct survey *survey, bool is_directory, uint32_t inode)
{
    const struct object key = {.is_directory = is_directory, .inode = inode};
    if (!survey->count)
        return NULL;
    return bsearch(&key, survey->objects, survey->count, sizeof key, compare);
}

static struct object *object_of(const struct survey *survey, const struct diag_socket *socket)
{
    struct object *object = NULL;
    if (socket->bound && socket->node_device == survey->device)
        object = find(survey, false, socket->node_inode);
    if (!object && socket->inode)
        object = find(survey, true, socket->inode);
    return object;
}

static int add(struct survey *survey, const char *name, bool is_directory, uint32_t inode)
{
    if (survey->count == survey->room) {
        size_t room = survey->room ? 2 * survey->room : 64;
        struct object *objects = realloc(survey->objects, room * sizeof *objects);
        if (!objects)
            return -ENOMEM;
        survey->objects = objects;
        survey->room = room;
    }
    char *copy = strdup(name);
    if (!copy)
        return -ENOMEM;
    survey->objects[survey->count++] =
        (struct object){.inode = inode, .is_directory = is_directory, .name = copy};
    return 0;
}

static int add_directory(struct survey *survey, const char *name)
{
    struct ipcfs_found found;
    if (sock_find(0, name, &found, NULL))
        return 0; /* removed meanwhile */
    struct endpoint *endpoint = listener_endpoint(found.id);
    uint32_t inode = endpoint ? (uint32_t)endpoint->inode : 0;
    endpoint_put(endpoint);
    return add(survey, name, true, inode);
}

static int add_entry(struct survey *survey, const struct ipcfs_entry *entry)
{
    if (S_ISDIR(entry->type))
        return add_directory(survey, entry->name);
    return S_ISSOCK(entry->type) ? add(survey, entry->name, false, (uint32_t)entry->number) : 0;
}

static int read_objects(struct survey *survey)
{
    struct ipcfs_lister *lister = NULL;
    struct ipcfs_entry entry;
    int more = sock_list_open(0, &lister);
    if (more)
        return more;
    while ((more = sock_list_next(lister, &entry)) == 1) {
        more = add_entry(survey, &entry);
        if (more)
            break;
    }
    nodes_list_close(lister);
    if (survey->count)
        qsort(survey->objects, survey->count, sizeof *survey->objects, compare);
    return more;
}

static void release(struct survey *survey)
{
    for (size_t i = 0; i < survey->count; i++)
        free(survey->objects[i].name);
    free(survey->objects);
    sock_holders_free(&survey->holders);
}

/* ---- rows ---- */

static struct ipcfs_value some_number(uint32_t number)
{
    return (struct ipcfs_value){.known = number, .number = number};
}

static struct ipcfs_value some_string(const char *string)
{
    return (struct ipcfs_value){.known = *string, .string = string};
}

static int visit(void *data, const struct diag_socket *socket)
{
    const struct survey *survey = data;
    struct ipcfs_value values[FIELD_COUNT] = {0};
    char holders[SOCK_HOLDERS_WORD_ROOM];
    size_t count = 0;
    const struct sock_holder *rows = sock_holders_find(&survey->holders, socket->inode, &count);
    struct object *object = object_of(survey, socket);
    sock_holders_word(rows, count, holders);
    values[FIELD_KIND] = ipcfs_string(socket->kind);
    values[FIELD_STATE] = ipcfs_string(socket->state);
    values[FIELD_RECEIVE] = ipcfs_number(socket->receive);
    values[FIELD_SEND] = ipcfs_number(socket->send);
    values[FIELD_LOCAL] = some_string(socket->local);
    values[FIELD_REMOTE] = some_string(socket->remote);
    values[FIELD_INODE] = some_number(socket->inode);
    values[FIELD_PEER] = some_number(socket->peer);
    values[FIELD_UID] = (struct ipcfs_value){.known = socket->has_uid, .number = socket->uid};
    values[FIELD_HOLDERS] = some_string(holders);
    if (object) {
        object->reached = object->reached || socket->reachable;
        values[FIELD_NAME] = ipcfs_string(object->name);
    }
    return survey->row(survey->data, values);
}

/* Of another network name space: what is of the mount. */
static int visit_if_ours(void *data, const struct diag_socket *socket)
{
    return socket->node_device == ((const struct survey *)data)->device && object_of(data, socket)
               ? visit(data, socket)
               : 0;
}

/* Of nodes the network name space of the daemon does not tell all. */
static bool are_all_reached(const struct survey *survey)
{
    for (size_t i = 0; i < survey->count; i++)
        if (!survey->objects[i].is_directory && !survey->objects[i].reached)
            return false;
    return true;
}

static int show_unreached(const struct survey *survey, const struct object *object, bool sure)
{
    struct ipcfs_found found;
    struct ipcfs_value values[FIELD_COUNT] = {0};
    if (sock_find(0, object->name, &found, NULL))
        return 0; /* removed meanwhile */
    const char *state = sock_node_state_name(sock_node_state_unbound(&found.stat, sure));
    values[FIELD_STATE] = (struct ipcfs_value){.known = state, .string = state};
    values[FIELD_NAME] = ipcfs_string(object->name);
    return survey->row(survey->data, values);
}

/* `sure`: every network name space could be looked into. */
static int show_all_unreached(const struct survey *survey, bool sure)
{
    int result = 0;
    for (size_t i = 0; !result && i < survey->count; i++) {
        const struct object *object = &survey->objects[i];
        if (!object->reached && !(object->is_directory && object->inode))
            result = show_unreached(survey, object, sure || object->is_directory);
    }
    return result;
}

static int walk(struct survey *survey)
{
    bool sure = survey->device != 0;
    int result = diag_walk(visit, survey);
    if (result)
        return result;
    if (sure && !are_all_reached(survey)) {
        result = diag_walk_elsewhere(visit_if_ours, survey);
        sure = !result;
    }
    return result && !sock_node_is_blind(result) ? result : show_all_unreached(survey, sure);
}

int sock_survey(ipcfs_survey_row *row, void *data)
{
    struct survey survey = {.row = row, .data = data, .device = place_device()};
    int result = read_objects(&survey);
    if (!result)
        result = sock_holders_read(0, &survey.holders);
    if (!result)
        result = walk(&survey);
    release(&survey);
    return result;
}
