/* SPDX-License-Identifier: MIT */
/*
 * The walk over all processes. It is a thread's, and who visits gets what is read in batches, so that the two wake each
 * other seldom; while one batch is visited the next is read, and no more than that.
 */
#include "process_reader.h"

#include "patience.h"
#include "proc_numbers.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <fcntl.h>

enum {
    BATCH = 256,
    BATCH_MEMORY = 4 * 1024 * 1024, /* a batch that is larger gets no more */
};

/* One user's processes alone can not bring the walks of all to an end. */
static struct patience patience = PATIENCE(PATIENCE_GIVEN_UP_MAX / 2);

struct batch {
    size_t count;
    size_t memory; /* bytes */
    struct process processes[BATCH];
};

struct walk {
    struct patient patient;
    unsigned what;
    struct process_subject subject;
    pid_t only;  /* 0: all … */
    pid_t after; /* … behind this one */

    /* Guarded by the lock of `patience`. */
    struct process current; /* who is being read, as far as it is known by now; pid 0: nobody */
    struct batch *batch;    /* owned */
    bool full;              /* the batch is to be taken */
    bool over;              /* nobody wants more */
    int error;              /* how it ended */
};

static void empty_batch(struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        process_free(&batch->processes[i]);
    batch->count = 0;
    batch->memory = 0;
}

static void free_batch(struct batch **batch)
{
    if (*batch)
        empty_batch(*batch);
    free(*batch);
}
#define AUTO_BATCH __attribute__((cleanup(free_batch))) struct batch

/* ---- in the thread ---- */

/* Puts it into the batch, and where that is full waits until it is taken. −ECANCELED: nobody wants more. */
static int deliver(struct walk *walk, struct process *process, size_t memory)
{
    if (!patience_lock(&walk->patient)) {
        process_free(process);
        return -ECANCELED;
    }
    struct batch *batch = walk->batch;
    batch->processes[batch->count++] = *process;
    batch->memory += memory;
    walk->current = (struct process){0};
    if (batch->count == BATCH || batch->memory > BATCH_MEMORY)
        patience_hand_over(&walk->patient, &walk->full);
    int error = walk->over ? -ECANCELED : 0;
    patience_unlock(&walk->patient);
    return error;
}

/* What it may get stuck with from now on: a stage of that process; with nobody, the list of all. −EAGAIN: a thread stands
 * there. A user has one share of all stages; the first is nobody's, because no process can make it wait. */
static int begin(struct walk *walk, size_t stage, const struct process *process)
{
    const struct patience_subject subject = {.number = {(uint64_t)process->pid, stage},
                                             .owner = stage ? process->uid : UINT64_MAX};
    if (!patience_lock(&walk->patient))
        return -ECANCELED;
    walk->current = *process;
    patience_unlock(&walk->patient);
    return patience_begin(&walk->patient, &subject) ? 0 : -EAGAIN;
}

static int read_one(struct walk *walk, struct process_reader *reader, pid_t pid)
{
    struct process process;
    int error = process_reader_open(reader, pid, &process);
    for (size_t i = 0; !error && i < PROCESS_STAGES; i++) {
        error = begin(walk, i, &process);
        if (!error)
            error = process_stages[i](reader, &process);
    }
    process.stuck = error == -EAGAIN;
    if (error && !process.stuck)
        return error == -ENOENT ? -ESRCH : error;
    return deliver(walk, &process, reader->memory);
}

static int read_next(struct walk *walk, struct process_reader *reader, struct proc_numbers *pids)
{
    const struct process nobody = {0};
    int error = begin(walk, 0, &nobody);
    int more = error ? error : proc_numbers_next(pids);
    if (more != 1)
        return more;
    if (pids->number <= walk->after || pids->number == getpid())
        return 1;
    error = read_one(walk, reader, pids->number);
    return error && error != -ESRCH ? error : 1;
}

static int read_all(struct walk *walk, struct process_reader *reader)
{
    struct proc_numbers pids;
    AUTO_FD proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (proc < 0)
        return -errno;
    proc_numbers_begin(&pids, proc);
    int more = 1;
    while (more == 1)
        more = read_next(walk, reader, &pids);
    return more;
}

