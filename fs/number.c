/* SPDX-License-Identifier: MIT */
#include "ipcfs/number.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int parse_digits(const char *digits, size_t length, unsigned base, uint64_t max, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned digit = (unsigned char)digits[i] - (unsigned)'0';
        if (digit >= base)
            return -EINVAL;
        if (digit > max || *out > (max - digit) / base)
            return -ERANGE;
        *out = *out * base + digit;
    }
    return length ? 0 : -EINVAL;
}

bool parse_canonical(const char *text, int64_t *out)
{
    char canonical[sizeof "-9223372036854775808"];
    *out = strtoll(text, NULL, 10);
    (void)snprintf(canonical, sizeof canonical, "%" PRId64, *out);
    return strcmp(canonical, text) == 0;
}
