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

#include "ipcfs/text.h"
#include "poller.h"
#include "wait.h"

struct handle;
struct ipcfs;
struct reply;

enum message_style { MESSAGE_PLAIN, MESSAGE_LINES };

/* What is still to be read of a message. */
struct message_rest {
    char *data; /* owned */
    size_t start;
    size_t length; /* from `start` on */
};

struct messages {
    enum message_style style;

    struct wait_line *readers; /* counted; guards the group up to the next gap. NULL: not open for reading */
    struct wait_group reading;
    struct message_rest rest;
    bool end_due; /* the next read gives 0 */

    struct wait_line *writers; /* the same for writing */
    struct wait_group writing;
    struct text unfinished; /* MESSAGE_LINES: a line whose newline has not come */

    struct poller poller;
};

/* Gives the handle, which has its file, what it needs for messages. `flags` are those of the open. 0 or −ENOMEM. */
int messages_new(struct ipcfs *fs, struct handle *handle, enum message_style style, int flags);
/*
 * At RELEASE: ends what waits by the handle with −EBADF, and sends the line that was left unfinished. Where the queue is
 * full that goes on for a while after RELEASE, as data go on their way from a socket that was closed. FLUSH would be
 * too early (each process that has the descriptor sends one), and waits for the inode's lock in the kernel, where no
 * signal ends it.
 */
void messages_end(struct ipcfs *fs, struct handle *handle);
/* Of that, what concerns the lines sent (fs/message_write.c). */
void messages_end_writing(struct ipcfs *fs, struct handle *handle);
/* NULL is harmless. */
void messages_free(struct messages *messages);

/* Gives the other end a moment to go on, less than it takes to sleep and be woken. */
void messages_leave_alone(void);

/* Each answers the request, now or later. `flags` are the descriptor's status flags of this moment. */
void messages_read(struct ipcfs *fs, struct reply *reply, struct handle *handle, size_t size, int flags);
void messages_write(struct ipcfs *fs, struct reply *reply, struct handle *handle, const char *data,
                    size_t size, int flags);

#endif
