/* SPDX-License-Identifier: MIT */
/*
 * The request handlers, one per FUSE operation, spread over fs/ops_*.c by what they are about. Each counts and times its
 * request and guards its reply by OP(), finds its target, takes on the caller's identity where the native call checks or
 * records one, and answers.
 */
#ifndef IPCFS_FS_OPS_H
#define IPCFS_FS_OPS_H

#include "creds.h"
#include "fuse_api.h"
#include "ipcfs.h"
#include "reply.h"
#include "target.h"

/* The table libfuse is given; userdata is a struct ipcfs. */
extern const struct fuse_lowlevel_ops ipcfs_operations;

/* First line of every handler. */
#define OP(name)                                                                                             \
    struct ipcfs *fs = fuse_req_userdata(req);                                                               \
    METRIC_TIMER timer = metrics_begin(&fs->metrics, METRIC_##name);                                         \
    REPLY_GUARD(reply, req);                                                                                 \
    reply.errors = &timer.requests->errors

struct caller caller_of(fuse_req_t req);
/* Puts on the identity of a request's caller. */
int act_as_caller(struct acting *acting, fuse_req_t req);

/* Answers a request about a node with an error, and remembers where ESTALE shows that names are being replaced. */
void reply_node_error(struct ipcfs *fs, struct reply *reply, int error);

/* The directory of objects that `parent` is; NULL for all other directories, whose names can not be changed. */
const struct tree_entry *naming_directory(const struct ipcfs *fs, fuse_ino_t parent);

/* Before the daemon makes, removes or changes what bears the name, for the request's caller: for ctl/events. */
void note_request(struct ipcfs *fs, fuse_req_t req, const struct tree_entry *directory, const char *name);

/* Sees to it that the node has a hold, so that what follows reaches the object whatever happens to its name. */
int hold_node(struct node_use *use);

/* Makes the node of a found object, counts a lookup by the kernel, and fills in the reply for it. */
int make_object_entry(struct ipcfs *fs, const struct ipcfs_backend *backend, unsigned directory,
                      const char *name, const struct ipcfs_found *found, struct fuse_entry_param *entry);

/* The same for a process that is there, or a link in its directory. */
int make_process_entry(struct ipcfs *fs, const struct node_kin *kin, const char *name,
                       const struct process_identity *identity, struct fuse_entry_param *entry);

/* Files (ops_file.c) */
/* Makes the handle a user of its object's backing id, where passthrough is on and the kind has a backing file. */
int attach_backing(struct ipcfs *fs, struct handle *handle);
/* Puts a ready handle into the table and describes it to the kernel. On error it is still the caller's. */
int publish(struct ipcfs *fs, struct handle *handle, struct fuse_file_info *info);
/* Ends a handle that is in no table. */
void discard(struct ipcfs *fs, struct handle *handle);
/* Takes a handle of any type back, which the kernel did not accept or has released. */
void withdraw(struct ipcfs *fs, uint64_t id);
void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info);
void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *info);
void op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
              struct fuse_file_info *info);
void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info);
void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
                  struct fuse_file_info *info);
void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence, struct fuse_file_info *info);
void op_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info, struct fuse_pollhandle *told);

/* New objects (ops_create.c) */

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *info);
void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device);
void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);

/* Files of messages (ops_message.c) */
bool is_message_file(const struct target *target);
/* Sees to it that the node of an object, or of a control file of one, has a hold. A control file of an object that has
 * gone has gone with it, also where another has its name now: all who wait for one object are to wait in one line. */
int hold_object_of(struct node_use *use);
/* Opens it into a new handle, in the table, described in `info`. Takes the target over. 0 or −errno. */
int open_messages(struct ipcfs *fs, fuse_req_t req, struct target *target, struct fuse_file_info *info);

/* Control files (ops_control.c) */
/* Opens the file that the verb of the handle's node has (`open`), as the caller, and sees to the hold before. −errno. */
int control_open_file(fuse_req_t req, struct handle *handle, int flags);
/* Makes a handle of one ready for an open with these flags. −errno. */
int control_open(fuse_req_t req, struct handle *handle, int flags);
/* Where the object is gone, the file has gone with it. */
int control_gone(int error);
/* Of a handle whose writes may wait: of a command (ops_command.c). */
bool control_is_command(const struct handle *handle);
/* Keeps the reason for last-error of that user. */
void control_note_refusal(struct ipcfs *fs, const struct handle *handle, uid_t uid,
                          const struct text *reason);
/* The count written, or −errno. Not for commands. */
ssize_t control_write(struct ipcfs *fs, fuse_req_t req, struct handle *handle, const char *data, size_t size);

/* Reading them (ops_control_read.c). Answers the request, now or later. */
void control_read(struct ipcfs *fs, fuse_req_t req, struct reply *reply, struct handle *handle, size_t size,
                  off_t offset);

/* Answers the request, now or later. `flags` are the descriptor's status flags of this moment. */
void command_write(struct ipcfs *fs, fuse_req_t req, struct handle *handle, const char *data, size_t size,
                   int flags, struct reply *reply);

/* Holds (ops_hold.c), and connections (ops_stream.c). Each takes the target over, and answers the request, now or later. */
bool is_hold(const struct target *target);
bool is_connection(const struct target *target);
void open_connection(struct ipcfs *fs, fuse_req_t req, struct target *target, int flags, struct reply *reply);
void open_hold(struct ipcfs *fs, fuse_req_t req, struct target *target, int flags, struct reply *reply);

/* Locks, and what close(2) means for them (ops_lock.c) */
void op_getlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info, struct flock *range);
void op_setlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info, struct flock *range, int sleep);
void op_flock(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info, int operation);
void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info);

/* Names (ops_name.c) */
void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count);
void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t to_parent, const char *to_name,
               unsigned flags);
void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name);

/* Attributes (ops_attr.c) */
void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info);
void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *info);
void op_readlink(fuse_req_t req, fuse_ino_t ino);
void op_statfs(fuse_req_t req, fuse_ino_t ino);
void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags);
void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);
#ifdef IPCFS_HAVE_STATX
void op_statx(fuse_req_t req, fuse_ino_t ino, int flags, int mask, struct fuse_file_info *info);
#endif

/* proc/ (ops_proc.c) */
int lookup_process(struct ipcfs *fs, fuse_req_t req, const char *name, struct fuse_entry_param *entry);
/* What the link proc/self says to this caller. */
int read_self(fuse_req_t req, char *out, size_t room);
/* Whether it is the directory of a process (NODE_PROCESS), or a link in one. */
bool is_process(const struct target *target, enum node_type type);
/* Whether what it lists is to be looked for before it is read from there. */
bool is_unread_process(struct handle *handle, off_t offset);
/* Each answers the request, now or later; the first two take the target over. */
void lookup_process_link(struct ipcfs *fs, struct target *directory, const char *name, struct reply *reply);
void read_process_link(struct ipcfs *fs, struct target *link, struct reply *reply);
void list_process_links(struct ipcfs *fs, struct handle *handle, size_t size, off_t offset,
                        struct reply *reply);

/* Directories (ops_dir.c) */
/* Answers a READDIR. */
void directory_read(struct ipcfs *fs, struct reply *reply, struct handle *handle, size_t size, off_t offset);
void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info);
void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *info);
void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info);

#endif
