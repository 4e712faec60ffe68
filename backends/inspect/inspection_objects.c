/* SPDX-License-Identifier: MIT */
#include "inspection_objects.h"

#include "rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { SLOTS_MIN = 256 };

/* Without a secret the table is slower where somebody wants it to be, and that is all. */
void objects_begin(struct objects *objects)
{
    (void)!getrandom(objects->secret, sizeof objects->secret, GRND_NONBLOCK);
}

void objects_free(struct objects *objects)
{
    for (size_t i = 0; i < objects->count; i++)
        free((char *)objects->rows[i].name);
    for (size_t i = 0; i < objects->count; i++)
        free(objects->notes[i].listed);
    free(objects->rows);
    free(objects->notes);
    free(objects->slots);
    *objects = (struct objects){0};
}

/* ---- keys ---- */

/* What is of no kind comes behind all. */
static size_t rank(const struct ipcfs_backend *kind)
{
    size_t rank = 0;
    while (ipcfs_backends[rank] && ipcfs_backends[rank] != kind)
        rank++;
    return rank;
}

static int compare(uint64_t one, uint64_t other)
{
    return (one > other) - (one < other);
}

int object_keys_compare(const struct object_key *one, const struct object_key *other)
{
    if (one->type != other->type)
        return compare(one->type, other->type);
    if (one->kind != other->kind)
        return compare(rank(one->kind), rank(other->kind));
    if (one->number != other->number)
        return compare(one->number, other->number);
    return compare(one->device, other->device);
}

/* ---- the table ---- */

/* Multilinear hashing (Lemire and Kaser, 2014) of words of 32 bits. */
static size_t hash(const struct objects *objects, const struct object_key *key)
{
    const uint64_t *secret = objects->secret;
    uint64_t kind = (uintptr_t)key->kind;
    uint64_t sum = secret[0] + secret[1] * (uint32_t)key->type + secret[2] * (uint32_t)key->number +
                   secret[3] * (key->number >> 32) + secret[4] * (uint32_t)key->device +
                   secret[5] * ((uint64_t)key->device >> 32) + secret[6] * (uint32_t)kind +
                   secret[7] * (kind >> 32);
    return sum >> 32;
}

uint64_t objects_number(const struct objects *objects, const char *text)
{
    uint64_t number = objects->secret[0];
    for (; *text; text++)
        number = ((number ^ (unsigned char)*text) * (objects->secret[1] | 1)) ^ number >> 29;
    return number;
}

static struct object_key key_of(const struct inspected_object *object)
{
    return (struct object_key){
        .type = object->type, .kind = object->kind, .number = object->number, .device = object->device};
}

static bool is(const struct inspected_object *object, const struct object_key *key)
{
    return object->number == key->number && object->type == key->type && object->kind == key->kind &&
           object->device == key->device;
}

/* The slot that has it, or the empty one where it belongs. There is always an empty one. */
static size_t *slot_of(const struct objects *objects, const struct object_key *key)
{
    size_t mask = objects->slot_count - 1;
    size_t place = hash(objects, key) & mask;
    while (objects->slots[place] != NO_OBJECT && !is(&objects->rows[objects->slots[place]], key))
        place = (place + 1) & mask;
    return &objects->slots[place];
}

size_t objects_find(const struct objects *objects, const struct object_key *key)
{
    return objects->slot_count ? *slot_of(objects, key) : NO_OBJECT;
}

static int make_slots(struct objects *objects, size_t count)
{
    size_t *slots = malloc(count * sizeof *slots);
    if (!slots)
        return -ENOMEM;
    free(objects->slots);
    objects->slots = slots;
    objects->slot_count = count;
    for (size_t i = 0; i < count; i++)
        slots[i] = NO_OBJECT;
    for (size_t i = 0; i < objects->count; i++) {
        struct object_key key = key_of(&objects->rows[i]);
        *slot_of(objects, &key) = i;
    }
    return 0;
}

/* ---- rows ---- */

/* The two arrays grow together, and the table is at most half full. */
static int make_room(struct objects *objects)
{
    if (objects->slot_count <= 2 * (objects->count + 1)) {
        int error = make_slots(objects, objects->slot_count ? 2 * objects->slot_count : SLOTS_MIN);
        if (error)
            return error;
    }
    if (!ROWS_MAKE_ROOM(objects->rows, objects->count, objects->room) ||
        !ROWS_MAKE_ROOM(objects->notes, objects->count, objects->note_room))
        return -ENOMEM;
    return 0;
}

int objects_add(struct objects *objects, const struct object_key *key, size_t *index)
{
    *index = objects_find(objects, key);
    if (*index != NO_OBJECT)
        return 0;
    int error = make_room(objects);
    if (error)
        return error;
    *index = objects->count++;
    *slot_of(objects, key) = *index;
    objects->rows[*index] = (struct inspected_object){
        .type = key->type, .kind = key->kind, .number = key->number, .device = key->device};
    objects->notes[*index] = (struct object_note){.becomes = NO_OBJECT};
    return 0;
}

int objects_name(struct objects *objects, size_t index, const char *name, size_t length)
{
    char *copy = strndup(name, length);
    if (!copy)
        return -ENOMEM;
    free((char *)objects->rows[index].name);
    objects->rows[index].name = copy;
    return 0;
}