static void run_walk(struct patient *patient)
{
    struct walk *walk = (struct walk *)patient;
    struct process_reader reader;
    int error = process_reader_init(&reader, walk->what, patient);
    reader.subject = walk->subject;
    if (!error)
        error = walk->only ? read_one(walk, &reader, walk->only) : read_all(walk, &reader);
    process_reader_free(&reader);
    if (!patience_lock(patient))
        return;
    walk->error = error;
    patience_unlock(patient);
}

/* ---- who visits ---- */

struct request {
    pid_t only; /* 0: all */
    unsigned what;
    struct process_subject subject;
};

static void free_walk(struct patient *patient)
{
    struct walk *walk = (struct walk *)patient;
    free_batch(&walk->batch);
    free(walk);
}

/* −EAGAIN until it has an end of its own. */
static int start_walk(const struct request *request, pid_t after, struct walk **out)
{
    AUTO_FREE struct walk *walk = calloc(1, sizeof *walk);
    AUTO_FREE struct batch *batch = calloc(1, sizeof *batch);
    if (!walk || !batch)
        return -ENOMEM;
    *walk = (struct walk){.patient = {.patience = &patience, .work = run_walk, .release = free_walk},
                          .what = request->what,
                          .subject = request->subject,
                          .only = request->only,
                          .after = after,
                          .batch = batch,
                          .error = -EAGAIN};
    int error = patience_start(&walk->patient);
    if (error)
        return error;
    (void)TAKE_PTR(batch);
    *out = TAKE_PTR(walk);
    return 0;
}

static int visit_batch(struct batch *batch, process_visit *visit, void *data)
{
    int error = 0;
    for (size_t i = 0; !error && i < batch->count; i++)
        error = visit(data, &batch->processes[i]);
    return error;
}

/* Waits for the next batch and takes it for an empty one. 1: there may be more; 0 at the end, or −errno: the walk is left.
 */
static int take_batch(struct walk *walk, bool over, struct batch **batch, struct process *stuck)
{
    (void)pthread_mutex_lock(&patience.lock);
    walk->over = over;
    bool there = patience_await(&walk->patient, &walk->full);
    struct batch *taken = walk->batch;
    walk->batch = *batch;
    *batch = taken;
    if (walk->full) {
        patience_taken(&walk->patient, &walk->full);
        (void)pthread_mutex_unlock(&patience.lock);
        return 1;
    }
    int error = walk->error;
    if (!there) {
        *stuck = walk->current;
        error = stuck->pid ? 0 : -EAGAIN; /* it does not even get to know who is there */
    }
    patience_leave(&walk->patient);
    return error;
}

/* To its end, or to where it is stuck; *batch is empty before and behind. 0 or −errno. */
static int follow(struct walk *walk, struct batch **batch, process_visit *visit, void *data,
                  struct process *stuck)
{
    int error = 0;
    int more = 1;
    while (more == 1) {
        more = take_batch(walk, error, batch, stuck);
        if (!error)
            error = visit_batch(*batch, visit, data);
        empty_batch(*batch);
    }
    return error ? error : more;
}

static int read_requested(const struct request *request, process_visit *visit, void *data)
{
    AUTO_BATCH *batch = calloc(1, sizeof *batch);
    if (!batch)
        return -ENOMEM;
    int error = request->only == getpid() ? -ESRCH : 0;
    pid_t last = 0;
    while (!error) {
        struct walk *walk = NULL;
        struct process stuck = {0};
        error = start_walk(request, last, &walk);
        if (!error)
            error = follow(walk, &batch, visit, data, &stuck);
        last = stuck.pid;
        if (error || !last)
            break;
        stuck.stuck = true;
        error = visit(data, &stuck);
        process_free(&stuck);
        if (request->only)
            break;
    }
    return error;
}

int processes_read(pid_t only, unsigned what, process_visit *visit, void *data)
{
    const struct request request = {.only = only, .what = what};
    return read_requested(&request, visit, data);
}

int processes_read_of(const struct process_subject *subject, unsigned what, process_visit *visit, void *data)
{
    const struct request request = {.what = what, .subject = *subject};
    return read_requested(&request, visit, data);
}
