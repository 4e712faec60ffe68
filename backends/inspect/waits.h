/* SPDX-License-Identifier: MIT */
/*
 * Who waits for whom: of each thread that waits, what it waits for, and which processes could end that.
 *
 * Several threads that wait for the same have one `struct waited` in common. What nobody can tell has no holders: who opens
 * the other end of a FIFO or connects, what is done in other network name spaces or on other hosts, by processes that the
 * calling thread may not look into, or that did not answer.
 *
 * How the holders are known:
 *   lock of flock(2), fcntl(2)   /proc/locks; where that names nobody who lives, whoever has the file open
 *   pthread mutex                its owner, in the mutex (lock_word.h)
 *   other futexes                whoever has the memory mapped for writing
 *   semaphore                    whoever has its file `hold` open, or (POSIX) has it mapped or open for writing
 *   System V semaphore           besides, where its value is 0, who changed it last (GETPID of semctl(2))
 *   pipe, POSIX queue            data: whoever has it open for writing; room: for reading
 *   System V queue               the same through the mount; and who sent last, or received last (msgctl(2))
 *   socket                       whoever has the other end
 *   end of a child               the child; of any child: all there are
 *   any of several               nobody: who could end it by something else is not known
 */
#ifndef IPCFS_BACKENDS_INSPECT_WAITS_H
#define IPCFS_BACKENDS_INSPECT_WAITS_H

#include "inspection.h"

enum wait_purpose {
    WAITS_FOR_FUTEX,
    WAITS_FOR_MUTEX,
    WAITS_FOR_LOCK,
    WAITS_FOR_SEMAPHORE,
    WAITS_FOR_ZERO, /* of a System V semaphore */
    WAITS_FOR_DATA,
    WAITS_FOR_ROOM,
    WAITS_FOR_PARTNER, /* somebody who opens, connects or accepts */
    WAITS_FOR_CHILD,
    WAITS_FOR_ANY, /* this or something else: poll(2) and its kin */
    WAITS_FOR_OTHER,
};

/* What is known of who can end a wait. */
enum wait_evidence {
    EVIDENCE_NONE,
    EVIDENCE_LOCK_TABLE,
    EVIDENCE_LOCK_FILE, /* has the locked file open */
    EVIDENCE_LOCK_WORD,
    EVIDENCE_OWNER_LOST, /* of a mutex: nobody is there who has it mapped and calls himself so */
    EVIDENCE_HOLD,
    EVIDENCE_OPEN,
    EVIDENCE_WRITES,
    EVIDENCE_READS,
    EVIDENCE_MAPPED,
    EVIDENCE_OTHER_END,
    EVIDENCE_CHANGED_LAST,
    EVIDENCE_SENT_LAST,
    EVIDENCE_RECEIVED_LAST,
    EVIDENCE_CHILD,
};

enum { NO_WAIT = -1 };

struct wait_holder {
    size_t process; /* index */
    pid_t tid;      /* the thread of it; 0: any of its threads */
    ptrdiff_t wait; /* of that thread; NO_WAIT: it does not wait */
};

struct waited {
    size_t object;   /* index */
    int member;      /* −1: none, or unknown */
    uint64_t offset; /* of a futex */
    enum wait_purpose purpose;
    enum wait_evidence evidence;
    bool every;          /* all holders have to let go; otherwise any of them can end the wait */
    bool presumed;       /* the kernel does not record holders: these used it last */
    bool open;           /* somebody who is not there yet may come and end it: the object has a name */
    size_t first, count; /* of its holders */
};

struct wait {
    size_t use;     /* index: who waits, in which call, since when */
    size_t process; /* index */
    pid_t tid;
    size_t waited; /* index */
    bool several;  /* the thread waits for several things at once */
    /* Of data that it could write itself: it keeps the object open for those who are to come. */
    bool serves;
};

struct waits {
    const struct inspection *inspection; /* borrowed */
    struct wait *waits;                  /* in the order of processes, then of tids */
    size_t count;
    struct waited *waited;
    size_t waited_count;
    struct wait_holder *holders;
    size_t holder_count;
};

/* As the calling thread, which is the one that made the inspection. *out is the caller's: waits_free(), which takes NULL.
 * 0 or −errno. */
int waits_make(const struct inspection *inspection, struct waits **out);
void waits_free(struct waits *waits);

/* Whether it is known who could end it. Who used an object last himself and now waits for it is no answer. */
bool wait_has_holders(const struct waits *waits, const struct wait *wait);
/* The waits of a process: the first one's index, and how many. */
size_t waits_of_process(const struct waits *waits, size_t process, size_t *count);

/* "lock", "mutex", "data" … */
const char *wait_purpose_word(enum wait_purpose purpose);
/* "lock word", "open for writing" …; NULL of EVIDENCE_NONE. */
const char *wait_evidence_words(enum wait_evidence evidence);

#endif
