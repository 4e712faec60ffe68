/* SPDX-License-Identifier: MIT */
/* Who has sockets open, of those processes that the calling thread may look into and that answer (inspect/process.h). */
#ifndef IPCFS_BACKENDS_SOCK_HOLDERS_H
#define IPCFS_BACKENDS_SOCK_HOLDERS_H

#include "ipcfs/fields.h"

#include <stddef.h>
#include <sys/types.h>

struct sock_holder {
    ino_t inode;
    pid_t pid;
    int fd;
};

struct sock_holders {
    struct sock_holder *rows; /* owned; ordered by inode, then pid, then descriptor */
    size_t count;
    size_t room;
};

/* Of the socket of that inode; 0: of all sockets. 0 or −errno. */
int sock_holders_read(ino_t inode, struct sock_holders *out);
void sock_holders_free(struct sock_holders *holders);
#define AUTO_HOLDERS __attribute__((cleanup(sock_holders_free))) struct sock_holders

/* Those of one socket; `*count` of them, none where it is 0. */
const struct sock_holder *sock_holders_find(const struct sock_holders *holders, ino_t inode, size_t *count);

extern const struct ipcfs_field sock_holder_fields[];
/* A row for each. NULL without memory. */
struct ipcfs_table *sock_holders_table(const struct sock_holders *holders);

/* Their process ids, "12,34": those of at most SOCK_HOLDERS_WORD_MAX processes, and then ",..." where there are more. */
enum { SOCK_HOLDERS_WORD_MAX = 16, SOCK_HOLDERS_WORD_ROOM = 11 * SOCK_HOLDERS_WORD_MAX + 5 };
void sock_holders_word(const struct sock_holder *rows, size_t count, char out[SOCK_HOLDERS_WORD_ROOM]);

#endif
