/* SPDX-License-Identifier: MIT */
/* Queues within reach: by name, by hold and as open files. */
#ifndef IPCFS_BACKENDS_MQ_QUEUE_H
#define IPCFS_BACKENDS_MQ_QUEUE_H

#include "ipcfs/backend.h"

#include <stdatomic.h>

struct ipcfs_hold {
    atomic_uint users; /* the hold itself, and the files that were opened by it */
    int fd;
    int access;          /* O_RDWR, O_RDONLY or O_WRONLY; O_PATH: none */
    size_t message_size; /* fixed for the life of a queue; 0: access is O_PATH */
};

struct ipcfs_file {
    struct ipcfs_hold *hold; /* counted */
    int fd;                  /* the hold's, where that will do */
    int access;
    size_t message_size;
    unsigned priority; /* of what is sent */
};

static inline bool mq_may_read(int access)
{
    return access == O_RDONLY || access == O_RDWR;
}

static inline bool mq_may_write(int access)
{
    return access == O_WRONLY || access == O_RDWR;
}

/* Access modes to try one after another. */
enum { MQ_MODES_END = -1 };
extern const int mq_for_all[];
extern const int mq_for_nothing[];

/*
 * A descriptor of the queue `name`, with the first of those access modes that the calling thread is
 * permitted. Each attempt stands for itself, if the name changes between them. −EISDIR: the name is not that
 * of a queue.
 */
int mq_open_first(const char *name, const int *modes, int *access, struct statx *stat);
/* As that, of the queue that `ref` means; −ESTALE where there is none. */
int mq_resolve(const struct ipcfs_ref *ref, const int *modes, int *access, struct statx *stat);
/* What a descriptor is of, with its size. The file system itself calls every queue 80 bytes long. */
int mq_look(int fd, int access, struct statx *stat);

/* A hold that owns the descriptor; on error `*fd` is as it was. */
int mq_make_hold(int *fd, int access, struct ipcfs_hold **out);
/*
 * A file of a hold. It keeps `*own_fd`, which the caller opened, only where the hold's does not do as well.
 */
int mq_make_file(struct ipcfs_hold *hold, int *own_fd, int access, struct ipcfs_file **out);

/* Of the table. */
const char *mq_watched_name(const char *file, bool *passing);
int mq_look_all(ipcfs_seen_row *row, void *data);
int mq_find(unsigned directory, const char *name, struct ipcfs_found *out, struct ipcfs_hold **hold);
int mq_hold(const struct ipcfs_ref *ref, struct ipcfs_hold **out);
void mq_release(struct ipcfs_hold *hold);
int mq_stat(const struct ipcfs_ref *ref, struct statx *out);
int mq_open_queue(const struct ipcfs_ref *ref, int flags, struct ipcfs_file **out);
void mq_close_file(struct ipcfs_file *file);

#endif
