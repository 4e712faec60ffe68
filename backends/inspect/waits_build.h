/* SPDX-License-Identifier: MIT */
/* Waits that are being made: what each is for (waits.c), and who can end it (waits_holders.c, waits_last.c, waits_mutex.c). */
#ifndef IPCFS_BACKENDS_INSPECT_WAITS_BUILD_H
#define IPCFS_BACKENDS_INSPECT_WAITS_BUILD_H

#include "waits.h"

/* Of a socket, which object it is. */
struct socket_object {
    uint32_t socket;
    size_t object;
};

struct waits_build {
    const struct inspection *inspection;
    struct waits *out;
    size_t holder_room;
    struct socket_object *sockets; /* by socket; owned */
    size_t socket_count;
    struct inspected_lock *locks; /* by object, then waiter; owned */
    struct lock_word *words;      /* of the futexes, which come first among `waited`; owned */
    size_t word_count;
    time_t boot; /* boot_time_earliest() */
};

enum { NO_PROCESS = -1 };

/* Its index, or NO_PROCESS. */
ptrdiff_t waits_process(const struct inspection *inspection, pid_t pid);
/* The uses of an object by one process: from that place on, until NULL. */
size_t waits_uses_begin(const struct inspection *inspection, const struct inspected_object *object,
                        size_t process);
const struct inspected_use *waits_use(const struct inspection *inspection,
                                      const struct inspected_object *object, size_t process, size_t at);
/* One more holder of that one, which is the last that has any. The same again is passed over. 0; −E2BIG where
 * there are too many; −ENOMEM. */
int waits_add_holder(struct waits_build *build, struct waited *waited, size_t process, pid_t tid);

/* ---- waits_holders.c ---- */

/* 0 or −ENOMEM. */
int waits_prepare_holders(struct waits_build *build);
/* All holders of one, which `wait` is one of those to wait for. 0; −E2BIG; −ENOMEM. */
int waits_find_holders(struct waits_build *build, struct waited *waited, const struct wait *wait);

/* ---- waits_last.c: who used a System V object last. 0 or −ENOMEM ---- */

int waits_last_of_sem(struct waits_build *build, struct waited *waited);
int waits_last_of_msg(struct waits_build *build, struct waited *waited);

/* ---- waits_mutex.c ---- */

/* Reads the words of all futexes. 0 or −ENOMEM. */
int waits_read_words(struct waits_build *build);
/* Makes a mutex with an owner of a futex, where it is one. 0 or −ENOMEM. */
int waits_find_owner(struct waits_build *build, struct waited *waited);

#endif
