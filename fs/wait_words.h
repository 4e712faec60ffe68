/* SPDX-License-Identifier: MIT */
/* How waits are put into words: for ctl/waits, waits.dot and deadlocks. */
#ifndef IPCFS_FS_WAIT_WORDS_H
#define IPCFS_FS_WAIT_WORDS_H

#include "inspect/deadlocks.h"

#include "ipcfs/text.h"

/* "shm:locks+0x40", "sysv/sem:5/0", "pipe:[12]", in one word: names are escaped. */
void wait_thing_words(struct text *out, const struct inspection *inspection, const struct waited *waited);
/* "COMMAND (PID)", or "COMMAND (PID, thread TID)" of another than the first. tid 0: none. */
void wait_who_words(struct text *out, const struct inspection *inspection, size_t process, pid_t tid);
/* A sentence, and a newline. */
void deadlock_words(struct text *out, const struct waits *waits, const struct deadlocks *deadlocks,
                    const struct deadlock *deadlock);

#endif
