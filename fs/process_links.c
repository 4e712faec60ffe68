/* SPDX-License-Identifier: MIT */
#include "process_links.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

/* How much of what it is stands behind a name: see the top of the header. */
enum level { LEVEL_NAME, LEVEL_INODE, LEVEL_DEVICE };

/* An object that the process uses. */
struct used {
    const struct inspected_object *object;
    const struct inspected_use *use; /* the one that the target is of, if it is not in the tree */
    enum level level;
    bool shared_name; /* another of this level is called the same */
    char *name;
};

static bool is_in_tree(const struct inspected_object *object)
{
    return object->type == INSPECTED_OBJECT && !object->removed && object->name && *object->name;
}

/* ---- targets ---- */

/* The directories of a kind have short paths. */
enum { TARGET_ROOM = NAME_MAX + 128 };

/* The smaller, the better a use leads to the object. */
static unsigned rank(const struct inspected_use *use)
{
    if (use->how == USE_DESCRIPTOR)
        return 0;
    if (use->how != USE_WAITING)
        return 1;
    return use->fd >= 0 ? 2 : 3;
}

/* Allocated; NULL when out of memory. */
static char *make_target(const struct used *used, pid_t pid)
{
    const struct inspected_object *object = used->object;
    const struct inspected_use *use = used->use;
    char target[TARGET_ROOM];
    if (is_in_tree(object))
        (void)snprintf(target, sizeof target, "../../%s/%s", object->kind->directories[0], object->name);
    else if (use->fd >= 0)
        (void)snprintf(target, sizeof target, "/proc/%d/fd/%d", pid, use->fd);
    else if (use->end)
        (void)snprintf(target, sizeof target, "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, pid, use->start,
                       use->end);
    else
        (void)snprintf(target, sizeof target, "/proc/%d", pid);
    return strdup(target);
}

/* ---- names ---- */

static const char *word_of(const struct inspected_object *object)
{
    bool path = object->name && *object->name == '/';
    return object->type == INSPECTED_PIPE && path ? "fifo" : inspected_kind_word(object);
}

/* What stands behind the word: the name in the tree; of a label the part that is a name, which may be "". */
static const char *name_of(const struct inspected_object *object)
{
    const char *name = object->name ? object->name : "";
    if (object->type == INSPECTED_OBJECT)
        return name;
    if (*name == '/')
        return strrchr(name, '/') + 1;
    size_t word = strlen(word_of(object));
    if (strncmp(name, word_of(object), word) == 0 && name[word] == ':')
        name += word + 1;
    return *name == '[' ? "" : name;
}

static void write_suffix(const struct inspected_object *object, enum level level, char *out, size_t room)
{
    *out = '\0';
    if (level == LEVEL_INODE)
        (void)snprintf(out, room, "[%" PRIu64 "]", object->number);
    else if (level == LEVEL_DEVICE)
        (void)snprintf(out, room, "[%u:%u:%" PRIu64 "]", major(object->device), minor(object->device),
                       object->number);
}

/* Replaces the name by that of its level. False when out of memory. */
static bool give_name(struct used *used)
{
    const struct inspected_object *object = used->object;
    const char *end = object->type == INSPECTED_OBJECT && object->removed ? " (deleted)" : "";
    char suffix[64];
    char name[NAME_MAX + 1];
    write_suffix(object, used->level, suffix, sizeof suffix);
    int length = snprintf(name, sizeof name, "%s:%s%s%s", word_of(object), name_of(object), end, suffix);
    if (length < 0 || (size_t)length >= sizeof name)
        (void)snprintf(name, sizeof name, "%s:#%" PRIu64 "%s%s", word_of(object), object->number, end,
                       suffix);
    for (char *slash = name; (slash = strchr(slash, '/'));)
        *slash = '-';
    free(used->name);
    used->name = strdup(name);
    return used->name;
}

