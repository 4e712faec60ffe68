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

static void resolve_children(struct build *build)
{
    for (size_t i = 0; i < build->objects.count; i++)
        if (build->objects.rows[i].type == INSPECTED_EXIT)
            resolve_child(build->out, &build->objects.rows[i]);
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

static void tell_all_members(struct inspection *out)
{
    for (size_t i = 0; i < out->object_count; i++) {
        const struct inspected_object *object = &out->objects[i];
        if (object->kind && strcmp(object->kind->kind, "sysv/sem") == 0 && has_native_waits(out, object))
            tell_members(out, i);
    }
}

/* ---- objects ---- */

/* A row, and where it is among those that are put in order. */
struct place {
    struct object_key key;
    size_t row;
};

static int compare_places(const void *a, const void *b)
{
    const struct place *one = a;
    const struct place *other = b;
    return object_keys_compare(&one->key, &other->key);
}

static bool is_dropped(const struct object_note *note)
{
    return note->unwanted || note->becomes != NO_OBJECT;
}

static size_t fill_places(const struct objects *objects, struct place *places)
{
    size_t count = 0;
    for (size_t i = 0; i < objects->count; i++) {
        const struct inspected_object *row = &objects->rows[i];
        const struct object_key key = {
            .type = row->type, .kind = row->kind, .number = row->number, .device = row->device};
        if (!is_dropped(&objects->notes[i]))
            places[count++] = (struct place){.key = key, .row = i};
    }
    qsort(places, count, sizeof *places, compare_places);
    return count;
}

/* The rows that stay become the inspection's. `moved`: where each is then; of what has become another, where that is. */
static void move_objects(struct objects *objects, const struct place *places, struct inspection *out,
                         size_t *moved)
{
    for (size_t i = 0; i < objects->count; i++)
        moved[i] = NO_OBJECT;
    for (size_t i = 0; i < out->object_count; i++) {
        out->objects[i] = objects->rows[places[i].row];
        objects->rows[places[i].row].name = NULL;
        moved[places[i].row] = i;
    }
    for (size_t i = 0; i < objects->count; i++)
        if (objects->notes[i].becomes != NO_OBJECT)
            moved[i] = moved[objects->notes[i].becomes];
}

static int order_objects(struct build *build, size_t *moved)
{
    struct objects *objects = &build->objects;
    AUTO_FREE struct place *places = malloc((objects->count + 1) * sizeof *places);
    if (!places)
        return -ENOMEM;
    size_t count = fill_places(objects, places);
    build->out->objects = calloc(count + 1, sizeof *build->out->objects);
    if (!build->out->objects)
        return -ENOMEM;
    build->out->object_count = count;
    move_objects(objects, places, build->out, moved);
    return 0;
}

static void move_uses(struct inspection *out, const size_t *moved)
{
    size_t kept = 0;
    for (size_t i = 0; i < out->use_count; i++) {
        size_t object = moved[out->uses[i].object];
        if (object == NO_OBJECT)
            continue;
        out->uses[kept] = out->uses[i];
        out->uses[kept++].object = object;
    }
    out->use_count = kept;
    for (size_t i = 0; i < out->lock_count; i++)
        out->locks[i].object = moved[out->locks[i].object];
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
static int list_users(struct inspection *out)
{
    size_t *lists = malloc((out->use_count + 1) * sizeof *lists);
    if (!lists)
        return -ENOMEM;
    out->users = lists;
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
    AUTO_FREE size_t *moved = malloc((build->objects.count + 1) * sizeof *moved);
    int error = moved ? name_the_rest(&build->objects) : -ENOMEM;
    resolve_children(build);
    if (!error)
        error = order_objects(build, moved);
    if (error)
        return error;
    move_uses(build->out, moved);
    error = list_users(build->out);
    if (!error)
        tell_all_members(build->out);
    return error;
}
