/* SPDX-License-Identifier: MIT */
/* The loops nopfs can be served by. */
#ifndef BENCH_NOPFS_LOOP_H
#define BENCH_NOPFS_LOOP_H

#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION 317
#endif
#include <fuse_lowlevel.h>
#include <stdbool.h>

#define LOOP_THREADS_MAX 64

enum loop_kind { LOOP_MT, LOOP_FIXED, LOOP_POLL };

struct loop {
    enum loop_kind kind;
    unsigned threads; /* libfuse's own: at most, 0 for its default; fixed: exactly */
    unsigned poll_us; /* how long the one that polls does so before it sleeps */
};

/* Whether there is a loop of that name: mt, fixed or poll. */
bool loop_parse(struct loop *loop, const char *name);
/* Serves until the session ends; 0 or −errno. */
int loop_run(const struct loop *loop, struct fuse_session *se);

#endif
