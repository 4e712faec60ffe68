/* SPDX-License-Identifier: MIT */
#include "nopfs_message.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/uio.h>

enum { MESSAGE_MAX = 8192 };

const char no_data[NO_DATA_SIZE];

void open_stream(fuse_req_t req)
{
    struct fuse_open_out out = {.open_flags = FOPEN_DIRECT_IO | FOPEN_STREAM | FOPEN_PARALLEL_DIRECT_WRITES |
                                              FOPEN_NOFLUSH};
    struct iovec part = {.iov_base = &out, .iov_len = sizeof out};
    fuse_reply_iov(req, &part, 1);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

void stream_read(fuse_req_t req, size_t size, int flags)
{
    static atomic_bool end_due;
    bool end = false;
    if (!(flags & O_DIRECT)) {
        end = atomic_load(&end_due);
        atomic_store(&end_due, !end);
    }
    fuse_reply_buf(req, no_data, end ? 0 : smaller(size, sizeof no_data));
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    fuse_req_t reader; /* waits */
    size_t room;       /* of the reader */
    bool full;
    size_t size;
    char message[MESSAGE_MAX];
} pipes[PIPES];

void pipe_read(fuse_req_t req, unsigned number, size_t size)
{
    char message[MESSAGE_MAX];
    pthread_mutex_lock(&lock);
    bool full = pipes[number].full;
    size_t length = full ? smaller(pipes[number].size, size) : 0;
    memcpy(message, pipes[number].message, length);
    pipes[number].full = false;
    if (!full) {
        pipes[number].reader = req;
        pipes[number].room = size;
    }
    pthread_mutex_unlock(&lock);
    if (full)
        fuse_reply_buf(req, message, length);
}

void pipe_write(fuse_req_t req, unsigned number, const char *data, size_t size)
{
    size = smaller(size, MESSAGE_MAX);
    pthread_mutex_lock(&lock);
    fuse_req_t reader = pipes[number].reader;
    size_t room = pipes[number].room;
    bool full = pipes[number].full;
    pipes[number].reader = NULL;
    if (!reader && !full) {
        memcpy(pipes[number].message, data, size);
        pipes[number].size = size;
        pipes[number].full = true;
    }
    pthread_mutex_unlock(&lock);
    if (reader)
        fuse_reply_buf(reader, data, smaller(size, room));
    if (full)
        fuse_reply_err(req, EAGAIN);
    else
        fuse_reply_write(req, size);
}
