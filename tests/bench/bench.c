/* SPDX-License-Identifier: MIT */
/*
 * bench: times one operation on the same kind of object by several ways (natively, through a mount, on a floor).
 *
 * usage: bench [options] OPERATION NAME=PATH...       (bench --help lists the operations)
 *
 * The ways take turns: in every round each of them runs one short batch, in an order shuffled anew. What disturbs
 * the machine then disturbs all of them alike. The first round is not counted. The result is one JSON object on
 * stdout: per way the median, the 10th and 90th percentile and the median absolute deviation of the time of one
 * operation in microseconds, and the same percentiles of its ratio to the first way within each round.
 */
#include "clients.h"
#include "ops.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_WAYS 8
#define MIN_ROUNDS 3

static struct {
    unsigned rounds;
    unsigned batch_us;
    unsigned max_seconds;
    size_t size;
    uint64_t seed;
    int cpu;
    int peer_cpu;
    unsigned clients;
} cfg = {
    .rounds = 100, .batch_us = 2000, .max_seconds = 30, .size = 4096, .seed = 1, .cpu = -1, .peer_cpu = -1};

struct runner {
    struct way way;
    uint64_t batch; /* operations per batch */
    uint64_t done;  /* operations in all, the uncounted ones too */
    double *us;     /* time of one operation, by round */
    double *ratio;  /* the same beside the first way's */
};

static struct runner runners[MAX_WAYS];
static size_t n_ways;

/* ---- statistics ---------------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The q-quantile of n sorted values, between neighbours. */
static double quantile(const double *sorted, size_t n, double q)
{
    double at = q * (double)(n - 1);
    size_t low = (size_t)at;
    size_t high = low + 1 < n ? low + 1 : low;
    return sorted[low] + (at - (double)low) * (sorted[high] - sorted[low]);
}

static void print_spread(double *values, size_t n)
{
    qsort(values, n, sizeof *values, by_value);
    double median = quantile(values, n, 0.5);
    printf("\"median\": %.6g, \"p10\": %.6g, \"p90\": %.6g, \"min\": %.6g", median, quantile(values, n, 0.1),
           quantile(values, n, 0.9), values[0]);
    for (size_t i = 0; i < n; i++)
        values[i] = fabs(values[i] - median);
    qsort(values, n, sizeof *values, by_value);
    printf(", \"mad\": %.6g", quantile(values, n, 0.5));
}

/* ---- rounds -------------------------------------------------------------------------------------------------- */

/* Time of one operation in one batch; negative when it failed. */
static double time_batch(const struct op *op, struct runner *r)
{
    if (op->begin && op->begin(&r->way) == -1)
        return -1;
    r->way.paused_us = 0;
    double start = now_us();
    int rc = op->run(&r->way, r->batch);
    double us = now_us() - start - r->way.paused_us;
    if (op->end)
        op->end(&r->way);
    r->done += r->batch;
    return rc == 0 ? us / (double)r->batch : -1;
}

/* The better of two batches: one that was interrupted says nothing about how long an operation takes. */
static double time_twice(const struct op *op, struct runner *r)
{
    double first = time_batch(op, r);
    double second = first < 0 ? -1 : time_batch(op, r);
    return second < first ? second : first;
}

/* Finds how many operations last about batch_us, and warms everything up by that. */
static bool calibrate(const struct op *op, struct runner *r)
{
    r->batch = 1;
    for (;;) {
        double us = op->once ? time_batch(op, r) : time_twice(op, r);
        if (us < 0)
            return false;
        if (op->once || us * (double)r->batch >= cfg.batch_us)
            return true;
        double want = us > 0 ? cfg.batch_us / us * 1.1 : 0;
        uint64_t most = r->batch * 10;
        r->batch = want > (double)r->batch && want < (double)most ? (uint64_t)want + 1 : most;
    }
}

static void shuffle(size_t *order, size_t n, uint64_t *rng)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = rng_next(rng) % i;
        size_t swap = order[i - 1];
        order[i - 1] = order[j];
        order[j] = swap;
    }
}

/* One batch by every way; 0, or -1 when one failed. */
static int run_round(const struct op *op, size_t *order, double *us)
{
    for (size_t i = 0; i < n_ways; i++) {
        us[order[i]] = time_batch(op, &runners[order[i]]);
        if (us[order[i]] < 0)
            return -1;
    }
    return 0;
}

/* Runs all rounds, as far as max_seconds reaches; how many were counted, or -1. */
static int run_rounds(const struct op *op)
{
    size_t order[MAX_WAYS] = {0};
    double us[MAX_WAYS] = {0};
    uint64_t rng = cfg.seed * 2 + 1;
    double end = now_us() + cfg.max_seconds * 1e6;
    for (size_t i = 0; i < n_ways; i++)
        order[i] = i;
    shuffle(order, n_ways, &rng);
    if (run_round(op, order, us) == -1)
        return -1;
    unsigned counted = 0;
    while (counted < cfg.rounds && (counted < MIN_ROUNDS || now_us() < end)) {
        shuffle(order, n_ways, &rng);
        if (run_round(op, order, us) == -1)
            return -1;
        for (size_t i = 0; i < n_ways; i++) {
            runners[i].us[counted] = us[i];
            runners[i].ratio[counted] = us[i] / us[0];
        }
        counted++;
    }
    return (int)counted;
}

/* ---- result -------------------------------------------------------------------------------------------------- */

