/* SPDX-License-Identifier: MIT */
/* Futexes that are mutexes, and their owners. */
#include "waits_build.h"

#include "lock_word.h"
#include "nodes.h"

#include <errno.h>
#include <stdlib.h>

/* The mapping by which that process has the word. NULL: there is none. */
static const struct inspected_use *mapping_of(const struct inspection *inspection,
                                              const struct inspected_object *object, size_t process,
                                              uint64_t offset)
{
    const struct inspected_use *use = NULL;
    for (size_t at = waits_uses_begin(inspection, object, process);
         (use = waits_use(inspection, object, process, at)); at++) {
        bool maps = use->how == USE_MAPPING || use->how == USE_ATTACHMENT;
        if (maps && use->offset <= offset && offset - use->offset < use->end - use->start)
            return use;
    }
    return NULL;
}

static struct lock_word word_of(const struct inspection *inspection, const struct inspected_use *waiter)
{
    const struct inspected_object *object = &inspection->objects[waiter->object];
    const struct inspected_use *mapping = mapping_of(inspection, object, waiter->process, waiter->offset);
    if (!mapping || waiter->offset % sizeof(uint32_t))
        return (struct lock_word){0}; /* no process has that pid */
    bool of_tree = object->type == INSPECTED_OBJECT;
    return (struct lock_word){
        .pid = inspection->processes[waiter->process].pid,
        .uid = inspection->processes[waiter->process].uid,
        .start = mapping->start,
        .end = mapping->end,
        .offset = waiter->offset,
        .number = object->number,
        .mask = of_tree ? nodes_number(UINT64_MAX) : UINT64_MAX,
        .device = of_tree ? 0 : object->device,
    };
}

/* They come first, and those who wait for the same stand together. */
int waits_read_words(struct waits_build *build)
{
    const struct waits *out = build->out;
    size_t count = 0;
    while (count < out->waited_count && out->waited[count].purpose == WAITS_FOR_FUTEX)
        count++;
    build->words = calloc(count + 1, sizeof *build->words);
    if (!build->words)
        return -ENOMEM;
    build->word_count = count;
    for (size_t i = 0; i < out->count && out->waits[i].waited < count; i++)
        build->words[out->waits[i].waited] =
            word_of(build->inspection, &build->inspection->uses[out->waits[i].use]);
    return lock_words_read(build->words, count);
}

/* NO_PROCESS: the thread has ended, or it is another's by now. */
static ptrdiff_t process_of_owner(const struct waits_build *build, const struct waited *waited, pid_t owner)
{
    const struct inspection *inspection = build->inspection;
    pid_t pid = lock_word_process(owner);
    ptrdiff_t process = pid ? waits_process(inspection, pid) : NO_PROCESS;
    const struct inspected_object *object = &inspection->objects[waited->object];
    bool has_it = process != NO_PROCESS && mapping_of(inspection, object, (size_t)process, waited->offset);
    return has_it ? process : NO_PROCESS;
}

int waits_find_owner(struct waits_build *build, struct waited *waited)
{
    const struct lock_word *word = &build->words[waited - build->out->waited];
    pid_t owner = word->known ? lock_word_owner(word->bytes) : 0;
    if (!owner)
        return 0;
    waited->purpose = WAITS_FOR_MUTEX;
    waited->open = false;
    ptrdiff_t process = process_of_owner(build, waited, owner);
    waited->evidence = process == NO_PROCESS ? EVIDENCE_OWNER_LOST : EVIDENCE_LOCK_WORD;
    return process == NO_PROCESS ? 0 : waits_add_holder(build, waited, (size_t)process, owner);
}
