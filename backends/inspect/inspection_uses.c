/* SPDX-License-Identifier: MIT */
#include "inspection_build.h"

#include "rows.h"

#include <errno.h>
#include <string.h>

/* ---- rows ---- */

int build_add_use(struct build *build, const struct inspected_use *use)
{
    struct inspection *out = build->out;
    if (!ROWS_MAKE_ROOM(out->uses, out->use_count, build->use_room))
        return -ENOMEM;
    out->uses[out->use_count++] = *use;
    return 0;
}

struct inspected_use build_use(const struct build *build, size_t object, enum inspected_how how)
{
    return (struct inspected_use){
        .process = build->out->process_count - 1, .object = object, .how = how, .member = -1, .fd = -1};
}

/* ---- finding: both are in the order in which /proc tells them ---- */

static int compare_fd(const void *key, const void *row)
{
    int fd = *(const int *)key;
    const struct process_descriptor *descriptor = row;
    return (fd > descriptor->fd) - (fd < descriptor->fd);
}

const struct process_descriptor *process_descriptor_find(const struct process *process, int fd)
{
    if (!process->descriptor_count)
        return NULL;
    return bsearch(&fd, process->descriptors, process->descriptor_count, sizeof *process->descriptors,
                   compare_fd);
}

static int compare_address(const void *key, const void *row)
{
    uint64_t address = *(const uint64_t *)key;
    const struct process_mapping *mapping = row;
    return (address >= mapping->end) - (address < mapping->start);
}

const struct process_mapping *process_mapping_find(const struct process *process, uint64_t address)
{
    if (!process->mapping_count)
        return NULL;
    return bsearch(&address, process->mappings, process->mapping_count, sizeof *process->mappings,
                   compare_address);
}

/* ---- descriptors ---- */

static int add_descriptor(struct build *build, const struct process *process,
                          const struct process_descriptor *descriptor)
{
    struct thing thing;
    size_t object = NO_OBJECT;
    if (!thing_of_descriptor(build, process, descriptor, &thing))
        return 0;
    int error = thing_object(build, &thing, &object);
    if (error)
        return error;
    struct locked_file *locked = build_locked_file(build, descriptor->device, descriptor->ino);
    if (locked)
        locked->object = object;
    build->objects.notes[object].unwanted = false;
    struct inspected_use use = build_use(build, object, USE_DESCRIPTOR);
    use.reads = descriptor->reads;
    use.writes = descriptor->writes;
    use.part = thing.part;
    use.member = thing.member;
    use.fd = descriptor->fd;
    return build_add_use(build, &use);
}

/* ---- mappings ---- */

/* A mapping whose protection was changed in part, or that was unmapped in part, is several. */
static bool goes_on(const struct inspected_use *before, const struct inspected_use *use)
{
    return before->process == use->process && before->object == use->object && before->how == use->how &&
           before->part == use->part && before->end == use->start &&
           before->offset + (before->end - before->start) == use->offset;
}

static int add_or_go_on(struct build *build, const struct inspected_use *use)
{
    struct inspection *out = build->out;
    struct inspected_use *before = out->use_count ? &out->uses[out->use_count - 1] : NULL;
    if (!before || !goes_on(before, use))
        return build_add_use(build, use);
    before->end = use->end;
    before->reads |= use->reads;
    before->writes |= use->writes;
    return 0;
}

static int add_mapping(struct build *build, const struct process *process,
                       const struct process_mapping *mapping)
{
    struct thing thing;
    size_t object = NO_OBJECT;
    if (!thing_of_mapping(build, process, mapping, &thing))
        return 0;
    int error = thing_object(build, &thing, &object);
    if (error)
        return error;
    const struct ipcfs_backend *kind = thing.key.kind;
    bool attached = !thing.mount && kind && strcmp(kind->kind, "sysv/shm") == 0;
    struct inspected_use use = build_use(build, object, attached ? USE_ATTACHMENT : USE_MAPPING);
    use.reads = mapping->reads;
    use.writes = mapping->writes && mapping->shared;
    use.part = thing.part;
    use.member = thing.member;
    use.start = mapping->start;
    use.end = mapping->end;
    use.offset = mapping->offset;
    return add_or_go_on(build, &use);
}

int build_add_uses(struct build *build, const struct process *process)
{
    int error = 0;
    for (size_t i = 0; !error && i < process->descriptor_count; i++)
        error = add_descriptor(build, process, &process->descriptors[i]);
    for (size_t i = 0; !error && i < process->mapping_count; i++)
        error = add_mapping(build, process, &process->mappings[i]);
    return error;
}
