/* SPDX-License-Identifier: MIT */
/*
 * All who wait are taken to be stuck; then whoever may act is taken out, and whoever waits for him, until nothing changes.
 * Each wait, and each holder of something, is looked at once or twice.
 */
#include "stuck.h"

#include "ipcfs/cleanup.h"

/* A holder of something, by who it is. */
struct held {
    size_t process;
    size_t waited;
    size_t holder; /* index */
};

struct search {
    const struct waits *waits;
    struct stuck *out;
    struct held *held;     /* by process */
    size_t *waiters;       /* waits by what is waited for */
    size_t *first_waiter;  /* of each `waited`, and one more: where its waits begin there */
    size_t *stuck_holders; /* of each `waited`: how many are left */
    size_t *todo;          /* waits whose threads may act, to be followed up */
    size_t todo_count;
};

static void release_search(const struct search *search)
{
    free(search->held);
    free(search->waiters);
    free(search->first_waiter);
    free(search->stuck_holders);
    free(search->todo);
}

/* Its thread may act. */
static void take_out(struct search *search, size_t wait)
{
    if (!search->out->waits[wait])
        return;
    search->out->waits[wait] = false;
    search->todo[search->todo_count++] = wait;
}

/* One of its holders may act. */
static void lose_holder(struct search *search, size_t waited)
{
    bool every = search->waits->waited[waited].every;
    size_t left = --search->stuck_holders[waited];
    if (every && left > 0)
        return;
    for (size_t i = search->first_waiter[waited]; i < search->first_waiter[waited + 1]; i++)
        take_out(search, search->waiters[i]);
}

static size_t first_held(const struct search *search, size_t process)
{
    size_t low = 0;
    size_t high = search->waits->holder_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (search->held[middle].process < process)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The thread `wait` may act, and so may its process, of which it need not be the first. */
static void follow(struct search *search, size_t wait)
{
    const struct waits *waits = search->waits;
    size_t process = waits->waits[wait].process;
    bool was_stuck = search->out->processes[process];
    search->out->processes[process] = false;
    for (size_t i = first_held(search, process);
         i < waits->holder_count && search->held[i].process == process; i++) {
        const struct wait_holder *holder = &waits->holders[search->held[i].holder];
        if (holder->tid ? holder->wait == (ptrdiff_t)wait : was_stuck)
            lose_holder(search, search->held[i].waited);
    }
}

static int compare_held(const void *one, const void *two)
{
    const struct held *a = one;
    const struct held *b = two;
    return (a->process > b->process) - (a->process < b->process);
}

static void arrange(struct search *search)
{
    const struct waits *waits = search->waits;
    size_t held = 0;
    for (size_t i = 0; i < waits->waited_count; i++)
        for (size_t j = 0; j < waits->waited[i].count; j++, held++)
            search->held[held] = (struct held){.process = waits->holders[waits->waited[i].first + j].process,
                                               .waited = i,
                                               .holder = waits->waited[i].first + j};
    qsort(search->held, held, sizeof *search->held, compare_held);
    for (size_t i = 0; i < waits->count; i++)
        search->first_waiter[waits->waits[i].waited + 1]++;
    for (size_t i = 0; i < waits->waited_count; i++)
        search->first_waiter[i + 1] += search->first_waiter[i];
    for (size_t i = waits->count;
         i-- > 0;) /* backwards: each place is counted up to its end, and down again */
        search->waiters[--search->first_waiter[waits->waits[i].waited + 1]] = i;
    for (size_t i = 0; i < waits->waited_count; i++)
        search->first_waiter[i] = search->first_waiter[i + 1];
    search->first_waiter[waits->waited_count] = waits->count;
}

static int make_search(struct search *search)
{
    const struct waits *waits = search->waits;
    search->held = calloc(waits->holder_count + 1, sizeof *search->held);
    search->waiters = calloc(waits->count + 1, sizeof *search->waiters);
    search->first_waiter = calloc(waits->waited_count + 2, sizeof *search->first_waiter);
    search->stuck_holders = calloc(waits->waited_count + 1, sizeof *search->stuck_holders);
    search->todo = calloc(waits->count + 1, sizeof *search->todo);
    if (!search->held || !search->waiters || !search->first_waiter || !search->stuck_holders || !search->todo)
        return -ENOMEM;
    arrange(search);
    return 0;
}

bool stuck_holder(const struct stuck *stuck, const struct wait_holder *holder)
{
    if (holder->tid)
        return holder->wait != NO_WAIT && stuck->waits[holder->wait];
    return stuck->processes[holder->process];
}

/* As it looks at first: who waits with an end in sight, or for nobody who is known, may act, and so may who does not wait. */
static void begin(struct search *search)
{
    const struct waits *waits = search->waits;
    const struct inspection *inspection = waits->inspection;
    struct stuck *out = search->out;
    for (size_t i = 0; i < waits->count; i++)
        out->waits[i] = true;
    for (size_t i = 0; i < inspection->process_count; i++) {
        const struct process *process = &inspection->processes[i];
        size_t count = 0;
        (void)waits_of_process(waits, i, &count);
        out->processes[i] = count > 0 && count == process->threads && process->calls_known;
    }
    for (size_t i = 0; i < waits->waited_count; i++) {
        const struct waited *waited = &waits->waited[i];
        for (size_t j = 0; j < waited->count; j++)
            search->stuck_holders[i] += stuck_holder(out, &waits->holders[waited->first + j]);
    }
}

static void take_out_first(struct search *search)
{
    const struct waits *waits = search->waits;
    for (size_t i = 0; i < waits->count; i++) {
        const struct wait *wait = &waits->waits[i];
        const struct waited *waited = &waits->waited[wait->waited];
        size_t left = search->stuck_holders[wait->waited];
        bool is_held = waited->every ? left > 0 : left == waited->count;
        if (wait->several || waits->inspection->uses[wait->use].timed || !wait_has_holders(waits, wait) ||
            !is_held)
            take_out(search, i);
    }
}

int stuck_find(const struct waits *waits, struct stuck *out)
{
    struct search search = {.waits = waits, .out = out};
    out->waits = calloc(waits->count + 1, sizeof *out->waits);
    out->processes = calloc(waits->inspection->process_count + 1, sizeof *out->processes);
    int error = out->waits && out->processes ? make_search(&search) : -ENOMEM;
    if (!error) {
        begin(&search);
        take_out_first(&search);
        while (search.todo_count)
            follow(&search, search.todo[--search.todo_count]);
    }
    release_search(&search);
    return error;
}

void stuck_release(struct stuck *stuck)
{
    free(stuck->waits);
    free(stuck->processes);
    *stuck = (struct stuck){0};
}
