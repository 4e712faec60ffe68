/* SPDX-License-Identifier: MIT */
#include "events_notes.h"

#include <string.h>

void event_notes_add(struct event_notes *notes, const struct event_note *note)
{
    lock_take(&notes->lock);
    notes->ring[notes->count++ % NOTES_KEPT] = *note;
    lock_release(&notes->lock);
}

static bool is_about(const struct event_note *note, const struct ipcfs_backend *kind, unsigned directory,
                     const char *name)
{
    return note->kind == kind && note->directory == directory && strcmp(note->name, name) == 0;
}

bool event_notes_find(struct event_notes *notes, const struct ipcfs_backend *kind, unsigned directory,
                      const char *name, struct event_note *out)
{
    bool found = false;
    lock_take(&notes->lock);
    for (uint64_t i = 0; !found && i < NOTES_KEPT && i < notes->count; i++) {
        const struct event_note *note = &notes->ring[(notes->count - 1 - i) % NOTES_KEPT];
        found = is_about(note, kind, directory, name);
        if (found)
            *out = *note;
    }
    lock_release(&notes->lock);
    return found;
}
