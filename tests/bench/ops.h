/* SPDX-License-Identifier: MIT */
/* What bench can time: one path to one object, done n times in a row. */
#ifndef BENCH_OPS_H
#define BENCH_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* One competitor's way to the object, and what is kept open on it between batches. */
struct way {
    const char *name;
    const char *path;
    size_t size;  /* bytes per operation, where the operation has any */
    int peer_cpu; /* where the other process of two stays; −1: where the kernel has it */
    int fd;
    char *buf;
    char *map;
    size_t span; /* bytes of the object that are used: offsets wrap there */
    size_t at;   /* next offset */
    uint64_t rng;
    struct talk *talk;       /* of the operations on messages and semaphores */
    struct segment *segment; /* of the operations on System V segments */
    struct line *line;       /* of the operations on pipes and connections */
    struct many *many;       /* of lists */
    struct clients *clients; /* where several do it at once */
    double paused_us;        /* what of the batch was not the operation: its time is taken off */
    char why[160];           /* what failed */
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
extern const struct op sem_ops[];
extern const struct op sysv_ops[];
extern const struct op channel_ops[];
extern const struct op list_ops[];
extern const struct op program_ops[];
extern const struct op *const all_ops[]; /* ends with NULL */

const struct op *op_find(const char *name);

/* Gives the way its start values; 0, or -1 with the reason in way->why. */
int way_open(struct way *way, const struct op *op);
void way_close(struct way *way, const struct op *op);

/* Both say why in way->why, and return −1. */
int way_failed(struct way *way, const char *what); /* by errno */
int way_wrong(struct way *way, const char *what);

double now_us(void);

/* ---- of the operations on files, what others are made of, too ---- */

#define MAP_MOST ((size_t)16 << 20) /* of the object, what is mapped */

/* Opens the file, finds the span, and gives the way a buffer for its size. */
int io_open(struct way *way, int flags);
int io_buffer(struct way *way);
off_t next_offset(struct way *way);
int run_pread(struct way *way, uint64_t n);
int run_pwrite(struct way *way, uint64_t n);

/* Where the last mapping went: all others go there too, so that no competitor has the luckier address. */
extern void *map_place;

int prepare_map(struct way *way);
int begin_map(struct way *way);
/* Takes the mapping for the way's, and sees to it that every page is there. */
void map_use(struct way *way, void *map);
void end_map(struct way *way);
int run_load_random(struct way *way, uint64_t n);
int run_store_random(struct way *way, uint64_t n);
int run_load_seq(struct way *way, uint64_t n);
int run_store_seq(struct way *way, uint64_t n);

/* Runs it to its end, with its output thrown away. */
int run_program(struct way *way, char *const argv[]);

/* Opens it, reads to its end, and closes it. */
int read_to_end(struct way *way, const char *path);

uint64_t rng_next(uint64_t *state);

#endif
