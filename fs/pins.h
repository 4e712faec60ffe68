/* SPDX-License-Identifier: MIT */
/*
 * Pins: how a name can be opened while somebody keeps replacing it.
 *
 * A program opens a path in steps: LOOKUP finds the object of the name, OPEN opens that object. If the name is given to
 * another object in between (a native rename(2), the usual way to replace a file), OPEN finds that its object has no
 * name any more and answers ESTALE, upon which the kernel begins again, but only once. Under a quick succession of
 * renames a caller would see ESTALE, which no native open(2) ever shows him.
 *
 * So a first ESTALE is taken as a sign that names are being replaced. For RACE_MS after it every LOOKUP pins what it
 * finds: the object is held (by an O_PATH descriptor, for shared memory) and the steps that follow reach it by the
 * hold. The kernel's second attempt then succeeds. In quiet times a LOOKUP costs nothing more.
 *
 * A pin keeps an object in memory that may have no name, so it is soon taken back: after PIN_MS, by the main thread,
 * which is told when by a timer; or when PIN_MAX younger ones push it out. A caller may then see ESTALE after all, if so
 * many others looked names up between his two steps.
 */
#ifndef IPCFS_FS_PINS_H
#define IPCFS_FS_PINS_H

#include "node.h"

#include <stdatomic.h>

enum { PIN_MS = 100, RACE_MS = 1000, PIN_MAX = 64 };

struct pins {
    int timer_fd;                   /* turns readable when pins_expire() has work */
    atomic_int_fast64_t race_until; /* milliseconds, CLOCK_MONOTONIC */
    struct lock lock;               /* guards the ring */
    size_t first;
    size_t count;
    struct pin {
        struct node_use use;
        int64_t since;
    } ring[PIN_MAX]; /* oldest first, from `first` on */
};

/* 0 or −errno. */
int pins_init(struct pins *pins);
void pins_destroy(struct pins *pins);

/* A node was found without its object: names are being replaced. */
void pins_note_race(struct pins *pins);
/* Whether a LOOKUP shall pin what it finds. */
bool pins_wanted(const struct pins *pins);
/* Takes a use over, and its hold with it. The oldest pin makes room where there is none. */
void pins_add(struct pins *pins, struct node_use *use);
/* Takes back what is older than PIN_MS. */
void pins_expire(struct pins *pins);

#endif
