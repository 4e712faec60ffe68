/* SPDX-License-Identifier: MIT */
#include "fake_inspection.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_PID = 100, FIRST_TID = 100000, THREADS_MAX = 100 };

void fake_begin(struct fake_inspection *fake)
{
    memset(fake, 0, sizeof *fake);
    fake->seen.processes = fake->processes;
    fake->seen.objects = fake->objects;
    fake->seen.uses = fake->uses;
    fake->seen.locks = fake->locks;
    fake->seen.time = (struct timespec){.tv_sec = 1000};
}

pid_t fake_pid(size_t process)
{
    return (pid_t)(FIRST_PID + process);
}

size_t fake_process(struct fake_inspection *fake, const char *command, size_t threads)
{
    size_t index = fake->seen.process_count++;
    struct process *process = &fake->processes[index];
    *process = (struct process){.pid = fake_pid(index),
                                .parent = 1,
                                .readable = true,
                                .calls_known = true,
                                .same_ipc = true,
                                .threads = threads};
    strncpy(process->command, command, sizeof process->command - 1);
    return index;
}

size_t fake_object(struct fake_inspection *fake, const struct ipcfs_backend *kind, const char *name)
{
    size_t index = fake_thing(fake, INSPECTED_OBJECT, name);
    fake->objects[index].kind = kind;
    return index;
}

size_t fake_thing(struct fake_inspection *fake, enum inspected_type type, const char *name)
{
    size_t index = fake->seen.object_count++;
    fake->objects[index] = (struct inspected_object){.type = type, .number = 1000 + index, .name = name};
    return index;
}

static struct inspected_use *add(struct fake_inspection *fake, size_t process, size_t object,
                                 enum inspected_how how)
{
    struct inspected_use *use = &fake->uses[fake->seen.use_count++];
    *use = (struct inspected_use){.process = process, .object = object, .how = how, .member = -1, .fd = -1};
    return use;
}

struct inspected_use *fake_descriptor(struct fake_inspection *fake, size_t process, size_t object, bool reads,
                                      bool writes)
{
    struct inspected_use *use = add(fake, process, object, USE_DESCRIPTOR);
    use->reads = reads;
    use->writes = writes;
    return use;
}

struct inspected_use *fake_mapping(struct fake_inspection *fake, size_t process, size_t object)
{
    struct inspected_use *use = add(fake, process, object, USE_MAPPING);
    use->reads = use->writes = true;
    use->start = 0x10000;
    use->end = 0x20000;
    return use;
}

struct inspected_use *fake_wait(struct fake_inspection *fake, size_t process, unsigned thread, size_t object,
                                const char *call)
{
    struct inspected_use *use = add(fake, process, object, USE_WAITING);
    use->tid = thread ? (pid_t)(FIRST_TID + process * THREADS_MAX + thread) : fake_pid(process);
    use->call = call;
    use->reads = true;
    use->since_known = true;
    use->since = (struct timespec){.tv_sec = 900};
    return use;
}

void fake_lock(struct fake_inspection *fake, size_t object, pid_t holder, size_t waiter)
{
    fake->locks[fake->seen.lock_count++] =
        (struct inspected_lock){.object = object, .holder = holder, .waiter = fake_pid(waiter)};
}

static int compare_uses(const void *one, const void *two)
{
    const struct inspected_use *a = one;
    const struct inspected_use *b = two;
    if (a->process != b->process)
        return a->process < b->process ? -1 : 1;
    return (a->how > b->how) - (a->how < b->how);
}

const struct inspection *fake_end(struct fake_inspection *fake)
{
    size_t at = 0;
    qsort(fake->uses, fake->seen.use_count, sizeof *fake->uses, compare_uses);
    for (size_t i = 0; i < fake->seen.object_count; i++) {
        fake->objects[i].users = fake->users + at;
        for (size_t j = 0; j < fake->seen.use_count; j++)
            if (fake->uses[j].object == i)
                fake->users[at++] = j;
        fake->objects[i].user_count = (size_t)(fake->users + at - fake->objects[i].users);
    }
    return &fake->seen;
}
