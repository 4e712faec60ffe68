/* SPDX-License-Identifier: MIT */
/* Random numbers that are the same in every run with the same seed; IPCFS_TEST_SEED chooses another. */
#ifndef IPCFS_TESTS_RANDOM_H
#define IPCFS_TESTS_RANDOM_H

#include <stdint.h>

struct prng {
    uint64_t state;
};

/* The seed of this run, printed once. */
uint64_t random_seed(void);
/* A generator of its own for each `stream` (thread, round …) of a seed. */
struct prng random_start(uint64_t seed, uint64_t stream);
/* 0 to `below` − 1. */
uint32_t random_below(struct prng *prng, uint32_t below);

#endif
