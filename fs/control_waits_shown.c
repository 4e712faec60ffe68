/* SPDX-License-Identifier: MIT */
/* Which waits are shown. For the end of a child every shell waits: that tells something only where it is part of more. */
#include "control_waits.h"

#include "ipcfs/cleanup.h"

#include <errno.h>

struct choice {
    const struct waits *waits;
    bool *shown;
    size_t *todo; /* shown, and whom they wait for is not yet */
    size_t todo_count;
    bool *followed;           /* of each thing that is waited for */
    bool *followed_processes; /* of each process */
};

static void show(struct choice *choice, size_t wait)
{
    if (choice->shown[wait])
        return;
    choice->shown[wait] = true;
    choice->todo[choice->todo_count++] = wait;
}

static void show_process(struct choice *choice, size_t process)
{
    size_t count = 0;
    size_t first = waits_of_process(choice->waits, process, &count);
    if (choice->followed_processes[process])
        return;
    choice->followed_processes[process] = true;
    for (size_t i = first; i < first + count; i++)
        show(choice, i);
}

static void show_holders(struct choice *choice, size_t thing)
{
    const struct waited *waited = &choice->waits->waited[thing];
    if (choice->followed[thing])
        return;
    choice->followed[thing] = true;
    for (size_t i = waited->first; i < waited->first + waited->count; i++)
        show_process(choice, choice->waits->holders[i].process);
}

static void choose(struct choice *choice, const struct deadlocks *deadlocks, bool chains)
{
    const struct waits *waits = choice->waits;
    for (size_t i = 0; i < waits->count; i++)
        if (waits->waited[waits->waits[i].waited].purpose != WAITS_FOR_CHILD)
            show(choice, i);
    for (size_t i = 0; i < deadlocks->count; i++)
        for (size_t j = 0; j < deadlocks->all[i].count; j++)
            show(choice, deadlocks->waits[deadlocks->all[i].first + j]);
    while (chains && choice->todo_count)
        show_holders(choice, waits->waits[choice->todo[--choice->todo_count]].waited);
}

int waits_choose(const struct waits_seen *look, bool chains, bool **shown)
{
    const struct waits *waits = look->waits;
    AUTO_FREE bool *chosen = calloc(waits->count + 1, sizeof *chosen);
    AUTO_FREE size_t *todo = calloc(waits->count + 1, sizeof *todo);
    AUTO_FREE bool *followed =
        calloc(waits->waited_count + waits->inspection->process_count + 1, sizeof *followed);
    if (!chosen || !todo || !followed)
        return -ENOMEM;
    struct choice choice = {.waits = waits,
                            .shown = chosen,
                            .todo = todo,
                            .followed = followed,
                            .followed_processes = followed + waits->waited_count};
    choose(&choice, look->deadlocks, chains);
    *shown = TAKE_PTR(chosen);
    return 0;
}
