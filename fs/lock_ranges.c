/* SPDX-License-Identifier: MIT */
#include "lock_ranges.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int64_t lock_last(const struct flock *lock)
{
    return lock->l_len == 0 ? INT64_MAX : lock->l_start + (lock->l_len - 1);
}

int lock_ranges_reserve(struct lock_ranges *ranges, size_t sets)
{
    /* At most one becomes three each time: what is before the new lock, the lock, what is behind it. */
    size_t wanted = ranges->count + 2 * sets;
    if (wanted <= ranges->room)
        return 0;
    size_t room = wanted + wanted / 2;
    struct lock_range *at = realloc(ranges->at, room * sizeof *at);
    if (!at)
        return -ENOMEM;
    ranges->at = at;
    ranges->room = room;
    return 0;
}

/* Puts `new` in the place of those from `first` up to, not including, `end`. */
static void replace(struct lock_ranges *ranges, size_t first, size_t end, const struct lock_range *new,
                    size_t count)
{
    memmove(ranges->at + first + count, ranges->at + end, (ranges->count - end) * sizeof *new);
    if (count)
        memcpy(ranges->at + first, new, count * sizeof *new);
    ranges->count = ranges->count - (end - first) + count;
}

/* Appends a range to a list, or to the list's last where both are one. */
static void append(struct lock_range *list, size_t *count, struct lock_range range)
{
    struct lock_range *before = *count ? &list[*count - 1] : NULL;
    if (before && before->type == range.type && before->last + 1 == range.start)
        before->last = range.last;
    else
        list[(*count)++] = range;
}

void lock_ranges_set(struct lock_ranges *ranges, const struct flock *lock)
{
    struct lock_range lock_range = {.start = lock->l_start, .last = lock_last(lock), .type = lock->l_type};
    /* Those that overlap the lock or touch it: from `first` up to `end`. */
    size_t first = 0;
    while (first < ranges->count && ranges->at[first].last < lock_range.start - 1)
        first++;
    size_t end = first;
    while (end < ranges->count && ranges->at[end].start - 1 <= lock_range.last)
        end++;
    struct lock_range new[3];
    size_t count = 0;
    if (first < end && ranges->at[first].start < lock_range.start) {
        struct lock_range before = ranges->at[first];
        if (before.last >= lock_range.start)
            before.last = lock_range.start - 1;
        append(new, &count, before);
    }
    if (lock->l_type != F_UNLCK)
        append(new, &count, lock_range);
    if (first < end && ranges->at[end - 1].last > lock_range.last) {
        struct lock_range behind = ranges->at[end - 1];
        if (behind.start <= lock_range.last)
            behind.start = lock_range.last + 1;
        append(new, &count, behind);
    }
    replace(ranges, first, end, new, count);
}

bool lock_ranges_conflict(const struct lock_ranges *ranges, const struct flock *lock)
{
    int64_t last = lock_last(lock);
    for (size_t i = 0; i < ranges->count && ranges->at[i].start <= last; i++)
        if (ranges->at[i].last >= lock->l_start && (ranges->at[i].type == F_WRLCK || lock->l_type == F_WRLCK))
            return true;
    return false;
}

void lock_ranges_free(struct lock_ranges *ranges)
{
    free(ranges->at);
    *ranges = (struct lock_ranges){0};
}
