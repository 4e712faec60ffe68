/* SPDX-License-Identifier: MIT */
#include "snapshot.h"

#include <errno.h>
#include <stdlib.h>

/* A list of 100,000 objects has about 25 MB as JSON. */
static const size_t snapshots_max = (size_t)512 << 20;
static atomic_size_t snapshots_size;

/* Small texts do not count, so that whoever fills the room with lists takes ctl/version and the like from nobody. */
static size_t counted_size(const struct text *text)
{
    return text->room > 64 * 1024 ? text->room : 0;
}

int snapshot_new(struct text *text, struct snapshot **out)
{
    struct snapshot *snapshot = calloc(1, sizeof *snapshot);
    if (!snapshot)
        return -ENOMEM;
    size_t size = counted_size(text);
    if (size && atomic_fetch_add(&snapshots_size, size) + size > snapshots_max) {
        atomic_fetch_sub(&snapshots_size, size);
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
    atomic_fetch_sub(&snapshots_size, counted_size(&snapshot->text));
    text_reset(&snapshot->text);
    free(snapshot);
}
