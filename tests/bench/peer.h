/* SPDX-License-Identifier: MIT */
/* Another process, at the other end of what a way times. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include "ops.h"

#include <sys/types.h>

struct peer {
    pid_t pid;   /* 0: none */
    int go_fd;   /* tells the peer how much it is about; −1: none */
    int done_fd; /* the peer is through with it; −1: none */
};

#define PEER_NONE ((struct peer){.go_fd = -1, .done_fd = -1})

/* What the peer does for n operations. */
typedef int peer_job(struct way *way, uint64_t n);

/* All of these: 0, or −1 with the reason in way->why. */

/* Starts a process, on the way's peer_cpu, that does its job whenever it is told how many operations it is about. The peer must be PEER_NONE. */
int peer_start(struct way *way, struct peer *peer, peer_job *job);
int peer_begin(struct way *way, const struct peer *peer, uint64_t n);
int peer_wait(struct way *way, const struct peer *peer);
/* Ends the process, also amid its job. */
void peer_end(struct peer *peer);

#endif
