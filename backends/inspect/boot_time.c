/* SPDX-License-Identifier: MIT */
#include "boot_time.h"

#include <stdatomic.h>
#include <stdint.h>

time_t boot_time_earliest(void)
{
    static atomic_int_fast64_t earliest = INT64_MAX;
    struct timespec day;
    struct timespec since_boot;
    (void)clock_gettime(CLOCK_REALTIME, &day);
    (void)clock_gettime(CLOCK_BOOTTIME, &since_boot);
    int_fast64_t now = day.tv_sec - since_boot.tv_sec;
    int_fast64_t known = atomic_load(&earliest);
    while (now < known && !atomic_compare_exchange_weak(&earliest, &known, now))
        ;
    return now < known ? now : known;
}
