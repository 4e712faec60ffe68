/* SPDX-License-Identifier: MIT */
/* Who has which pipe open, as /proc tells the calling thread (inspect/process.h). */
#ifndef IPCFS_BACKENDS_PIPE_ENDS_H
#define IPCFS_BACKENDS_PIPE_ENDS_H

#include "pipe_ask.h"

/* One descriptor. */
struct pipe_end {
    dev_t device; /* of the pipe: */
    ino_t ino;
    pid_t pid;
    int fd;
    bool reads, writes; /* at least one of them */
    char *path;         /* owned: where a FIFO lies, as the kernel tells it; NULL of an anonymous pipe */
};

/* Those of one pipe stand together, and there those of one process, in the order of the numbers. */
struct pipe_ends {
    struct pipe_end *rows; /* owned */
    size_t count;
    size_t room;
};
void pipe_ends_free(struct pipe_ends *ends);
#define AUTO_PIPE_ENDS __attribute__((cleanup(pipe_ends_free))) struct pipe_ends

/* Of all pipes; or of the FIFO of the mount that has that number, without a path. On error there are none. */
int pipe_ends_of_all(struct pipe_ends *out);
int pipe_ends_of(uint64_t number, struct pipe_ends *out);

/* Whether it is of a FIFO of the mount, and the number of its inode there (ipcfs/place.h). */
bool pipe_end_is_own(const struct pipe_end *end);
uint64_t pipe_end_number(const struct pipe_end *end);

/* The first process of those: what it has it open for, by all its descriptors, and how many these are. `count` is not 0. */
struct pipe_process {
    pid_t pid;
    bool reads, writes;
};
size_t pipe_ends_process(const struct pipe_end *ends, size_t count, struct pipe_process *out);
/* How many processes have it open for reading, and for writing. */
void pipe_ends_count(const struct pipe_end *ends, size_t count, size_t *readers, size_t *writers);
/* Which one to ask: one that reads, if there is one, because not all can be asked of the others. `count` is not 0. */
size_t pipe_ends_best(const struct pipe_end *ends, size_t count);
struct pipe_question pipe_end_question(const struct pipe_end *end, pipe_act *act);
/* "r", "w" or "rw". */
const char *pipe_access_word(bool reads, bool writes);

#endif