static enum level first_level(const struct inspected_object *object)
{
    const char *name = name_of(object);
    size_t length = strlen(name);
    return length == 0 || name[length - 1] == ']' ? LEVEL_INODE : LEVEL_NAME;
}

static int compare_used(const void *a, const void *b)
{
    const struct used *first = a;
    const struct used *second = b;
    return strcmp(first->name, second->name);
}

/* Sorts by name, and names those anew that have a common one: a level higher. */
static bool tell_apart(struct used *all, size_t count)
{
    qsort(all, count, sizeof *all, compare_used);
    for (size_t i = 0; i < count; i++)
        all[i].shared_name = (i > 0 && strcmp(all[i - 1].name, all[i].name) == 0) ||
                             (i + 1 < count && strcmp(all[i].name, all[i + 1].name) == 0);
    for (size_t i = 0; i < count; i++) {
        if (!all[i].shared_name)
            continue;
        if (all[i].level < LEVEL_DEVICE)
            all[i].level++;
        if (!give_name(&all[i]))
            return false;
    }
    return true;
}

static bool give_names(struct used *all, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        all[i].level = first_level(all[i].object);
        if (!give_name(&all[i]))
            return false;
    }
    for (enum level level = LEVEL_NAME; level < LEVEL_DEVICE; level++) {
        if (!tell_apart(all, count))
            return false;
    }
    qsort(all, count, sizeof *all, compare_used);
    return true;
}

/* ---- the links ---- */

/* The use of each object by the process, at the object's index; NULL: none. */
static void find_uses(const struct inspection *inspection, size_t process, const struct inspected_use **uses)
{
    for (size_t i = 0; i < inspection->use_count; i++) {
        const struct inspected_use *use = &inspection->uses[i];
        if (use->process != process || inspection->objects[use->object].type == INSPECTED_EXIT)
            continue;
        const struct inspected_use **best = &uses[use->object];
        if (!*best || rank(use) < rank(*best))
            *best = use;
    }
}

static int make_links(struct used *all, size_t count, pid_t pid, struct process_links *out)
{
    if (!give_names(all, count))
        return -ENOMEM;
    out->links = calloc(count ? count : 1, sizeof *out->links);
    if (!out->links)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        struct process_link *link = &out->links[out->count++];
        *link = (struct process_link){.name = TAKE_PTR(all[i].name), .target = make_target(&all[i], pid)};
        if (!link->target)
            return -ENOMEM;
    }
    return 0;
}

int process_links_make(const struct inspection *inspection, const struct process *process,
                       struct process_links *out)
{
    *out = (struct process_links){0};
    size_t objects = inspection->object_count;
    AUTO_FREE const struct inspected_use **uses = calloc(objects + 1, sizeof(const struct inspected_use *));
    AUTO_FREE struct used *all = calloc(objects + 1, sizeof *all);
    if (!uses || !all)
        return -ENOMEM;
    find_uses(inspection, (size_t)(process - inspection->processes), uses);
    size_t count = 0;
    for (size_t i = 0; i < objects; i++) {
        if (uses[i])
            all[count++] = (struct used){.object = &inspection->objects[i], .use = uses[i]};
    }
    int error = make_links(all, count, process->pid, out);
    if (error)
        process_links_reset(out);
    for (size_t i = 0; i < count; i++)
        free(all[i].name);
    return error;
}

static int compare_link(const void *name, const void *link)
{
    return strcmp(name, ((const struct process_link *)link)->name);
}

const struct process_link *process_links_find(const struct process_links *links, const char *name)
{
    if (!links->count)
        return NULL;
    return bsearch(name, links->links, links->count, sizeof *links->links, compare_link);
}

void process_links_reset(struct process_links *links)
{
    for (size_t i = 0; i < links->count; i++) {
        free(links->links[i].name);
        free(links->links[i].target);
    }
    free(links->links);
    *links = (struct process_links){0};
}
