/* SPDX-License-Identifier: MIT */
/*
 * Slots of the backend table for what a kind has none of. Each answers what the native call answers on a file that
 * has no such thing; messages are read and written, but lie in no file system and have no positions.
 */
#ifndef IPCFS_BACKENDS_REFUSE_H
#define IPCFS_BACKENDS_REFUSE_H

#include "ipcfs/backend.h"

/* An empty table of control files. Objects that are files have it: no files in them, and no members. */
extern const struct ipcfs_verb refuse_files[];
int refuse_members(const struct ipcfs_ref *ref);

/* Lists that show the objects. */
extern const struct ipcfs_field refuse_fields[];
int refuse_survey(ipcfs_survey_row *row, void *data);

/* Of a kind whose objects nobody has open or mapped: false. Of one that tells nothing of the past: −EOPNOTSUPP. */
bool refuse_recognize(const struct ipcfs_thing *thing, uint64_t *number);
int refuse_traces(const struct ipcfs_ref *ref, void **kept, struct ipcfs_traces *out);

/* Of a kind that has no directory to watch, or nothing that changes without notice: −EOPNOTSUPP. */
int refuse_watched(void);
const char *refuse_watched_name(const char *file, bool *passing);
int refuse_look(ipcfs_seen_row *row, void *data);

/* Connections: −EOPNOTSUPP. */
int refuse_connect(struct ipcfs_file *file, struct ipcfs_wait *wait);
void refuse_shutdown(struct ipcfs_file *file, int how);

/* Names that are given once, at creation: −EPERM. */
int refuse_rename(unsigned directory, const char *name, unsigned to_directory, const char *to_name,
                  unsigned flags);
int refuse_link(const struct ipcfs_ref *ref, unsigned directory, const char *name);

/* Objects that are directories are not opened as files: −EISDIR. */
int refuse_open(const struct ipcfs_ref *ref, int flags, struct ipcfs_file **out);

/* Nodes are opened by the kernel alone: −ENXIO, as of a socket. */
int refuse_open_node(const struct ipcfs_ref *ref, int flags, struct ipcfs_file **out);

/* Files of a kind that opens none. −EBADF. */
void refuse_close(struct ipcfs_file *file);
ssize_t refuse_read(struct ipcfs_file *file, char *buffer, size_t size, off_t offset, int flags,
                    struct ipcfs_wait *wait);
ssize_t refuse_write(struct ipcfs_file *file, const char *data, size_t size, off_t offset, int flags,
                     struct ipcfs_wait *wait);
int refuse_poll(struct ipcfs_file *file, struct ipcfs_wait *wait);

/* Messages and waiting: a room of 0, and a lane for each direction. */
size_t refuse_message_room(struct ipcfs_file *file);
uint64_t refuse_lane(struct ipcfs_file *file, bool writing);

/* Objects that are no programs: −EACCES. */
int refuse_execute(const struct ipcfs_ref *ref);

/* Locks, of a kind without `range_locks`: −EOPNOTSUPP. */
int refuse_lock_owner(const struct ipcfs_ref *ref, struct ipcfs_file **out);
int refuse_try_lock(struct ipcfs_file *file, const struct ipcfs_lock *lock, struct ipcfs_wait *wait);
int refuse_get_lock(struct ipcfs_file *file, struct flock *range);

/* Room and positions: −EOPNOTSUPP and −ESPIPE. */
int refuse_allocate(struct ipcfs_file *file, int mode, off_t offset, off_t length);
off_t refuse_seek(struct ipcfs_file *file, off_t offset, int whence);

/* A descriptor for passthrough: −EOPNOTSUPP. */
int refuse_backing(const struct ipcfs_ref *ref);

#endif
