/* SPDX-License-Identifier: MIT */
/*
 * The load of the soak, see soak.h.
 *
 *   soak make LEDGER SEED                     a new ledger
 *   soak act LEDGER SLOT NAME ROLE ARG...     an actor; returns when it is over
 *   soak phase LEDGER work|ending|rest|over   the next phase
 *   soak report LEDGER                        a line for each actor and account, words parted by tabs
 */
#include "soak.h"

#include "../mount/traffic.h"

#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const struct role *const tables[] = {pipe_roles,   socket_roles, semaphore_roles, lock_roles,
                                            region_roles, name_roles,   look_roles,      parked_roles};
static const char *const phases[] = {"rest", "work", "ending", "over"};

static struct ledger *map_ledger(const char *path, int flags)
{
    int fd = open(path, O_RDWR | O_CLOEXEC | flags, 0666);

    if (fd < 0 || (flags && (fchmod(fd, 0666) < 0 || ftruncate(fd, sizeof(struct ledger)) < 0)))
        err(1, "%s", path);
    struct ledger *ledger = mmap(NULL, sizeof(*ledger), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (ledger == MAP_FAILED)
        err(1, "mmap of %s", path);
    close(fd);
    return ledger;
}

static const struct role *find_role(const char *name)
{
    for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++)
        for (const struct role *role = tables[i]; role->name; role++)
            if (!strcmp(role->name, name))
                return role;
    errx(2, "no role is called %s", name);
}

/* Waits for the next epoch. false: there is none. */
static bool next_epoch(struct actor *actor)
{
    for (;;) {
        uint32_t epoch = atomic_load(&actor->ledger->epoch);
        if ((epoch & 3) == OVER)
            return false;
        if ((epoch & 3) == WORK && epoch >> 2 > actor->epoch) {
            actor->epoch = epoch >> 2;
            return true;
        }
        usleep(2000);
    }
}

static int act(int argc, char **argv)
{
    unsigned slot = strtoul(argv[1], NULL, 10);
    const struct role *role = find_role(argc > 3 ? argv[3] : "");

    if (slot >= SLOTS || argc - 4 != role->args || role->args > ACTOR_ARGS)
        errx(2, "wrong arguments of %s", role->name);
    struct actor actor = {.ledger = map_ledger(argv[0], 0)};
    actor.slot = &actor.ledger->slots[slot];
    actor.random = actor.ledger->seed * 1000 + slot;
    memcpy(actor.args, argv + 4, (size_t)role->args * sizeof(*argv));
    snprintf(actor.slot->name, NAME_SIZE, "%s", argv[2]);
    atomic_store(&actor.slot->sink, role->sink);
    atomic_store(&actor.slot->pid, getpid());
    signal(SIGPIPE, SIG_IGN);
    be_interrupted(&actor.random);
    while (next_epoch(&actor)) {
        struct timespec time;
        clock_gettime(CLOCK_MONOTONIC, &time);
        atomic_store(&actor.slot->since_ns, (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec);
        role->run(&actor);
        atomic_store(&actor.slot->rested, actor.epoch);
    }
    return 0;
}

static int set_phase(int argc, char **argv)
{
    struct ledger *ledger = map_ledger(argv[0], 0);
    uint32_t number = atomic_load(&ledger->epoch) >> 2;

    for (uint32_t phase = REST; argc == 2 && phase <= OVER; phase++) {
        if (strcmp(argv[1], phases[phase]) != 0)
            continue;
        atomic_store(&ledger->epoch, (number + (phase == WORK)) << 2 | phase);
        return 0;
    }
    errx(2, "no such phase");
}

static double ms(uint64_t ns)
{
    return (double)ns / 1e6;
}

static int report(char **argv)
{
    struct ledger *ledger = map_ledger(argv[0], 0);
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    uint64_t now = (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
    for (unsigned i = 0; i < SLOTS; i++) {
        struct slot *s = &ledger->slots[i];
        if (!atomic_load(&s->pid))
            continue;
        uint64_t since = atomic_load(&s->since_ns);
        bool rests = atomic_load(&s->rested) == atomic_load(&ledger->epoch) >> 2;
        printf("actor\t%u\t%s\t%d\t%u\t%d\t%lu\t%.3f\t%s\t%.3f\t%s\t%s\n", i, s->name, s->pid, s->sink, rests,
               s->steps, rests || !since || since > now ? 0 : ms(now - since), s->step, ms(s->longest_ns),
               s->longest_step, s->failure);
    }
    for (unsigned i = 0; i < ACCOUNTS; i++)
        printf("account\t%u\t%lu\t%lu\n", i, ledger->accounts[i].in, ledger->accounts[i].out);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 4 && !strcmp(argv[1], "make")) {
        map_ledger(argv[2], O_CREAT | O_EXCL)->seed = strtoull(argv[3], NULL, 10);
        return 0;
    }
    if (argc >= 5 && !strcmp(argv[1], "act"))
        return act(argc - 2, argv + 2);
    if (argc == 4 && !strcmp(argv[1], "phase"))
        return set_phase(argc - 2, argv + 2);
    if (argc == 3 && !strcmp(argv[1], "report"))
        return report(argv + 2);
    errx(2, "usage: see soak.c");
}