static void print_result(const struct op *op, size_t counted)
{
    printf("{\"operation\": \"%s\", \"size\": %zu, \"rounds\": %zu, \"ways\": {", op->name,
           op->takes_size ? cfg.size : 0, counted);
    for (size_t i = 0; i < n_ways; i++) {
        struct runner *r = &runners[i];
        printf("%s\n  \"%s\": {\"batch\": %llu, \"done\": %llu, \"us\": {", i ? "," : "", r->way.name,
               (unsigned long long)r->batch, (unsigned long long)r->done);
        print_spread(r->us, counted);
        printf("}, \"ratio\": {");
        print_spread(r->ratio, counted);
        printf("}}");
    }
    printf("\n}}\n");
}

static int complain(void)
{
    for (size_t i = 0; i < n_ways; i++)
        if (runners[i].way.why[0])
            fprintf(stderr, "bench: %s: %s: %s\n", runners[i].way.name, runners[i].way.path,
                    runners[i].way.why);
    return 1;
}

/* ---- start --------------------------------------------------------------------------------------------------- */

static void usage(FILE *out)
{
    fprintf(out, "usage: bench [options] OPERATION NAME=PATH...\n"
                 "  --rounds=N       rounds that count (100)\n"
                 "  --batch-us=N     about how long one batch lasts (2000)\n"
                 "  --max-seconds=N  begin no further round after that time (30)\n"
                 "  --size=N         bytes per operation (4096)\n"
                 "  --seed=N         of the order in the rounds (1)\n"
                 "  --cpu=N          stay on this CPU\n"
                 "  --clients=N      so many processes at once, each with its number for %% in its path\n"
                 "  --peer-cpu=N     where there is a second process, it stays on that one\n"
                 "operations:\n");
    for (size_t i = 0; all_ops[i]; i++)
        for (const struct op *op = all_ops[i]; op->name; op++)
            fprintf(out, "  %-14s %s\n", op->name, op->help);
}

static unsigned long number(const char *text)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno != 0 || *text < '0' || *text > '9' || *end) {
        fprintf(stderr, "bench: not a number: %s\n", text);
        exit(2);
    }
    return value;
}

static void parse_options(int argc, char **argv)
{
    static const struct option opts[] = {{"rounds", 1, NULL, 'r'},   {"batch-us", 1, NULL, 'b'},
                                         {"size", 1, NULL, 's'},     {"max-seconds", 1, NULL, 'm'},
                                         {"seed", 1, NULL, 'e'},     {"cpu", 1, NULL, 'c'},
                                         {"peer-cpu", 1, NULL, 'p'}, {"clients", 1, NULL, 'n'},
                                         {"help", 0, NULL, 'h'},     {0}};
    int c;
    while ((c = getopt_long(argc, argv, "h", opts, NULL)) != -1) {
        switch (c) {
        case 'r':
            cfg.rounds = (unsigned)number(optarg);
            break;
        case 'b':
            cfg.batch_us = (unsigned)number(optarg);
            break;
        case 's':
            cfg.size = number(optarg);
            break;
        case 'm':
            cfg.max_seconds = (unsigned)number(optarg);
            break;
        case 'e':
            cfg.seed = number(optarg);
            break;
        case 'c':
            cfg.cpu = (int)number(optarg);
            break;
        case 'n':
            cfg.clients = (unsigned)number(optarg);
            break;
        case 'p':
            cfg.peer_cpu = (int)number(optarg);
            break;
        default:
            usage(c == 'h' ? stdout : stderr);
            exit(c == 'h' ? 0 : 2);
        }
    }
}

static bool parse_ways(char **args, int n)
{
    if (n < 1 || n > MAX_WAYS || cfg.rounds < MIN_ROUNDS || cfg.rounds > 1000000 || cfg.size == 0 ||
        cfg.clients > CLIENTS_MAX)
        return false;
    for (int i = 0; i < n; i++) {
        struct runner *r = &runners[i];
        char *eq = strchr(args[i], '=');
        if (!eq)
            return false;
        *eq = '\0';
        r->way = (struct way){
            .name = args[i], .path = eq + 1, .size = cfg.size, .peer_cpu = cfg.peer_cpu, .fd = -1};
        r->us = calloc(cfg.rounds, sizeof *r->us);
        r->ratio = calloc(cfg.rounds, sizeof *r->ratio);
        if (!r->us || !r->ratio)
            return false;
    }
    n_ways = (size_t)n;
    return true;
}

static bool pin(void)
{
    if (cfg.cpu < 0)
        return true;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((unsigned)cfg.cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) == 0)
        return true;
    perror("bench: CPU");
    return false;
}

static int measure(const struct op *op)
{
    for (size_t i = 0; i < n_ways; i++)
        if (way_open(&runners[i].way, op) == -1 || !calibrate(op, &runners[i]))
            return complain();
    int counted = run_rounds(op);
    if (counted == -1)
        return complain();
    print_result(op, (size_t)counted);
    return 0;
}

int main(int argc, char **argv)
{
    parse_options(argc, argv);
    const struct op *op = optind < argc ? op_find(argv[optind]) : NULL;
    if (!op || !parse_ways(argv + optind + 1, argc - optind - 1)) {
        usage(stderr);
        return 2;
    }
    struct op by_all = cfg.clients ? clients_op(op, cfg.clients) : *op;
    op = &by_all;
    int rc = pin() ? measure(op) : 1;
    for (size_t i = 0; i < n_ways; i++) {
        way_close(&runners[i].way, op);
        free(runners[i].us);
        free(runners[i].ratio);
    }
    return rc;
}
