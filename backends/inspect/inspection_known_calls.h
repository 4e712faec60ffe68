/* SPDX-License-Identifier: MIT */
/* The system calls that threads wait in. */
#ifndef IPCFS_BACKENDS_INSPECT_INSPECTION_KNOWN_CALLS_H
#define IPCFS_BACKENDS_INSPECT_INSPECTION_KNOWN_CALLS_H

#include "process.h"

/* How a call says what it waits for. */
enum call_sort {
    CALL_FD, /* the descriptor that is argument `argument` */
    CALL_VMSPLICE,
    CALL_QUEUE, /* the same, a POSIX message queue */
    CALL_LOCK,  /* the same, a lock on it */
    CALL_FCNTL,
    CALL_FUTEX,
    CALL_FUTEX2,
    CALL_SEM, /* System V: argument 0 is the id */
    CALL_MSG,
    CALL_WAIT4,
    CALL_WAITID,
    CALL_POLL, /* any of several descriptors */
    CALL_OPEN, /* of a FIFO; or a request may wait in the daemon */
};

struct call {
    long number;
    enum call_sort sort;
    const char *name;
    bool writes;
    unsigned argument;
};

/* NULL: it says nothing of what it waits for. */
const struct call *known_call(long number);
/* Whether it names a time at which it ends. */
bool call_is_timed(const struct process_call *call);

#endif
