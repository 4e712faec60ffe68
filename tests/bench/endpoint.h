/* SPDX-License-Identifier: MIT */
/*
 * Where messages go in and come out. As text:
 *
 *   mq:NAME[:MESSAGES[:BYTES]]   a POSIX queue, made if it is not there, for so many messages of at most so many bytes
 *   sysv:KEY[:BYTES]             a System V queue, made if it is not there, for so many bytes; messages have type 1
 *   PATH                 a file: a write is a message, a message ends where a read gives 0
 *   packet:PATH          a file opened with O_DIRECT: a read is a message
 *   null:PATH, null-packet:PATH   the same, but behind the file there is no queue
 *
 * A semaphore is an endpoint whose messages say nothing: to send is to post, to receive is to take one.
 *
 *   sem:NAME                  a POSIX semaphore, made with 0 if it is not there
 *   semset:KEY:NUMBER         one of a System V set, which is made with SET_SEMAPHORES of 0 if it is not there
 *   sem-dir:PATH              a directory with the files post and wait, the latter opened with O_DIRECT
 */
#ifndef BENCH_ENDPOINT_H
#define BENCH_ENDPOINT_H

#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>

#define MESSAGE_MAX ((size_t)1 << 20)
#define MESSAGE_USUAL 8192 /* as fs.mqueue.msgsize_default */
#define SET_SEMAPHORES 2

enum endpoint_type {
    ENDPOINT_FILE,
    ENDPOINT_MQ,
    ENDPOINT_SYSV,
    ENDPOINT_SEM,
    ENDPOINT_SEM_SET,
    ENDPOINT_SEM_DIR
};

struct endpoint {
    enum endpoint_type type;
    bool packet;
    bool null;
    bool made;          /* and to be removed again */
    char *name;         /* owned: of a file, a POSIX queue or a POSIX semaphore */
    long key;           /* of a System V queue or set */
    unsigned short num; /* of the semaphore in its set */
    unsigned long room; /* for messages, or for bytes; 0: as it comes */
    unsigned long most; /* bytes of a message */
    int id;             /* descriptor or System V id; −1: not open */
    int wait;           /* of a directory: the descriptor that takes; −1: not open */
    sem_t *sem;         /* of a POSIX semaphore; NULL: not open */
};

/* As msgsnd(2) wants it; the text is what all others use. */
struct envelope {
    long type;
    char text[MESSAGE_MAX];
};

/* All of these: 0 or a count, or −1 with errno. `flags` are of open(2), and mean nothing to semaphores and what is
   System V; of a directory they say whether it is to be posted to, taken from, or both. */
int endpoint_parse(struct endpoint *end, const char *text);
int endpoint_open(struct endpoint *end, int flags);
int endpoint_send(const struct endpoint *end, const struct envelope *envelope, size_t size);
int endpoint_receive(const struct endpoint *end, struct envelope *envelope, size_t size);
/* How many messages of that size the queue holds (of a semaphore: as many as one will want). Not for files. */
int endpoint_capacity(const struct endpoint *end, size_t size);
void endpoint_close(struct endpoint *end);
/* Closes it, and removes what it has made. */
void endpoint_free(struct endpoint *end);

#endif
