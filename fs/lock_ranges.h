/* SPDX-License-Identifier: MIT */
/*
 * The ranges of an object that one lock owner has locked, as fcntl(2) prescribes it: a lock on a part replaces what was
 * there, an unlock in the middle leaves two, and ranges of one type that touch are one.
 */
#ifndef IPCFS_FS_LOCK_RANGES_H
#define IPCFS_FS_LOCK_RANGES_H

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lock_range {
    int64_t start;
    int64_t last; /* INT64_MAX: whatever the object grows to */
    short type;   /* F_RDLCK or F_WRLCK */
};

/* Sorted, none overlaps another. Zeros: none. */
struct lock_ranges {
    struct lock_range *at;
    size_t count;
    size_t room;
};

/* Makes room for `sets` times lock_ranges_set(), which then can not fail. 0 or −ENOMEM. */
int lock_ranges_reserve(struct lock_ranges *ranges, size_t sets);
/* What a lock, or an unlock (F_UNLCK), of that range makes of them. l_whence is SEEK_SET. */
void lock_ranges_set(struct lock_ranges *ranges, const struct flock *lock);
/* Whether somebody else could not have that lock, because of these. */
bool lock_ranges_conflict(const struct lock_ranges *ranges, const struct flock *lock);
/* Forgets all of them. */
void lock_ranges_free(struct lock_ranges *ranges);

/* The last byte that a lock is about. */
int64_t lock_last(const struct flock *lock);

#endif
