/* SPDX-License-Identifier: MIT */
/* The endpoints that are semaphores. */
#ifndef BENCH_ENDPOINT_SEM_H
#define BENCH_ENDPOINT_SEM_H

#include "endpoint.h"

/* Posts in a row before they are taken again: far below SEMVMX (32767), see semop(2). */
#define SEMAPHORE_CAPACITY 1024

/* 1 if the text was one and the endpoint now is, 0 if not, or −1 with errno. */
int semaphore_parse(struct endpoint *end, const char *text);
bool is_semaphore(const struct endpoint *end);

/* As the endpoint's: 0 or −1 with errno. */
int semaphore_open(struct endpoint *end, int flags);
int semaphore_post(const struct endpoint *end);
int semaphore_wait(const struct endpoint *end);
void semaphore_close(struct endpoint *end);
/* Removes it, if it was made here. */
void semaphore_remove(struct endpoint *end);

/* These are for native semaphores only. Takes one and gives it back, so that its owner's end would have given it back. */
int semaphore_hold(const struct endpoint *end);
int semaphore_value(const struct endpoint *end);

#endif
