/* SPDX-License-Identifier: MIT */
/*
 * Transactions: what a handle of a control file that is open for writing is.
 *
 * A write(2) holds one or more lines, each of which asks for something. They are carried out in turn, until one is
 * refused. What there is to say to it, the answers or the reason, is read back from the same handle, from its beginning;
 * then comes an end (a read of 0). A handle that has nothing to say shows the file's own text, if it has one. There is
 * no position: a write does not move what is read next.
 *
 * Several processes may use one handle at once. A write is carried out without any lock; the answer that is read is
 * that of the write which ended last.
 */
#ifndef IPCFS_FS_TRANSACTION_H
#define IPCFS_FS_TRANSACTION_H

#include "ipcfs/text.h"
#include "lock.h"

#include <stdbool.h>
#include <sys/types.h>

/* Bytes of one write(2). */
enum { TRANSACTION_MAX = 4096 };

/* What the lines are given to. */
struct transaction_ops {
    bool blank; /* empty lines are given to line(), too */
    /* One line: terminated, not empty but for `blank`, without a NUL byte in it. 0, with what there is to answer in `answer`; or
     * −errno, with the reason in it, without a newline. An empty reason becomes "LINE: " and the words for the errno. */
    int (*line)(void *context, const char *line, size_t length, struct text *answer);
    /* A line was refused: `reason` is not empty and not terminated. */
    void (*refused)(void *context, const struct text *reason);
};

/* Says to whom it concerns that and why what was written was refused: `reason` is what there is to say, and may be empty,
 * then `line` is echoed with the words for the errno. Appended to `answer`, with a newline. */
void transaction_refuse(const struct transaction_ops *ops, void *context, const char *line, int error,
                        struct text *reason, struct text *answer);

/*
 * Carries out the lines of one write(2): `size` where all was done; where a line was refused, the bytes of the lines
 * before it, or its −errno if it was the first. What a read then gives is appended to `answer`.
 */
ssize_t transaction_run(const struct transaction_ops *ops, void *context, const char *data, size_t size,
                        struct text *answer);

struct transaction;

/* NULL when out of memory. */
struct transaction *transaction_new(void);
/* NULL is harmless. */
void transaction_free(struct transaction *transaction);

/* What a write had to say, which is taken over, is to be read from its beginning. An empty text: nothing. One that failed: the
 * next read says so, and the one behind it begins anew. */
void transaction_answer(struct transaction *transaction, struct text *answer);
/* Whether the next read needs the file's own text. */
bool transaction_wants_text(struct transaction *transaction);
/* Gives it, taken over; where somebody was first with anything, nothing happens. */
void transaction_offer(struct transaction *transaction, struct text *text);
/* Appends what comes next, at most `size` bytes, to `out`, which is empty; nothing is the end. 0 or −ENOMEM. */
int transaction_take(struct transaction *transaction, size_t size, struct text *out);

#endif
