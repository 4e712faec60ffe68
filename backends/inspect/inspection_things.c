/* SPDX-License-Identifier: MIT */
#include "inspection_build.h"

#include "kernel_memory.h"
#include "thing_name.h"

#include "ipcfs/place.h"

#include <stdio.h>
#include <string.h>

/* ---- objects of the tree ---- */

static bool is_of_mount(const struct build *build, dev_t device, ino_t ino, struct thing *out)
{
    struct inspection_node node = {.member = -1};
    if (!device || device != place_device() || !build->host->node(build->host->data, ino, &node))
        return false;
    out->key = (struct object_key){.type = INSPECTED_OBJECT, .kind = node.kind, .number = node.number};
    out->part = node.part;
    out->member = node.member;
    out->mount = true;
    out->called = true;
    return true;
}

static bool is_native(const struct ipcfs_thing *native, struct thing *out)
{
    for (size_t i = 0; ipcfs_backends[i]; i++) {
        uint64_t number = 0;
        if (!ipcfs_backends[i]->recognize(native, &number))
            continue;
        out->key = (struct object_key){.type = INSPECTED_OBJECT, .kind = ipcfs_backends[i], .number = number};
        out->called = ipcfs_backends[i]->messages;
        return true;
    }
    return false;
}

/* ---- what has no place there ---- */

static bool is_nameless(const struct process_descriptor *descriptor, struct thing *out)
{
    ino_t number = 0;
    out->called = true;
    if (process_descriptor_number(descriptor, "pipe", &number))
        out->key = (struct object_key){.type = INSPECTED_PIPE, .number = number};
    else if (process_descriptor_number(descriptor, "socket", &number))
        out->key = (struct object_key){.type = INSPECTED_SOCKET, .number = number};
    else
        return false;
    return true;
}

static bool is_memory(dev_t device, ino_t ino, const char *path, struct thing *out)
{
    static const char memfd[] = "/memfd:";
    if (!kernel_memory_is(device))
        return false;
    bool has_name = strncmp(path, memfd, strlen(memfd)) == 0;
    out->key = (struct object_key){
        .type = has_name ? INSPECTED_MEMFD : INSPECTED_SHARED, .number = ino, .device = device};
    return true;
}

static void is_file(enum inspected_type type, dev_t device, ino_t ino, struct thing *out)
{
    out->key = (struct object_key){.type = type, .number = ino, .device = device};
}

/* ---- things ---- */

static bool is_elsewhere(const struct build *build, const struct process_descriptor *descriptor,
                         struct thing *out)
{
    if (S_ISFIFO(descriptor->type)) {
        is_file(INSPECTED_PIPE, descriptor->device, descriptor->ino, out);
        out->called = true;
        return true;
    }
    if (!build_locked_file(build, descriptor->device, descriptor->ino))
        return false;
    is_file(INSPECTED_FILE, descriptor->device, descriptor->ino, out);
    return true;
}

bool thing_of_descriptor(const struct build *build, const struct process *process,
                         const struct process_descriptor *descriptor, struct thing *out)
{
    const struct ipcfs_thing native = {.device = descriptor->device,
                                       .ino = descriptor->ino,
                                       .path = descriptor->target,
                                       .same_ipc = process->same_ipc};
    *out = (struct thing){.member = -1, .path = descriptor->target};
    if (!descriptor->device)
        return is_nameless(descriptor, out);
    if (descriptor->device == place_device())
        return is_of_mount(build, descriptor->device, descriptor->ino, out);
    if (S_ISREG(descriptor->type) &&
        (is_native(&native, out) || is_memory(descriptor->device, descriptor->ino, descriptor->target, out)))
        return true;
    return is_elsewhere(build, descriptor, out);
}

bool thing_of_mapping(const struct build *build, const struct process *process,
                      const struct process_mapping *mapping, struct thing *out)
{
    const struct ipcfs_thing native = {
        .device = mapping->device, .ino = mapping->ino, .path = mapping->path, .same_ipc = process->same_ipc};
    *out = (struct thing){.member = -1, .path = mapping->path};
    if (!mapping->device)
        return false;
    if (mapping->device == place_device())
        return is_of_mount(build, mapping->device, mapping->ino, out);
    if (is_native(&native, out) || is_memory(mapping->device, mapping->ino, mapping->path, out))
        return true;
    out->unwanted = true;
    is_file(INSPECTED_FILE, mapping->device, mapping->ino, out);
    return mapping->shared && build->what & INSPECT_WAITERS;
}

/* ---- names ---- */

