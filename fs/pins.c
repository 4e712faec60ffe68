/* SPDX-License-Identifier: MIT */
#include "pins.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void arm(const struct pins *pins)
{
    struct itimerspec in = {.it_value = {.tv_nsec = PIN_MS * 1000000L}};
    (void)timerfd_settime(pins->timer_fd, 0, &in, NULL);
}

int pins_init(struct pins *pins)
{
    *pins = (struct pins){.timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)};
    if (pins->timer_fd < 0)
        return -errno;
    return -pthread_mutex_init(&pins->lock, NULL);
}

/* Called with the lock held. */
static void drop_oldest(struct pins *pins)
{
    node_unuse(&pins->ring[pins->first].use);
    pins->first = (pins->first + 1) % PIN_MAX;
    pins->count--;
}

void pins_destroy(struct pins *pins)
{
    while (pins->count)
        drop_oldest(pins);
    pthread_mutex_destroy(&pins->lock);
    close(pins->timer_fd);
}

void pins_note_race(struct pins *pins)
{
    atomic_store_explicit(&pins->race_until, now_ms() + RACE_MS, memory_order_relaxed);
}

bool pins_wanted(const struct pins *pins)
{
    int_fast64_t until = atomic_load_explicit(&pins->race_until, memory_order_relaxed);
    return until && now_ms() < until;
}

void pins_add(struct pins *pins, struct node_use *use)
{
    pthread_mutex_lock(&pins->lock);
    if (pins->count == PIN_MAX)
        drop_oldest(pins);
    if (pins->count == 0)
        arm(pins);
    struct pin *pin = &pins->ring[(pins->first + pins->count++) % PIN_MAX];
    pin->since = now_ms();
    node_use_move(use, &pin->use);
    pthread_mutex_unlock(&pins->lock);
}

void pins_expire(struct pins *pins)
{
    uint64_t expirations = 0;
    (void)!read(pins->timer_fd, &expirations, sizeof expirations);
    int64_t limit = now_ms() - PIN_MS;
    pthread_mutex_lock(&pins->lock);
    while (pins->count && pins->ring[pins->first].since <= limit)
        drop_oldest(pins);
    if (pins->count)
        arm(pins);
    pthread_mutex_unlock(&pins->lock);
}
