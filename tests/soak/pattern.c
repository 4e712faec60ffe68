/* SPDX-License-Identifier: MIT */
#include "pattern.h"

#include "../mount/traffic.h"

#include <string.h>

enum { PERIOD = (1 << 20) - 3 };

const char *pattern_at(uint64_t offset)
{
    static char bytes[PERIOD + PATTERN_CHUNK];
    static uint64_t random;

    if (random == 0) {
        for (size_t i = 0; i < PERIOD; i++)
            bytes[i] = (char)random_next(&random);
        memcpy(bytes + PERIOD, bytes, PATTERN_CHUNK);
    }
    return bytes + offset % PERIOD;
}

size_t pattern_differs(uint64_t offset, const char *bytes, size_t length)
{
    const char *want = pattern_at(offset);
    size_t i = 0;

    if (memcmp(bytes, want, length) == 0)
        return length;
    while (bytes[i] == want[i])
        i++;
    return i;
}
