/* SPDX-License-Identifier: MIT */
/* What a program finds out about the pipes of all processes without ipcfs: by a walk over /proc/PID/fd. */
#ifndef BENCH_PIPE_WALK_H
#define BENCH_PIPE_WALK_H

#include <stdbool.h>

/*
 * Counts the pipes that somebody has open, each once. With `ask`, of each also its capacity and the bytes that wait in
 * it, by a duplicate of one descriptor. The count, or −1 with errno. Not for two threads at a time.
 */
long pipe_walk(bool ask);

#endif
