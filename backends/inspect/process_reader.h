/* SPDX-License-Identifier: MIT */
/*
 * The parts of reading a process, one file each; see process.h. A reader reads one after another, in one thread.
 *
 * The process is held by a descriptor of its directory in /proc: what is read below it is of that process, or is refused
 * when that is gone, though its pid be used again.
 */
#ifndef IPCFS_BACKENDS_INSPECT_PROCESS_READER_H
#define IPCFS_BACKENDS_INSPECT_PROCESS_READER_H

#include "process.h"
#include "process_arena.h"
#include "task_clock.h"

#include "patience.h"

#include <poll.h>

enum {
    /* Of a line of /proc/PID/maps: a path of PATH_MAX, each byte of which may be escaped as four, and the numbers. */
    READER_ROOM = 64 * 1024,
};

struct process_reader {
    unsigned what;
    struct process_subject subject;
    struct patient *patient; /* who is told that it gets on; NULL: nobody waits */
    int directory;           /* owned: of the process, or −1 */
    int living; /* owned: of a thread of it that has not ended, where the first one has; otherwise −1 */
    bool zombie;
    struct arena arena;
    size_t memory; /* bytes that the last one was given */
    struct rows descriptors, mappings, calls, polled;
    struct pollfd *lists;       /* owned, PROCESS_POLLED_MAX; NULL where no calls are asked for */
    char *buffer;               /* owned, READER_ROOM bytes */
    char own_ipc[64];           /* the text of /proc/self/ns/ipc */
    struct task_clocks *clocks; /* owned; NULL where no times are asked for */
};

/* 0 or −errno. */
int process_reader_init(struct process_reader *reader, unsigned what, struct patient *patient);
void process_reader_free(struct process_reader *reader);

/* Lets go of the process before, and tells pid and uid. 0; −ENOENT: there is none; −errno. */
int process_reader_open(struct process_reader *reader, pid_t pid, struct process *out);

/* The stages of reading one, in this order, for each may never return. On error `out` means nothing. 0; −ENOENT, −ESRCH: it is
 * gone, or a kernel thread; −ECANCELED: nobody waits any more; −errno. */
typedef int process_stage(struct process_reader *reader, struct process *out);
enum { PROCESS_STAGES = 3 };
extern process_stage *const process_stages[PROCESS_STAGES];

/* ---- the parts; 0 or −errno ---- */

/* Where what threads share is read, and what belongs to the one thread that there is. */
static inline int reader_source(const struct process_reader *reader)
{
    return reader->living >= 0 ? reader->living : reader->directory;
}
/* Whether that may be of the subject. */
bool reader_wants(const struct process_reader *reader, dev_t device, ino_t ino);
/* 0, or −ECANCELED. */
int reader_move(const struct process_reader *reader);
int read_descriptors(struct process_reader *reader);
int read_mappings(struct process_reader *reader);
int read_calls(struct process_reader *reader, const struct process *process);
/* Completes the call of a thread, where that is an open(2) that waits at a FIFO; `directory` and `prefix` as of
 * process_memory_open(). */
int read_fifo(struct process_reader *reader, int directory, const char *prefix, struct process_call *call);
/* The same of a poll(2) and its kin. */
int read_polled(struct process_reader *reader, int directory, const char *prefix, struct process_call *call);

#endif
