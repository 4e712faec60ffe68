/* SPDX-License-Identifier: MIT */
/* The files of nopfs that stand for queues. */
#ifndef BENCH_NOPFS_MESSAGE_H
#define BENCH_NOPFS_MESSAGE_H

#include "fuse_api.h"

enum { PIPES = 2 };

#define NO_DATA_SIZE ((size_t)1 << 20)

/* What is read where there is nothing. */
extern const char no_data[NO_DATA_SIZE];

/* Answers an open as ipcfs answers that of a queue: libfuse has no field for FOPEN_STREAM. */
void open_stream(fuse_req_t req);

/* Every read is a message of zeroes, and, without O_DIRECT, every second one the end of it. */
void stream_read(fuse_req_t req, size_t size, int flags);

/*
 * A pipe holds one message; who reads first waits. This is as little as there can be between two processes on a FUSE file
 * system: the thread that has the write gives the reader its answer. The wait cannot be interrupted.
 */
void pipe_read(fuse_req_t req, unsigned number, size_t size);
void pipe_write(fuse_req_t req, unsigned number, const char *data, size_t size);

#endif
