/* SPDX-License-Identifier: MIT */
/*
 * The memory of one process that is read. What is found is gathered in rows, which move while they grow and are kept for
 * the next process; strings lie in an arena from the beginning, and at the end the rows are put behind them. Both have a
 * limit: how much a process has is its user's choice.
 */
#ifndef IPCFS_BACKENDS_INSPECT_PROCESS_ARENA_H
#define IPCFS_BACKENDS_INSPECT_PROCESS_ARENA_H

#include <stddef.h>

/* A million descriptors of sockets, or mappings of the same file, fit in. */
enum { PROCESS_MEMORY_MAX = 64 * 1024 * 1024 };

/* Pieces of memory that never move; zero: none. */
struct arena_piece;
struct arena {
    struct arena_piece *pieces; /* owned, the last one first */
    size_t total;               /* bytes of all */
};

/* Aligned for any type. NULL, and errno: ENOMEM, E2BIG. */
void *arena_take(struct arena *arena, size_t size);
/* The same, with a copy of `string` in it; `before` itself, where that says the same. `before` may be NULL. */
const char *arena_string(struct arena *arena, const char *string, const char *before);
/* Takes NULL. */
void arena_free(struct arena_piece *pieces);

struct rows {
    char *data;  /* owned */
    size_t size; /* of a row */
    size_t count, room;
};

/* A new row, of zeros. NULL, and errno as above. */
void *rows_add(struct rows *rows);
/* A copy of all of them; NULL, and errno as above. */
void *rows_put(const struct rows *rows, struct arena *arena);

#endif
