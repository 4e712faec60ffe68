/* SPDX-License-Identifier: MIT */
/* What programs that send and receive for a test have in common. */
#ifndef TRAFFIC_H
#define TRAFFIC_H

#include <stddef.h>
#include <stdint.h>

/* The next number of a sequence that its first state decides. */
uint64_t random_next(uint64_t *state);
/* FNV-1a. */
uint32_t checksum(const char *data, size_t length);
/* SIGALRM, with a handler and without SA_RESTART, as long as the process lives: blocked calls end with EINTR, and let it
 * see that it is over. Every 2 or every 50 ms. */
void be_interrupted(uint64_t *random);

#endif
