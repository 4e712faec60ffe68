/* SPDX-License-Identifier: MIT */
/*
 * Why the last line that a user wrote to a control file was refused: ctl/last-error, for those who have only an errno,
 * as a shell script has. Everybody sees his own. A few users are remembered; the one unused for longest makes room.
 */
#ifndef IPCFS_FS_LAST_ERROR_H
#define IPCFS_FS_LAST_ERROR_H

#include "ipcfs/text.h"
#include "lock.h"

#include <stdint.h>
#include <sys/types.h>

enum { LAST_ERRORS_MAX = 64 };

struct last_errors {
    struct lock lock; /* guards what follows */
    uint64_t uses;
    struct last_error {
        uint64_t used; /* 0: never */
        uid_t uid;
        struct text line;
    } entries[LAST_ERRORS_MAX];
};

/* 0 or −errno. */
int last_errors_init(struct last_errors *errors);
void last_errors_destroy(struct last_errors *errors);

/* Remembers for `uid` that `reason` was the answer to what was written to `path`. Without memory it keeps what it has. */
void last_error_set(struct last_errors *errors, uid_t uid, const struct text *path,
                    const struct text *reason);
/* Appends the line of `uid`, with its newline; nothing where there is none. */
void last_error_text(struct last_errors *errors, uid_t uid, struct text *out);

#endif
