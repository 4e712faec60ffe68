/* SPDX-License-Identifier: MIT */
#include "snapshot.h"

#include <errno.h>
#include <stdlib.h>

/* A list of 100,000 objects has about 25 MB as JSON. */
static const size_t snapshots_max = (size_t)512 << 20;
static atomic_size_t snapshots_size;

int snapshot_new(struct text *text, struct snapshot **out)
{
    struct snapshot *snapshot = calloc(1, sizeof *snapshot);
    if (!snapshot)
        return -ENOMEM;
    if (atomic_fetch_add(&snapshots_size, text->room) + text->room > snapshots_max) {
        atomic_fetch_sub(&snapshots_size, text->room);
        free(snapshot);
        return -ENOMEM;
    }
    atomic_init(&snapshot->users, 1);
    snapshot->text = *text;
    *text = (struct text){0};
    *out = snapshot;
    return 0;
}

struct snapshot *snapshot_get(struct snapshot *snapshot)
{
    atomic_fetch_add(&snapshot->users, 1);
    return snapshot;
}

void snapshot_put(struct snapshot *snapshot)
{
    if (!snapshot || atomic_fetch_sub(&snapshot->users, 1) > 1)
        return;
    atomic_fetch_sub(&snapshots_size, snapshot->text.room);
    text_reset(&snapshot->text);
    free(snapshot);
}
