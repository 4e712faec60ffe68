/* SPDX-License-Identifier: MIT */
#include "process_arena.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    PIECE_MIN = 2 * 1024, /* what a process with few descriptors and mappings takes */
    PIECE_MAX = 64 * 1024,
    ROWS_MIN = 64,
};

struct arena_piece {
    struct arena_piece *next;
    size_t used, room; /* of the data */
    max_align_t data[];
};

static struct arena_piece *add_piece(struct arena *arena, size_t least)
{
    size_t room = arena->total < PIECE_MIN ? PIECE_MIN : arena->total;
    room = room < PIECE_MAX ? room : PIECE_MAX;
    room = room > least ? room : least;
    if (room > PROCESS_MEMORY_MAX - arena->total) {
        errno = E2BIG;
        return NULL;
    }
    struct arena_piece *piece = malloc(sizeof *piece + room);
    if (!piece)
        return NULL;
    *piece = (struct arena_piece){.next = arena->pieces, .room = room};
    arena->pieces = piece;
    arena->total += room;
    return piece;
}

/* From where the last one ended, when the type of what is taken needs no alignment. */
static void *take_unaligned(struct arena *arena, size_t size)
{
    struct arena_piece *piece = arena->pieces;
    if (!piece || piece->room - piece->used < size)
        piece = add_piece(arena, size);
    if (!piece)
        return NULL;
    void *taken = (char *)piece->data + piece->used;
    piece->used += size;
    return taken;
}

void *arena_take(struct arena *arena, size_t size)
{
    struct arena_piece *piece = arena->pieces;
    const size_t step = sizeof(max_align_t);
    if (piece) {
        size_t aligned = (piece->used + step - 1) / step * step;
        piece->used = aligned < piece->room ? aligned : piece->room;
    }
    return take_unaligned(arena, size);
}

const char *arena_string(struct arena *arena, const char *string, const char *before)
{
    if (before && strcmp(string, before) == 0)
        return before;
    size_t size = strlen(string) + 1;
    char *copy = take_unaligned(arena, size);
    return copy ? memcpy(copy, string, size) : NULL;
}

void arena_free(struct arena_piece *pieces)
{
    while (pieces) {
        struct arena_piece *next = pieces->next;
        free(pieces);
        pieces = next;
    }
}

void *rows_add(struct rows *rows)
{
    if (rows->count == rows->room) {
        size_t room = rows->room ? 2 * rows->room : ROWS_MIN;
        if (room * rows->size > PROCESS_MEMORY_MAX) {
            errno = E2BIG;
            return NULL;
        }
        char *data = realloc(rows->data, room * rows->size);
        if (!data)
            return NULL;
        rows->data = data;
        rows->room = room;
    }
    void *row = rows->data + rows->count++ * rows->size;
    return memset(row, 0, rows->size);
}

void *rows_put(const struct rows *rows, struct arena *arena)
{
    void *copy = arena_take(arena, rows->count * rows->size);
    if (copy && rows->count)
        memcpy(copy, rows->data, rows->count * rows->size);
    return copy;
}
