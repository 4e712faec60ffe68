/* SPDX-License-Identifier: MIT */
/*
 * What conserve.c (the driver and its checks) and conserve_ends.c (senders and receivers) share.
 *
 * Everything that is known about a run is in memory that all its processes share, so that it survives whoever is killed:
 * what became of each message of each sender, and who received what, in the order of receiving.
 */
#ifndef CONSERVE_H
#define CONSERVE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SENDERS = 7,
    SEQUENCES = 150000, /* messages of a sender, at most */
    RECEIVERS = 60000,  /* with those that replace killed ones */
    ENTRIES = SENDERS * SEQUENCES + 100000,
    PRIORITIES = 4,
    MESSAGE_MAX = 200,
    HEAD = 27, /* bytes of a message before its body */
    LINES_MAX = 20,
};

enum outcome { NEVER, TRYING, SENT };

enum sender_mode { S_NATIVE, S_NATIVE_NONBLOCK, S_FILE, S_PRIORITY, S_NONBLOCK, S_LINES };

enum receiver_mode {
    R_NATIVE,
    R_NATIVE_NONBLOCK,
    R_MESSAGE, /* message mode, in pieces */
    R_PACKET,
    R_NONBLOCK, /* with poll */
    R_LINES,
    R_SHARED,   /* several processes with one handle */
    R_TYPE,     /* System V: type 2 only */
    R_NEGATIVE, /* System V: msgtyp −3 */
    R_MODES,
};

struct entry {
    _Atomic uint32_t valid; /* written last: a receiver may be killed before */
    uint16_t receiver;
    uint8_t sender;
    uint8_t priority;
    uint32_t sequence;
};

struct receiver {
    enum receiver_mode mode;
    unsigned loss; /* messages that are in flight at once: so many may die with it */
    bool killed;
};

struct shared {
    atomic_bool stop_senders;
    atomic_bool stop_receivers;
    _Atomic uint32_t entries;
    _Atomic uint32_t sent_by_mode[S_LINES + 1];
    _Atomic uint32_t received_by_mode[R_MODES];
    _Atomic uint32_t interrupted;
    _Atomic uint8_t outcome[SENDERS][SEQUENCES];
    struct entry log[ENTRIES];
    struct receiver receivers[RECEIVERS];
};

struct setup {
    bool posix;
    const char *file;    /* the queue in the mount, NULL: everything is native */
    const char *control; /* its directory in ctl/ */
    int queue;           /* the mqd, blocking, or the msqid */
    int nonblocking;     /* another mqd */
    int handle;          /* the one of R_SHARED */
    char name[64];       /* POSIX: of the queue, natively */
    int key;             /* System V */
    bool beside;         /* there is other load */
    uint64_t seed;
    struct shared *shared;
};

/* Both return the exit status of their process. */
int run_sender(const struct setup *setup, unsigned sender, enum sender_mode mode);
int run_receiver(const struct setup *setup, unsigned receiver);
/* The native queue, without waiting: a length, 0 where it is empty. */
size_t drain_one(const struct setup *setup, char *text);
/* Checks the message and notes who got it. */
void note_message(const struct setup *setup, unsigned receiver, const char *text, size_t length);

#endif
