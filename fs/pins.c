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
    return lock_init(&pins->lock, LOCK_PINS);
}

/* Called with the lock held. Takes the oldest pin out, for the caller to give back unlocked. */
static void take_oldest(struct pins *pins, struct node_use *use)
{
    node_use_move(&pins->ring[pins->first].use, use);
    pins->first = (pins->first + 1) % PIN_MAX;
    pins->count--;
}

void pins_destroy(struct pins *pins)
{
    while (pins->count) {
        AUTO_NODE_USE use;
        take_oldest(pins, &use);
    }
    lock_destroy(&pins->lock);
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
    AUTO_NODE_USE pushed_out = {0};
    lock_take(&pins->lock);
    if (pins->count == PIN_MAX)
        take_oldest(pins, &pushed_out);
    if (pins->count == 0)
        arm(pins);
    struct pin *pin = &pins->ring[(pins->first + pins->count++) % PIN_MAX];
    pin->since = now_ms();
    node_use_move(use, &pin->use);
    lock_release(&pins->lock);
}

/* Gives the oldest pin back if it is old enough; otherwise arms the timer for it. */
static bool expire_one(struct pins *pins, int64_t limit)
{
    AUTO_NODE_USE use = {0};
    lock_take(&pins->lock);
    bool old = pins->count && pins->ring[pins->first].since <= limit;
    if (old)
        take_oldest(pins, &use);
    else if (pins->count)
        arm(pins);
    lock_release(&pins->lock);
    return old;
}

void pins_expire(struct pins *pins)
{
    uint64_t expirations = 0;
    (void)!read(pins->timer_fd, &expirations, sizeof expirations);
    int64_t limit = now_ms() - PIN_MS;
    while (expire_one(pins, limit))
        ;
}
