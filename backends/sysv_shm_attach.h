/* SPDX-License-Identifier: MIT */
/*
 * Attachments of System V shared memory segments.
 *
 * The daemon has at most one attachment of a segment, which all its open files share. So nattch is one higher while the
 * segment is open here, whoever has how many files; IPC_RMID then only marks it (SHM_DEST), and its id stays its own,
 * until the last close.
 *
 * The descriptor of a segment's memory, /proc/self/map_files/START-END, is opened with the daemon's capability
 * (CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE in the initial user name space; proc_map_files_get_link(), Linux
 * fs/proc/base.c). A thread that acts as a caller has not got that, unless the caller is root. So:
 *   - backing() is called as the daemon. It makes the attachment where there is none yet and opens the descriptor. The
 *     hold keeps both until the next open(), or for as long as it lives.
 *   - open() attaches as the caller, so that the native check is made, or shares the attachment that is there, after the
 *     same check. It tries for the descriptor as well, and does without it where it is refused.
 *   - A descriptor that is there, whoever opened it, serves all files of the segment from then on. Without it the data
 *     is copied by process_vm_readv(2) and process_vm_writev(2) from and to the attachment.
 * The two ways differ in one thing: to read a page nobody has written to yet takes memory by an attachment, as it does
 * natively, and none by a descriptor.
 *
 * A write(2) past the end of the descriptor would make the memory larger than the segment (shmem has no other bound, and
 * refuses seals on it), so every write is checked against the size before.
 *
 * An attachment made by one who may only read is replaced when one comes who may write; both exist for that moment. None
 * is inherited by a child process (MADV_DONTFORK): it would count as attached, too.
 */
#ifndef IPCFS_BACKENDS_SYSV_SHM_ATTACH_H
#define IPCFS_BACKENDS_SYSV_SHM_ATTACH_H

#include <stddef.h>
#include <sys/ipc.h>
#include <sys/types.h>

struct sysv_shm_attachment;

/*
 * Takes part in the attachment of segment `id`, which had these permissions when it was found, as the calling thread.
 * `wanted`: bits of SYSV_READ and SYSV_WRITE; 0 checks nothing but what shmat(2) does, which is asked for all it gives.
 * −ESTALE where the segment is gone or is another, −EACCES, −ENOMEM.
 */
int sysv_shm_attach(int id, const struct ipc_perm *then, unsigned wanted, struct sysv_shm_attachment **out);
/* As any thread. The last one ends it. NULL is harmless. */
void sysv_shm_detach(struct sysv_shm_attachment *attachment);

/* Of the segment. */
size_t sysv_shm_size(const struct sysv_shm_attachment *attachment);

/*
 * A new descriptor of the segment's memory, for reading and writing. −EOPNOTSUPP where there is none to be had: for want
 * of privilege or of /proc, or because the memory is of huge pages, whose files have no write(2).
 */
int sysv_shm_descriptor(struct sysv_shm_attachment *attachment);

/*
 * As pread(2) and pwrite(2); a write past the end is −EFBIG, one that begins before it ends there. −ENOMEM where a native
 * access would be SIGBUS: no page was to be had, a huge one in particular.
 */
ssize_t sysv_shm_read(struct sysv_shm_attachment *attachment, char *buffer, size_t size, off_t offset);
ssize_t sysv_shm_write(struct sysv_shm_attachment *attachment, const char *data, size_t size, off_t offset);

#endif
