/* SPDX-License-Identifier: MIT */
/*
 * Exactly one reply per request, by construction.
 *
 * A request handler wraps its request in a guard as its first act: REPLY_GUARD(reply, req). Every reply_ function
 * answers the request and empties the guard. When the handler's scope ends with the guard still full, the request is
 * answered with EIO and the slip is logged; a second reply through an empty guard does nothing but log. No other file
 * calls fuse_reply_*().
 *
 * Each returns 0 when the kernel took the reply, otherwise −errno: −ENOENT means that the request was interrupted and
 * its caller is gone. What the reply would have handed out (a lookup, a handle) has then to be taken back by the
 * handler, because the kernel will not.
 */
#ifndef IPCFS_FS_REPLY_H
#define IPCFS_FS_REPLY_H

#include "fuse_api.h"

#include <stdatomic.h>
#include <stdint.h>

struct reply {
    fuse_req_t request;           /* NULL once answered */
    atomic_uint_fast64_t *errors; /* where an answer that is an error is counted, or NULL */
};

void reply_end(struct reply *reply);
#define REPLY_GUARD(name, req) __attribute__((cleanup(reply_end))) struct reply name = {.request = (req)}

/* Hands the request over: `to` owes the reply from here on. */
void reply_move(struct reply *from, struct reply *to);

/*
 * `error` as everywhere inside: 0 or −errno. ENOSYS, which a native call may say where system calls are filtered
 * (seccomp(2)), becomes EOPNOTSUPP: the kernel takes it as of the operation itself, and asks nobody for it again, for any
 * file, as long as the mount lives (Linux fs/fuse/file.c: after an OPEN so answered, no descriptor works).
 */
int reply_error(struct reply *reply, int error);
/* That it is not asked for again: ENOSYS. */
int reply_not_offered(struct reply *reply);
int reply_none(struct reply *reply);
int reply_entry(struct reply *reply, const struct fuse_entry_param *entry);
int reply_create(struct reply *reply, const struct fuse_entry_param *entry,
                 const struct fuse_file_info *info);
int reply_attr(struct reply *reply, const struct stat *attr, double timeout);
#ifdef IPCFS_HAVE_STATX
int reply_statx(struct reply *reply, struct statx *attr, double timeout);
#endif
int reply_open(struct reply *reply, const struct fuse_file_info *info);
/*
 * The same two for a handle that is read and written without a file position (FOPEN_STREAM): a read that waits does not
 * keep a write on the same descriptor waiting. Past the page cache; writes may run at once (FOPEN_DIRECT_IO,
 * FOPEN_PARALLEL_DIRECT_WRITES). Of `info` only fh and noflush count.
 */
int reply_open_stream(struct reply *reply, const struct fuse_file_info *info);
int reply_create_stream(struct reply *reply, const struct fuse_entry_param *entry,
                        const struct fuse_file_info *info);
int reply_readlink(struct reply *reply, const char *target);
int reply_buffer(struct reply *reply, const char *buffer, size_t size);
int reply_write(struct reply *reply, size_t count);
int reply_statfs(struct reply *reply, const struct statvfs *system);
int reply_lseek(struct reply *reply, off_t position);
int reply_poll(struct reply *reply, unsigned events);
int reply_lock(struct reply *reply, const struct flock *lock);

#endif
