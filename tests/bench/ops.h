/* SPDX-License-Identifier: MIT */
/* What bench can time: one path to one object, done n times in a row. */
#ifndef BENCH_OPS_H
#define BENCH_OPS_H

#include <stddef.h>
#include <stdint.h>

/* One competitor's way to the object, and what is kept open on it between batches. */
struct way {
    const char *name;
    const char *path;
    size_t size; /* bytes per operation, where the operation has any */
    int fd;
    char *buf;
    char *map;
    size_t span; /* bytes of the object that are used: offsets wrap there */
    size_t at;   /* next offset */
    uint64_t rng;
    struct talk *talk; /* of the operations on messages */
    double paused_us;  /* what of the batch was not the operation: its time is taken off */
    char why[160];     /* what failed */
};

struct op {
    const char *name;
    const char *help;
    int takes_size;
    int once;                             /* a batch is always a single operation: each takes milliseconds */
    int (*prepare)(struct way *);         /* once */
    int (*begin)(struct way *);           /* before every batch, not timed */
    int (*run)(struct way *, uint64_t n); /* one batch */
    void (*end)(struct way *);            /* after every batch, not timed */
    void (*finish)(struct way *);         /* once, also after a prepare that failed */
};

/* Each ends with a null name. */
extern const struct op file_ops[];
extern const struct op message_ops[];
extern const struct op *const all_ops[]; /* ends with NULL */

const struct op *op_find(const char *name);

/* Gives the way its start values; 0, or -1 with the reason in way->why. */
int way_open(struct way *way, const struct op *op);
void way_close(struct way *way, const struct op *op);

/* Both say why in way->why, and return −1. */
int way_failed(struct way *way, const char *what); /* by errno */
int way_wrong(struct way *way, const char *what);

double now_us(void);

uint64_t rng_next(uint64_t *state);

#endif
