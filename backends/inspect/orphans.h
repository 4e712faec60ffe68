/* SPDX-License-Identifier: MIT */
/*
 * Objects that nobody holds: no descriptor, no mapping, no attachment, nobody who waits. And what speaks for or against
 * that anybody will ever miss them.
 *
 * The processes were looked at first, and what the kernel counts for an object itself is read after that. Somebody may come
 * by the name or the id at any time, also a moment later: no verdict is about the future.
 */
#ifndef IPCFS_BACKENDS_INSPECT_ORPHANS_H
#define IPCFS_BACKENDS_INSPECT_ORPHANS_H

#include "inspection.h"

/* What has become of the processes of which the kernel remembers the pids. The worst of several counts. */
enum orphan_past {
    PAST_NOBODY, /* there was none */
    PAST_DEAD,   /* no process has the pid, or what has it has ended and only waits to be noticed */
    PAST_REUSED, /* a younger process has the pid, by the clock */
    PAST_UNKNOWN, /* nothing is recorded, or he is out of sight; or it was a daemon of ipcfs, on behalf of somebody */
    PAST_ALIVE, /* the process lives, or another that has its pid and may be as old */
};

enum orphan_verdict {
    /* All that is not one of the others: who made it lives, something in it would be lost, not all could be seen. */
    ORPHAN_UNKNOWN,
    /* Nobody holds it, who made it is gone, and nothing would be lost. But it has a name, by which anybody may come; or only
     * clocks tell that he is gone, and clocks are set. */
    ORPHAN_LIKELY,
    /* The kernel's own records prove that all whom it remembers to have made or used it are dead, and that nothing would be
     * lost; or nobody can reach it any more. */
    ORPHAN_SAFE,
};

struct orphan {
    const struct ipcfs_backend *kind;
    struct ipcfs_objid id;
    const char *name; /* in the naming directory 0; borrowed */
    uid_t uid;        /* owner */
    struct ipcfs_traces traces;
    enum orphan_past creator, users;
    bool gone;           /* every process of the owner's that could be seen is younger than the object */
    bool made_meanwhile; /* it may be younger than the look at the processes */
    size_t unseen;       /* processes of which could not be seen what they have, or what they wait for */
    enum orphan_verdict verdict;
};

/* Called with each, kind by kind, in the order of their lists; anything but 0 ends the walk, which returns it. */
typedef int orphan_visit(void *data, const struct orphan *orphan);
/* Of these kinds (NULL-terminated), as the calling thread may see them, by a look that included those who wait
 * (INSPECT_WAITERS). 0 or −errno. */
int orphans_find(const struct ipcfs_backend *const *kinds, const struct inspection *inspection,
                 orphan_visit *visit, void *data);

/* The verdict that all the rest leads to. */
enum orphan_verdict orphan_judge(const struct orphan *orphan);
/* "unknown", "likely", "safe". */
const char *orphan_verdict_word(enum orphan_verdict verdict);
/* "none", "dead", "reused", "unknown", "alive". */
const char *orphan_past_word(enum orphan_past past);
/* Appends what the verdict follows from: words with commas between them. */
void orphan_evidence(const struct orphan *orphan, struct text *out);

/* Appends the text as one word of a shell command. What is not printable ASCII is written \ooo within $'…', which dash(1) does
 * not know: no name can make a terminal, or a shell, do anything. */
void orphan_quote(struct text *out, const char *text);

#endif
