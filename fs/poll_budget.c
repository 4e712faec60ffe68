/* SPDX-License-Identifier: MIT */
#include "poll_budget.h"

void poll_budget_init(struct poll_budget *budget, unsigned percent, uint64_t now)
{
    *budget = (struct poll_budget){.percent = percent, .account = POLL_SAVED_NS, .filled = now};
}

static void fill(struct poll_budget *budget, uint64_t now)
{
    if (now <= budget->filled)
        return;
    budget->account += (int64_t)((now - budget->filled) * budget->percent / 100);
    if (budget->account > POLL_SAVED_NS)
        budget->account = POLL_SAVED_NS;
    budget->filled = now;
}

bool poll_budget_skips(struct poll_budget *budget)
{
    if (budget->percent == 0)
        return true;
    return atomic_load(&budget->skip) > 0 && atomic_fetch_sub(&budget->skip, 1) > 0;
}

bool poll_budget_begin(struct poll_budget *budget, uint64_t now)
{
    fill(budget, now);
    return budget->account >=
           POLL_SAVED_NS / 2; /* enough for a while: to begin and to end has a price, too */
}

bool poll_budget_go_on(struct poll_budget *budget, uint64_t now)
{
    fill(budget, now);
    return budget->account >= POLL_WINDOW_NS;
}

void poll_budget_spent(struct poll_budget *budget, uint64_t began, uint64_t now, bool success)
{
    budget->account -= (int64_t)(now - began);
    unsigned more = budget->failures ? 2 * budget->failures : 1;
    if (success)
        more = 0;
    budget->failures = more < POLL_SKIPPED_MAX ? more : POLL_SKIPPED_MAX;
    atomic_store(&budget->skip, (int)budget->failures);
}

void poll_budget_crowded(struct poll_budget *budget)
{
    atomic_store(&budget->skip, POLL_SKIPPED_CROWD);
}
