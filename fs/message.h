/* SPDX-License-Identifier: MIT */
/*
 * Files of messages: what a handle of a message queue adds to the backend's "one call, one message".
 *
 *   MESSAGE_PLAIN  one write sends one message. A read gives a message in as many pieces as it takes, and then 0, its end;
 *                  the next read is about the next message. With O_DIRECT every read gives one message, what does not fit
 *                  is dropped, and there are no ends (as a pipe in packet mode, pipe(7)).
 *   MESSAGE_LINES  ctl/<object>/lines: a write sends each of its lines, a read gives as many messages as fit, a line each.
 *
 * All who have the handle (fork(2), dup(2)) share its state: a message begun by one is continued by whoever reads next.
 * The state of reading is guarded by the line of the readers (fs/wait.h), that of writing by the line of the writers,
 * so that the order in which they are served is the order in which they find it.
 */
#ifndef IPCFS_FS_MESSAGE_H
#define IPCFS_FS_MESSAGE_H

#include "fuse_api.h"
#include "ipcfs/text.h"
#include "wait.h"

struct handle;
struct ipcfs;
struct reply;

enum message_style { MESSAGE_PLAIN, MESSAGE_LINES };

/* One direction of a handle. */
struct message_lane {
    struct wait_line *line; /* counted; NULL where the handle is not open for it */
    struct wait_group group;
};

struct messages {
    enum message_style style;
    struct message_lane reading;
    struct message_lane writing;

    /* The reading line's lock. */
    char *rest; /* what is left of a message begun: owned */
    size_t rest_start;
    size_t rest_length;
    bool end_due; /* the next read gives 0 */

    /* The writing line's lock. */
    struct text unfinished;    /* MESSAGE_LINES: a line whose newline has not come */
    uint64_t unfinished_owner; /* lock owner of who wrote it */

    struct wait_watch *watch; /* handle->lock; poll(2) */
    struct fuse_pollhandle *poll_handle;
};

/* Gives the handle, which has its file, what it needs for messages. `flags` are those of the open. −ENOMEM. */
int messages_new(struct ipcfs *fs, struct handle *handle, enum message_style style, int flags);
/* Ends what waits by the handle with −EBADF. What is left of an unfinished line is sent, if that takes no wait. */
void messages_end(struct handle *handle);
void messages_free(struct messages *messages);

/* Each answers the request, now or later. */
void messages_read(struct reply *reply, struct handle *handle, size_t size, int flags);
void messages_write(struct reply *reply, struct handle *handle, const char *data, size_t size,
                    uint64_t lock_owner, int flags);
/* close(2) by `lock_owner`: the line he did not finish is sent now. */
void messages_flush(struct reply *reply, struct handle *handle, uint64_t lock_owner);

#endif
