/* SPDX-License-Identifier: MIT */
/*
 * What the numbers of ctl/<kind>/limits mean for each other: which is a limit, which is its use, and which is a total that
 * says how much there is. ctl/limits and ctl/metrics are made of these tables and of the same values, so that the three can
 * not disagree. The fields' own table (`limit_fields`) has names, units and help.
 */
#ifndef IPCFS_LIMITS_H
#define IPCFS_LIMITS_H

#include "ipcfs/caller.h"
#include "ipcfs/fields.h"

#include <stdbool.h>

/* What counts against a limit together. */
enum ipcfs_scope {
    IPCFS_LIMITS_SYSTEM,     /* everything on the machine */
    IPCFS_LIMITS_NAMESPACE,  /* everything in the IPC or network name space of the daemon */
    IPCFS_LIMITS_FILESYSTEM, /* everything on the file system that carries the objects */
    IPCFS_LIMITS_USER,       /* everything of the user who reads it */
    IPCFS_LIMITS_PROCESS,    /* everything of the process that reads it */
    IPCFS_LIMITS_OBJECT,     /* each object for itself, or each call: there is no sum */
};

/* `used`: what counts is of each object for itself, or the kernel does not tell it. */
enum { IPCFS_NO_USE = -1 };

struct ipcfs_limit {
    const char *where; /* it is set: "sysctl kernel.shmmni"; NULL ends a table */
    unsigned
        limit; /* index into `limit_fields`; an IPCFS_UNSIGNED. Unknown: there is no limit, or it is not told */
    int used; /* the same, of what counts against it; or IPCFS_NO_USE */
    enum ipcfs_scope scope;
    bool zero_is_none; /* the setting 0 stands for no limit */
};

/* What all kinds can be added up by. */
enum ipcfs_total_of {
    IPCFS_TOTAL_END, /* of a table */
    IPCFS_TOTAL_OBJECTS,
    IPCFS_TOTAL_BYTES, /* of the objects; a kind that has messages has those below instead */
    IPCFS_TOTAL_RESIDENT,
    IPCFS_TOTAL_SWAPPED,
    IPCFS_TOTAL_MESSAGES,
    IPCFS_TOTAL_MESSAGE_BYTES,
    IPCFS_TOTAL_SEMAPHORES,
    IPCFS_TOTAL_SOCKETS,
};

struct ipcfs_total {
    enum ipcfs_total_of of;
    unsigned field; /* index into `limit_fields` */
};

/* Limits that are of no kind, but of all that is used by descriptors: fields, meaning and values as a kind has them. */
extern const struct ipcfs_field ipcfs_file_limit_fields[];
extern const struct ipcfs_limit ipcfs_file_limit_rows[];
int ipcfs_file_limits(const struct caller *caller, struct ipcfs_value *values);

#endif
