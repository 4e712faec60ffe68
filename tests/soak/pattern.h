/* SPDX-License-Identifier: MIT */
/* An endless stream of bytes. Its period is odd, so that no size in use divides it. */
#ifndef PATTERN_H
#define PATTERN_H

#include <stddef.h>
#include <stdint.h>

enum { PATTERN_CHUNK = 1 << 18 };

/* At least PATTERN_CHUNK bytes of it. */
const char *pattern_at(uint64_t offset);
/* The first of these bytes that is not the stream's; length: all are. Of any length up to PATTERN_CHUNK. */
size_t pattern_differs(uint64_t offset, const char *bytes, size_t length);

#endif
