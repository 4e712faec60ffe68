/* SPDX-License-Identifier: MIT */
#include "hash.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

enum { WORDS = HASH_BYTES_MAX / 4 };

static uint64_t secret[WORDS + 2]; /* fixed after hash_init() */

int hash_init(void)
{
    ssize_t count = getrandom(secret, sizeof secret, 0); /* so few come at once */
    return count < 0 ? -errno : 0;
}

uint32_t hash_bytes(const void *bytes, size_t length)
{
    const char *next = bytes;
    uint64_t sum = secret[WORDS] + secret[WORDS + 1] * length;
    for (size_t i = 0; i < WORDS && length; i++) {
        uint32_t word = 0;
        size_t size = length < sizeof word ? length : sizeof word;
        memcpy(&word, next, size);
        sum += secret[i] * word;
        next += size;
        length -= size;
    }
    return (uint32_t)(sum >> 32);
}
