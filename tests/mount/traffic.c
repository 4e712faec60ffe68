/* SPDX-License-Identifier: MIT */
#include "traffic.h"

#include <signal.h>
#include <stddef.h>
#include <sys/time.h>

enum { FAST_SIGNALS_US = 2000, SLOW_SIGNALS_US = 50000 };

uint64_t random_next(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u;
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void nothing(int signal)
{
    (void)signal;
}

void be_interrupted(uint64_t *random)
{
    struct sigaction action = {.sa_handler = nothing};
    long us = random_next(random) % 2 ? FAST_SIGNALS_US : SLOW_SIGNALS_US;
    us += (long)(random_next(random) % 1000);
    struct itimerval timer = {.it_interval.tv_usec = us, .it_value.tv_usec = us};

    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
}

uint32_t checksum(const char *data, size_t length)
{
    uint32_t sum = 2166136261u;

    for (size_t i = 0; i < length; i++)
        sum = (sum ^ (unsigned char)data[i]) * 16777619u;
    return sum;
}
