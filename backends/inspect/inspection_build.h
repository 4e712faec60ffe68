/* SPDX-License-Identifier: MIT */
/*
 * An inspection that is being made. In this order: the locks that are waited for and the requests that wait in the daemon
 * are read (inspection_locks.c, inspection_calls.c); then process by process what each uses and what its threads wait for
 * (inspection_uses.c, inspection_calls.c), which inspection_things.c tells what it is of; then what sockets are
 * (inspection_sockets.c), the names of all (inspection_names.c), who has the locks (inspection_locks.c); and in the end
 * everything is put in order (inspection_order.c).
 */
#ifndef IPCFS_BACKENDS_INSPECT_INSPECTION_BUILD_H
#define IPCFS_BACKENDS_INSPECT_INSPECTION_BUILD_H

#include "inspection_objects.h"

/* A line of /proc/locks, and one that waits below it. */
struct lock_line {
    size_t file;  /* index */
    pid_t holder; /* −1: of an open file description */
    pid_t waiter;
};

/* A file that the lock is of. */
struct locked_file {
    dev_t device;
    ino_t ino;
    size_t object; /* NO_OBJECT: nobody has been met yet who has it open */
};

/* What the processes of a user have. */
struct build_user {
    uid_t uid;
    size_t uses;
};

struct build {
    const struct inspection_host *host;
    unsigned what;
    const struct ipcfs_backend *kind; /* of the one object that is looked for; NULL: everything */
    struct process_subject subject;   /* which one that is */
    pid_t self;                       /* the daemon */
    struct inspection *out;
    struct objects objects;
    size_t process_room, use_room, lock_room;
    struct build_user *users; /* owned */
    size_t user_count, user_room;
    struct inspection_parked *parked; /* by tid; owned */
    size_t parked_count, parked_room;
    struct lock_line *lines; /* owned */
    size_t line_count, line_room;
    struct locked_file *files; /* by device and inode, when all lines are read; owned */
    size_t file_count, file_room;
};

/* ---- inspection_things.c ---- */

/* What something that a process has is of. */
struct thing {
    struct object_key key;
    const char *part;
    int member;
    bool mount;    /* it came by a file of the mount */
    bool unwanted; /* a file that matters only where somebody waits in it */
    bool
        called; /* what its calls wait for is told by its descriptors: a pipe, a socket, a file of the mount, a queue */
    const char *path; /* borrowed: out of which its name is taken, until a better one is known */
};

/* False where it is nothing that belongs here. */
bool thing_of_descriptor(const struct build *build, const struct process *process,
                         const struct process_descriptor *descriptor, struct thing *out);
bool thing_of_mapping(const struct build *build, const struct process *process,
                      const struct process_mapping *mapping, struct thing *out);
/* By its path: one of the tree, or one elsewhere. */
void thing_of_fifo(const struct build *build, const char *path, struct thing *out);
/* Its object, with such a name as the thing tells. 0 or −ENOMEM. */
int thing_object(struct build *build, const struct thing *thing, size_t *object);

/* ---- inspection_uses.c ---- */

int build_add_use(struct build *build, const struct inspected_use *use);
/* A use of the process that was put in last, with everything else unset. */
struct inspected_use build_use(const struct build *build, size_t object, enum inspected_how how);
/* What the process has open and mapped, which was put in last. 0 or −ENOMEM. */
int build_add_uses(struct build *build, const struct process *process);
/* NULL where it has none, or what it is of is not known. */
const struct process_descriptor *process_descriptor_find(const struct process *process, int fd);
const struct process_mapping *process_mapping_find(const struct process *process, uint64_t address);

/* ---- inspection_calls.c ---- */

int build_read_parked(struct build *build);
/* What its threads wait for. 0 or −ENOMEM. */
int build_add_waits(struct build *build, const struct process *process);

/* ---- inspection_locks.c ---- */

/* 0 or −errno. */
int build_read_locks(struct build *build);
/* NULL: nobody waits for a lock on that file. */
struct locked_file *build_locked_file(const struct build *build, dev_t device, ino_t ino);
int build_add_locks(struct build *build);

/* ---- inspection_sockets.c, inspection_names.c, inspection_order.c ---- */

int build_ask_sockets(struct build *build);
int build_ask_names(struct build *build);
/* The objects belong to the inspection then, and nothing may be added to it. 0 or −ENOMEM. */
int build_put_in_order(struct build *build);

#endif
