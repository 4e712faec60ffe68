/* SPDX-License-Identifier: MIT */
/* Numbers as users write them: strtol(3) and its kin also take signs, blanks, and numbers that are cut off. */
#ifndef IPCFS_NUMBER_H
#define IPCFS_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * `length` digits of `base`, 2 to 10, and nothing else; zeros may come first. −EINVAL where they are none, −ERANGE
 * above `max`; `*out` then means nothing.
 */
int parse_digits(const char *digits, size_t length, unsigned base, uint64_t max, uint64_t *out);

/* A decimal number in the one way it is written: where a name is a number, one number has one name. */
bool parse_canonical(const char *text, int64_t *out);

#endif
