/* SPDX-License-Identifier: MIT */
/* The loops nopfs can be served by. */
#ifndef BENCH_NOPFS_LOOP_H
#define BENCH_NOPFS_LOOP_H

#include "fuse_api.h"

#include <stdbool.h>

#define LOOP_THREADS_MAX 64

enum loop_kind { LOOP_MT, LOOP_CREW };

struct loop {
    enum loop_kind kind;
    unsigned threads; /* libfuse's own: at most, 0 for its default; crew: exactly */
    unsigned percent; /* crew: of one CPU, that may be spent in polling */
};

/* Whether there is a loop of that name: mt or crew. */
bool loop_parse(struct loop *loop, const char *name);
/* Serves until the session ends; 0 or −errno. */
int loop_run(const struct loop *loop, struct fuse_session *se);

#endif
