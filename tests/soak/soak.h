/* SPDX-License-Identifier: MIT */
/*
 * What the actors of the soak share: a ledger, which is a file that each of them maps, and the few calls by which an actor
 * tells there what it does. A driver (soak.py) writes the phase and reads the rest, by `soak phase` and `soak report`.
 *
 * An actor is a process with a role. In each epoch it opens what it needs, works until the phase says that it is over, and
 * closes everything: then it is at rest. Sources rest first, as soon as the phase is ENDING. Sinks, who wait for what
 * sources send, go on until it is REST: so nothing is on its way when all are at rest, and what was sent must have come.
 */
#ifndef SOAK_H
#define SOAK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

enum { SLOTS = 128, ACCOUNTS = 64, NAME_SIZE = 32, STEP_SIZE = 32, FAILURE_SIZE = 300, ACTOR_ARGS = 6 };

enum phase { REST, WORK, ENDING, OVER };

/* Of one actor, written by it alone. */
struct slot {
    char name[NAME_SIZE];
    _Atomic int32_t pid;
    _Atomic uint32_t sink;
    _Atomic uint32_t rested;     /* the last epoch that it has ended */
    _Atomic uint64_t steps;      /* operations, and waits that a signal has ended */
    _Atomic uint64_t since_ns;   /* when the last step began */
    _Atomic uint64_t longest_ns; /* that a step took */
    char step[STEP_SIZE];        /* the last that began */
    char longest_step[STEP_SIZE];
    char failure[FAILURE_SIZE];
};

/* What goes in must come out; or, of locks, who is in (in) and who has it (out). */
struct account {
    _Atomic uint64_t in;
    _Atomic uint64_t out;
};

struct ledger {
    _Atomic uint32_t epoch; /* its number << 2 | enum phase */
    uint64_t seed;
    struct account accounts[ACCOUNTS];
    struct slot slots[SLOTS];
};

struct actor {
    struct ledger *ledger;
    struct slot *slot;
    uint32_t epoch;
    uint64_t random;
    char *args[ACTOR_ARGS]; /* of its role */
};

struct role {
    const char *name;
    int args;
    bool sink;
    void (*run)(struct actor *actor); /* one epoch */
};

/* ended by a role without a name */
extern const struct role pipe_roles[], socket_roles[], semaphore_roles[], lock_roles[], region_roles[],
    name_roles[], look_roles[], parked_roles[];

/* Ends the step before, and begins the next: whoever takes too long between two of them hangs. */
void step(struct actor *actor, const char *what);
/* For a source: whether to go on. */
bool working(const struct actor *actor);
/* For a sink. */
bool serving(const struct actor *actor);
/* Ends the process; the first line of evidence goes to the ledger. */
_Noreturn void fail(struct actor *actor, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The result of a call that must not fail, whatever else is going on. */
long must(struct actor *actor, long result, const char *what);
/* After a call that failed: whether a signal ended it. That is a step: to wait is no hang while it can be interrupted. */
bool interrupted(struct actor *actor);
struct account *account(const struct actor *actor, unsigned arg);
uint64_t pick(struct actor *actor, uint64_t below);

/* open(2) as often as signals end it; −1: the epoch ended first. Any other error than `spared` (0: none) fails. */
int open_patiently(struct actor *actor, const char *path, int flags, int spared);
/* Fails where the path is too long for one. */
struct sockaddr_un unix_address(struct actor *actor, const char *path);
/* The whole small file, as text; a negative errno. */
long read_text(const char *path, char *text, size_t size);
/* A child that dies with its parent; 0 in the child. */
int fork_child(struct actor *actor);
/* Kills it by that signal: it must be gone within the bound. Gives its status. */
int kill_child(struct actor *actor, int pid, int number);

#endif
