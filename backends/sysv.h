/* SPDX-License-Identifier: MIT */
/*
 * What the kinds of System V objects share: names and permission. What is done with an object: sysv_object.h.
 *
 * Such an object lives in no file system. It has an id, which is its index in the kernel's table together
 * with a sequence number, so that a later object in the same place has another id; and a key, unless that is
 * IPC_PRIVATE. Both are its names here: by-id/ID, decimal, and by-key/0xKEY. An object keeps its key for as
 * long as its id means it.
 *
 * Everybody may see that an object exists and what state it is in, as in /proc/sysvipc/.
 */
#ifndef IPCFS_BACKENDS_SYSV_H
#define IPCFS_BACKENDS_SYSV_H

#include "ipcfs/backend.h"

#include <sys/ipc.h>

/* Indices into a kind's `directories`. */
enum { SYSV_BY_ID, SYSV_BY_KEY };
/* "2147483647" and "0xffffffff", terminated. */
enum { SYSV_NAME_ROOM = sizeof "0xffffffff" };
/* What ipcperms() of the kernel is asked for: bits of one class of permission bits. */
enum { SYSV_READ = 4, SYSV_WRITE = 2 };

/* The id in the one way it is written. */
bool sysv_parse_id(const char *name, int *id);
/* "0x" and 1 to 8 hexadecimal digits. True for 0, IPC_PRIVATE, too, by which nothing is ever found. */
bool sysv_parse_key(const char *name, key_t *key);

/* Of the id alone: it carries the sequence number. Never zeros, which would stand for any object: 0 is an
 * id. */
struct ipcfs_objid sysv_object_id(int id);

/*
 * Whether the calling thread may do what `wanted` says, by the rule of the kernel (ipcperms() in Linux
 * ipc/util.c) and by its effective ids, groups and capabilities of this moment. 0, −EACCES, or −ENOMEM.
 */
int sysv_check_access(const struct ipc_perm *perm, unsigned wanted);
/*
 * Who opened a file, for a check later on, by another thread. sysv_opener_new() takes the calling thread's identity of
 * this moment: NULL without memory. NULL is harmless to sysv_opener_free().
 */
struct sysv_opener;
struct sysv_opener *sysv_opener_new(void);
void sysv_opener_free(struct sysv_opener *opener);
/* sysv_check_access() for him: 0 or −EACCES. */
int sysv_opener_check(const struct sysv_opener *opener, const struct ipc_perm *perm, unsigned wanted);
/*
 * Whether what has an id now, with the permissions `now`, may be used by a file that was opened when they were `then`: an
 * id is no hold, the kernel gives it to another object some time after its own is gone. 0; −EIDRM where it is another's;
 * and where owner or mode differ, what sysv_opener_check() says.
 */
int sysv_opener_check_same(const struct sysv_opener *opener, const struct ipc_perm *then,
                           const struct ipc_perm *now, unsigned wanted);
/* What open(2) with these flags wants. */
unsigned sysv_wanted(int flags);

/* The members of a struct statx that depend on id and permissions; the rest is zero. */
void sysv_stat(int id, const struct ipc_perm *perm, struct statx *out);

/* statfs(2) of a name space in which `limit` objects may exist and `used` do. It has no blocks. */
void sysv_stat_system(uint64_t limit, uint64_t used, struct statvfs *out);
/* A slot of the backend that is the same for all kinds. */
int sysv_stat_directory(unsigned directory, struct ipcfs_directory *out);

#endif
