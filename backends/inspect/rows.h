/* SPDX-License-Identifier: MIT */
/* Arrays that grow. */
#ifndef IPCFS_BACKENDS_INSPECT_ROWS_H
#define IPCFS_BACKENDS_INSPECT_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

/* NULL, and nothing has changed. */
static inline void *rows_grown(void *rows, size_t *room, size_t size)
{
    size_t larger = *room ? 2 * *room : 16;
    void *grown = realloc(rows, larger * size);
    if (grown)
        *room = larger;
    return grown;
}

/* Makes room for one more row behind `count` in an array of `room`. False without memory: then it is as it was. */
#define ROWS_MAKE_ROOM(rows, count, room)                                                                    \
    __extension__({                                                                                          \
        bool has_room_ = (rows) && (count) < (room);                                                         \
        void *grown_ = has_room_ ? NULL : rows_grown((rows), &(room), sizeof *(rows));                       \
        if (grown_)                                                                                          \
            (rows) = grown_;                                                                                 \
        has_room_ || grown_;                                                                                 \
    })

#endif
