/* SPDX-License-Identifier: MIT */
/*
 * Watching a directory: what is done to the files in it, by whomever.
 *
 * By fanotify(7) where it can be had (Linux 5.17, CAP_SYS_ADMIN): it tells of the process too. Otherwise by inotify(7).
 *
 * The kernel joins what has not been read yet: with fanotify all that one process did to one name is a single change with
 * several bits, in the place of the first, and in what order it was done is not told. Time is not told either.
 */
#ifndef IPCFS_BACKENDS_WATCH_H
#define IPCFS_BACKENDS_WATCH_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

enum watch_bit {
    WATCH_CREATED = 1 << 0, /* made, linked, or moved in */
    WATCH_REMOVED = 1 << 1, /* unlinked, or moved out */
    WATCH_RENAMED = 1 << 2, /* from `name` to `to` */
    WATCH_WRITTEN = 1 << 3, /* written to or truncated: it may have another size */
    WATCH_CHANGED = 1 << 4, /* mode, owner, times, number of links */
    WATCH_MOVED = 1 << 5,   /* with WATCH_CREATED: from elsewhere */
    WATCH_LOST = 1 << 6,    /* the kernel's queue was full: anything may have happened */
};

struct watch_change {
    unsigned bits;
    bool directory; /* it is about a directory */
    pid_t pid;      /* 0: not told, or out of sight */
    char name[NAME_MAX + 1];
    char to[NAME_MAX + 1];
};

struct watch;

/* `directory` is borrowed for the call. 0 or −errno. */
int watch_open(int directory, struct watch **out);
/* Readable when there is something to read. */
int watch_fd(const struct watch *watch);
/* Tells of what there is by now, without waiting, and of no more than some thousand changes at a time; anything but 0 of `row` ends it, and is returned. Otherwise 0 or −errno. */
typedef int watch_row(void *data, const struct watch_change *change);
int watch_read(struct watch *watch, watch_row *row, void *data);
/* NULL is harmless. */
void watch_close(struct watch *watch);

#endif
