/* SPDX-License-Identifier: MIT */
#include "random.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

uint64_t random_seed(void)
{
    static uint64_t seed;
    if (!seed) {
        const char *given = getenv("IPCFS_TEST_SEED");
        seed = given ? strtoull(given, NULL, 0) : 20261123;
        (void)printf("IPCFS_TEST_SEED=%" PRIu64 "\n", seed);
    }
    return seed;
}

/* SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014). */
static uint64_t next(struct prng *prng)
{
    uint64_t z = prng->state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

struct prng random_start(uint64_t seed, uint64_t stream)
{
    struct prng prng = {.state = seed};
    prng.state = next(&prng) ^ stream;
    (void)next(&prng);
    return prng;
}

uint32_t random_below(struct prng *prng, uint32_t below)
{
    return (uint32_t)((next(prng) >> 32) * below >> 32);
}
