/* SPDX-License-Identifier: MIT */
#include "inspection_build.h"

#include <errno.h>
#include <string.h>

static size_t find_listed(const struct objects *objects, const struct ipcfs_backend *kind, uint64_t number)
{
    const struct object_key key = {.type = INSPECTED_OBJECT, .kind = kind, .number = number};
    return objects_find(objects, &key);
}

/* Of several names it is the one that a process opened it by; otherwise the first. */
static int take_name(struct objects *objects, size_t object, const char *name)
{
    const char *known = objects->rows[object].name;
    bool same = known && strcmp(known, name) == 0;
    bool first = !objects->notes[object].listed;
    objects->notes[object].listed = true;
    return same || !first ? 0 : objects_name(objects, object, name, strlen(name));
}

static bool is_used(const struct objects *objects, const struct ipcfs_backend *kind)
{
    for (size_t i = 0; i < objects->count; i++)
        if (objects->rows[i].kind == kind)
            return true;
    return false;
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
    int error = is_used(objects, kind) ? ask_kind(objects, kind, &known) : 0;
    for (size_t i = 0; known && i < objects->count; i++)
        if (objects->rows[i].kind == kind)
            objects->rows[i].removed = !objects->notes[i].listed;
    return error;
}

int build_ask_names(struct build *build)
{
    int error = 0;
    for (size_t i = 0; !error && ipcfs_backends[i]; i++)
        error = ask_names_of(build->objects, ipcfs_backends[i]);
    return error;
}
