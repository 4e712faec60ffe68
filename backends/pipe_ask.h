/* SPDX-License-Identifier: MIT */
/*
 * Asking pipes that other processes have open.
 *
 * A pipe is asked by a duplicate of somebody's descriptor (proc_fd_take()): to open it once more would make one more
 * reader or writer, and let those go on who wait in open(2). The duplicate lives for the question only, but that long the
 * pipe's end is open, whatever its process does: a reader or writer who ends just then seems to end a moment later.
 *
 * Whoever asks a pipe anything waits for its lock (pipe->mutex, Linux fs/pipe.c), and no signal ends that. A process that
 * reads or writes has the lock while its memory is copied, and where that memory is mapped from a file system that does not
 * answer, for ever. So pipes are asked in a thread that is given up when it gets no further (patience.h): it ends when the
 * lock is let go of, and until then nobody asks that pipe again.
 */
#ifndef IPCFS_BACKENDS_PIPE_ASK_H
#define IPCFS_BACKENDS_PIPE_ASK_H

#include "ipcfs/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct pipe_question;

/* What is done with the duplicate; 0 or −errno. */
typedef int pipe_act(int fd, struct pipe_question *question);
/* Its capacity and what waits in it. */
pipe_act pipe_look;
/* Sets the capacity to `capacity` and tells what it is then: fcntl(2) F_SETPIPE_SZ. */
pipe_act pipe_resize;
/* Copies what waits in it into `content`, and takes nothing (tee(2)). −EBADF of a descriptor not open for reading. */
pipe_act pipe_copy;

struct pipe_question {
    /* Which pipe, and who has it open. */
    dev_t device;
    ino_t ino;
    pid_t pid;
    int fd;
    pipe_act *act;

    /* The answer. −ESTALE: the descriptor is no longer of that pipe, −ESRCH, −EBADF: it is no more. −EAGAIN: the pipe does
     * not answer. −EPERM: the daemon may not duplicate descriptors here. */
    int error;
    bool acted;        /* the error is what `act` says */
    uint64_t capacity; /* bytes */
    uint64_t queued;   /* bytes */
    mode_t mode;
    uid_t uid;
    struct text content; /* owned by whoever has the question; on error there is none */
};

/*
 * Asks them one after another. The duplicates are taken as the daemon; `act` has the identity of the thread that calls
 * this. Takes no longer than half a second for each pipe that does not answer. 0, or −ENOMEM.
 */
int pipe_ask(struct pipe_question *questions, size_t count);

#endif
