/* SPDX-License-Identifier: MIT */
#include "inspection_build.h"

#include "sysv_sem_values.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- children ---- */

/* A pid that is given to wait4(2) is of the name space of the process that waits. Where it is not that of one of its children
 * here, any child of it can be meant. */
static void resolve_child(const struct inspection *out, struct inspected_object *object)
{
    const struct process *child = inspection_process(out, (pid_t)object->number);
    if (!child || child->parent != (pid_t)object->device)
        object->number = 0;
    object->device = 0;
}

/* ---- semaphores ---- */

/* Natively a wait tells the set and not which of its semaphores. Where only one is waited for, it is that. */
static void tell_members(struct inspection *out, size_t object)
{
    int member = sysv_sem_waited((int)out->objects[object].number);
    for (size_t i = 0; i < out->objects[object].user_count; i++) {
        struct inspected_use *use = &out->uses[out->objects[object].users[i]];
        if (use->how == USE_WAITING && !use->parked)
            use->member = member;
    }
}

static bool has_native_waits(const struct inspection *out, const struct inspected_object *object)
{
    for (size_t i = 0; i < object->user_count; i++) {
        const struct inspected_use *use = &out->uses[object->users[i]];
        if (use->how == USE_WAITING && !use->parked)
            return true;
    }
    return false;
}

static void refine_objects(const struct build *build)
{
    struct inspection *out = build->out;
    for (size_t i = 0; i < out->object_count; i++) {
        struct inspected_object *object = &out->objects[i];
        if (object->type == INSPECTED_EXIT)
            resolve_child(out, object);
        else if (object->kind && strcmp(object->kind->kind, "sysv/sem") == 0 && has_native_waits(out, object))
            tell_members(out, i);
    }
}

/* ---- objects ---- */

static bool is_dropped(const struct object_note *note)
{
    return note->unwanted || note->becomes != NO_OBJECT;
}

/* Gives each that stays a new place, and tells where: what has become another has that one's. */
static void move_objects(struct objects *objects, size_t *places)
{
    size_t kept = 0;
    for (size_t i = 0; i < objects->count; i++) {
        places[i] = is_dropped(&objects->notes[i]) ? NO_OBJECT : kept++;
        if (places[i] == NO_OBJECT)
            free((char *)objects->rows[i].name);
        else if (places[i] != i)
            objects->rows[places[i]] = objects->rows[i];
    }
    for (size_t i = 0; i < objects->count; i++)
        if (objects->notes[i].becomes != NO_OBJECT)
            places[i] = places[objects->notes[i].becomes];
    objects->count = kept;
}

static void move_uses(struct inspection *out, const size_t *places)
{
    size_t kept = 0;
    for (size_t i = 0; i < out->use_count; i++) {
        size_t place = places[out->uses[i].object];
        if (place == NO_OBJECT)
            continue;
        out->uses[kept] = out->uses[i];
        out->uses[kept++].object = place;
    }
    out->use_count = kept;
    for (size_t i = 0; i < out->lock_count; i++)
        out->locks[i].object = places[out->locks[i].object];
}

/* One has no name where only the daemon knows that it is used, and it is gone. */
static int name_the_rest(struct objects *objects)
{
    int error = 0;
    for (size_t i = 0; !error && i < objects->count; i++) {
        char text[32];
        if (objects->rows[i].name)
            continue;
        int length = snprintf(text, sizeof text, "%llu", (unsigned long long)objects->rows[i].number);
        error = objects_name(objects, i, text, (size_t)length);
    }
    return error;
}

/* ---- users ---- */

/* Uses are in the order of the pids, and so stays each list. */
static int list_users(struct made_inspection *made)
{
    struct inspection *out = &made->inspection;
    size_t *lists = malloc((out->use_count + 1) * sizeof *lists);
    if (!lists)
        return -ENOMEM;
    made->users = lists;
    for (size_t i = 0; i < out->use_count; i++)
        out->objects[out->uses[i].object].user_count++;
    for (size_t i = 0; i < out->object_count; i++) {
        out->objects[i].users = lists;
        lists += out->objects[i].user_count;
        out->objects[i].user_count = 0;
    }
    for (size_t i = 0; i < out->use_count; i++) {
        struct inspected_object *object = &out->objects[out->uses[i].object];
        ((size_t *)object->users)[object->user_count++] = i;
    }
    return 0;
}

int build_put_in_order(struct build *build)
{
    struct objects *objects = build->objects;
    AUTO_FREE size_t *places = malloc((objects->count + 1) * sizeof *places);
    if (!places)
        return -ENOMEM;
    move_objects(objects, places);
    move_uses(build->out, places);
    int error = name_the_rest(objects);
    build->out->objects = objects->rows;
    build->out->object_count = objects->count;
    if (!error)
        error = objects_index(objects);
    if (!error)
        error = list_users(build->made);
    if (!error)
        refine_objects(build);
    return error;
}