/* What is behind "MOUNTPOINT/KIND/" or "MOUNTPOINT/ctl/KIND/", up to the next slash; empty where the path leads elsewhere. */
static struct thing_name name_in_mount(const char *mountpoint, const struct ipcfs_backend *kind,
                                       const char *path)
{
    static const char ctl[] = "/ctl";
    const char *directory = kind->directories[0];
    size_t length = strlen(mountpoint);
    if (strncmp(path, mountpoint, length) != 0)
        return (struct thing_name){.text = ""};
    path += length;
    if (strncmp(path, ctl, strlen(ctl)) == 0)
        path += strlen(ctl);
    if (*path != '/' || strncmp(path + 1, directory, strlen(directory)) != 0 ||
        path[1 + strlen(directory)] != '/')
        return (struct thing_name){.text = ""};
    path += strlen(directory) + 2;
    struct thing_name name = {.text = path, .length = strcspn(path, "/")};
    return path[name.length] ? name : thing_name_of(path);
}

static struct thing_name name_of_object(const struct build *build, const struct thing *thing)
{
    if (thing->mount) {
        struct thing_name name = name_in_mount(build->host->mountpoint, thing->key.kind, thing->path);
        return name.length || thing->part ? name : thing_name_of(thing->path);
    }
    struct thing_name name = thing_name_of(thing->path);
    size_t prefix = strlen("sem.");
    bool has_prefix = strcmp(thing->key.kind->kind, "sem") == 0 && thing_name_begins(&name, "sem.");
    return has_prefix ? (struct thing_name){name.text + prefix, name.length - prefix} : name;
}

/* Objects with numbers for names have them here; and what has no name at all has its number too. */
static int name_by_number(struct build *build, size_t object, const char *before, const char *behind)
{
    char text[64];
    uint64_t number = build->objects.rows[object].number;
    int length = snprintf(text, sizeof text, "%s%llu%s", before, (unsigned long long)number, behind);
    return objects_name(&build->objects, object, text, (size_t)length);
}

static int name_anything(struct build *build, size_t object, const struct thing *thing)
{
    struct thing_name name = {.text = thing->path, .length = strlen(thing->path)};
    struct thing_name last = thing_name_of(thing->path);
    switch (thing->key.type) {
    case INSPECTED_MEMFD:
        name = last;
        break;
    case INSPECTED_SHARED:
        if (strncmp(thing->path, "/dev/zero", strlen("/dev/zero")) == 0)
            return name_by_number(build, object, "shared:[", "]");
        name = last;
        break;
    case INSPECTED_FILE:
    case INSPECTED_PIPE:
        name.length = (size_t)(last.text - name.text) + last.length;
        break;
    default:
        break;
    }
    if (!name.length)
        return name_by_number(build, object, "[", "]");
    return objects_name(&build->objects, object, name.text, name.length);
}

static int name_object(struct build *build, size_t object, const struct thing *thing)
{
    if (thing->key.type != INSPECTED_OBJECT)
        return name_anything(build, object, thing);
    struct thing_name name = name_of_object(build, thing);
    bool is_number = strncmp(thing->key.kind->kind, "sysv/", strlen("sysv/")) == 0;
    if (is_number || !name.length)
        return name_by_number(build, object, "", "");
    return objects_name(&build->objects, object, name.text, name.length);
}

/* ---- FIFOs that are known by their paths ---- */

/* As of name_in_mount(), but it is the file itself that is meant, and what its name ends with is part of it. */
static bool is_fifo_of_mount(const struct build *build, const struct ipcfs_backend *kind, const char *path,
                             struct thing *out)
{
    struct ipcfs_found found;
    const char *name = name_in_mount(build->host->mountpoint, kind, path).text;
    if (!(kind->makes & IPCFS_MAKES_FIFOS) || !*name || strchr(name, '/') ||
        kind->find(0, name, &found, NULL))
        return false;
    out->key =
        (struct object_key){.type = INSPECTED_OBJECT, .kind = kind, .number = ipcfs_stat_number(&found.stat)};
    out->mount = true;
    return true;
}

void thing_of_fifo(const struct build *build, const char *path, struct thing *out)
{
    *out = (struct thing){.member = -1, .path = path};
    for (size_t i = 0; ipcfs_backends[i]; i++)
        if (is_fifo_of_mount(build, ipcfs_backends[i], path, out))
            return;
    out->key = (struct object_key){
        .type = INSPECTED_PIPE, .number = objects_number(&build->objects, path), .device = NO_DEVICE};
}

int thing_object(struct build *build, const struct thing *thing, size_t *object)
{
    size_t before = build->objects.count;
    int error = objects_add(&build->objects, &thing->key, object);
    if (error || build->objects.count == before)
        return error;
    build->objects.notes[*object].unwanted = thing->unwanted;
    return name_object(build, *object, thing);
}
