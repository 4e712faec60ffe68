/* SPDX-License-Identifier: MIT */
#include "inspection_build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* So many of a kind are asked for one by one: that is quicker than a list of what may be thousands. */
enum { FEW = 64 };

static size_t find_listed(const struct objects *objects, const struct ipcfs_backend *kind, uint64_t number)
{
    const struct object_key key = {.type = INSPECTED_OBJECT, .kind = kind, .number = number};
    return objects_find(objects, &key);
}

/* Of several names the first, but for the one that a process opened it by. */
static int take_name(struct objects *objects, size_t object, const char *name)
{
    const char *known = objects->rows[object].name;
    bool same = known && strcmp(known, name) == 0;
    char **listed = &objects->notes[object].listed;
    if (*listed && !same)
        return 0;
    free(*listed);
    *listed = strdup(name);
    return *listed ? 0 : -ENOMEM;
}

/* What is not listed has no name any more, and keeps the one that it was opened by. */
static void settle(struct objects *objects, size_t object)
{
    struct object_note *note = &objects->notes[object];
    objects->rows[object].removed = !note->listed;
    if (!note->listed)
        return;
    free((char *)objects->rows[object].name);
    objects->rows[object].name = note->listed;
    note->listed = NULL;
}

static size_t count_used(const struct objects *objects, const struct ipcfs_backend *kind)
{
    size_t count = 0;
    for (size_t i = 0; i < objects->count; i++)
        count += objects->rows[i].kind == kind;
    return count;
}

static bool has_its_name(const struct inspected_object *object)
{
    struct ipcfs_found found;
    return object->name && *object->name && !object->kind->find(0, object->name, &found, NULL) &&
           ipcfs_stat_number(&found.stat) == object->number;
}

/* Whether each still has the name that it was opened by: then there is nothing to look for. */
static bool have_their_names(const struct objects *objects, const struct ipcfs_backend *kind)
{
    for (size_t i = 0; i < objects->count; i++)
        if (objects->rows[i].kind == kind && !has_its_name(&objects->rows[i]))
            return false;
    return true;
}

/* sock_diag(7) tells of a node's number the lower half only. */
static int take_entry(struct objects *objects, const struct ipcfs_backend *kind,
                      const struct ipcfs_entry *entry)
{
    size_t object = find_listed(objects, kind, entry->number);
    if (object == NO_OBJECT && entry->number > UINT32_MAX && kind->makes & IPCFS_MAKES_SOCKETS)
        object = find_listed(objects, kind, (uint32_t)entry->number);
    return object == NO_OBJECT ? 0 : take_name(objects, object, entry->name);
}

/* Who may not read the directory is told the names that processes opened them by. */
static int ask_kind(struct objects *objects, const struct ipcfs_backend *kind, bool *known)
{
    struct ipcfs_lister *lister = NULL;
    struct ipcfs_entry entry;
    int more = kind->list_open(0, &lister);
    *known = more == 0;
    if (more)
        return more == -EACCES || more == -EPERM ? 0 : more;
    int error = 0;
    while (!error && (more = kind->list_next(lister, &entry)) == 1)
        error = take_entry(objects, kind, &entry);
    kind->list_close(lister);
    return error ? error : more;
}

static int ask_names_of(struct objects *objects, const struct ipcfs_backend *kind)
{
    bool known = false;
    size_t used = count_used(objects, kind);
    if (!used || (used <= FEW && have_their_names(objects, kind)))
        return 0;
    int error = ask_kind(objects, kind, &known);
    for (size_t i = 0; !error && known && i < objects->count; i++)
        if (objects->rows[i].kind == kind)
            settle(objects, i);
    return error;
}

int build_ask_names(struct build *build)
{
    int error = 0;
    for (size_t i = 0; !error && ipcfs_backends[i]; i++)
        error = ask_names_of(&build->objects, ipcfs_backends[i]);
    return error;
}
