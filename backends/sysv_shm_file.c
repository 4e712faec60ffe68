/* SPDX-License-Identifier: MIT */
#include "sysv_shm_file.h"

#include "sysv_shm.h"
#include "sysv_shm_attach.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>

struct ipcfs_hold {
    int id;                                       /* unless there is `pending` */
    struct ipc_perm perm;                         /* when it was held */
    struct sysv_shm_pending *pending;             /* shared, or NULL */
    _Atomic(struct sysv_shm_attachment *) backed; /* shared, from backing() to open() */
};

/* One of the two is not NULL. */
struct ipcfs_file {
    bool readable;
    bool writable;
    struct sysv_shm_attachment *attachment; /* shared */
    struct sysv_shm_pending *pending;       /* shared; has the attachment, once there is one */
};

/* ---- holds ---- */

int sysv_shm_hold_new(int id, const struct ipc_perm *perm, struct ipcfs_hold **out)
{
    struct ipcfs_hold *hold = calloc(1, sizeof *hold);
    if (!hold)
        return -ENOMEM;
    hold->id = id;
    hold->perm = *perm;
    atomic_init(&hold->backed, NULL);
    *out = hold;
    return 0;
}

/* The id, and what the segment is known by. −ESTALE: there is none yet. */
static int segment_of(const struct ipcfs_hold *hold, struct ipc_perm *perm)
{
    if (hold->pending)
        return sysv_shm_pending_segment(hold->pending, perm);
    *perm = hold->perm;
    return hold->id;
}

int sysv_shm_of_hold(const struct ipcfs_hold *hold, struct shmid_ds *out)
{
    struct ipc_perm perm;
    int id = segment_of(hold, &perm);
    if (id < 0)
        return id;
    int error = sysv_shm_state(id, out);
    if (!error && !sysv_shm_is_same(&perm, &out->shm_perm))
        error = -ESTALE;
    return error ? error : id;
}

struct sysv_shm_pending *sysv_shm_unmade(const struct ipcfs_hold *hold)
{
    struct ipc_perm perm;
    if (!hold->pending || sysv_shm_pending_segment(hold->pending, &perm) >= 0)
        return NULL;
    return hold->pending;
}

/* What backing() left. */
static void drop_backed(struct ipcfs_hold *hold)
{
    sysv_shm_detach(atomic_exchange(&hold->backed, NULL));
}

void sysv_shm_release(struct ipcfs_hold *hold)
{
    drop_backed(hold);
    sysv_shm_pending_release(hold->pending);
    free(hold);
}

int sysv_shm_backing(const struct ipcfs_ref *ref)
{
    struct ipc_perm perm;
    struct sysv_shm_attachment *attachment = NULL;
    int id = segment_of(ref->hold, &perm);
    if (id < 0)
        return sysv_shm_unmade(ref->hold) ? -EOPNOTSUPP : id;
    int error = sysv_shm_attach(id, &perm, 0, &attachment);
    if (error)
        return error == -EACCES ? -EOPNOTSUPP : error;
    int fd = sysv_shm_descriptor(attachment);
    struct sysv_shm_attachment *none = NULL;
    if ((fd < 0 && fd != -EOPNOTSUPP) ||
        !atomic_compare_exchange_strong(&ref->hold->backed, &none, attachment))
        sysv_shm_detach(attachment);
    return fd;
}

/* ---- files ---- */

static struct ipcfs_file *new_file(int flags)
{
    struct ipcfs_file *file = calloc(1, sizeof *file);
    if (!file)
        return NULL;
    int mode = flags & O_ACCMODE;
    file->readable = mode == O_RDONLY || mode == O_RDWR;
    file->writable = mode == O_WRONLY || mode == O_RDWR;
    return file;
}

int sysv_shm_file_new(int id, const struct ipc_perm *perm, int flags, struct ipcfs_file **out)
{
    struct ipcfs_file *file = new_file(flags);
    if (!file)
        return -ENOMEM;
    int error = sysv_shm_attach(id, perm, sysv_shm_wanted(flags), &file->attachment);
    if (error)
        free(file);
    else
        *out = file;
    return error;
}

int sysv_shm_file_later(int id, const struct ipc_perm *perm, int flags, struct ipcfs_file **out)
{
    AUTO_FREE struct ipcfs_file *file = new_file(flags);
    if (!file)
        return -ENOMEM;
    file->pending = sysv_shm_pending_of(id, perm);
    if (!file->pending)
        return -ENOMEM;
    *out = TAKE_PTR(file);
    return 0;
}

int sysv_shm_pending_open(struct sysv_shm_pending *pending, int flags, struct ipcfs_hold **hold,
                          struct ipcfs_file **file)
{
    static const struct ipc_perm unknown;
    struct ipcfs_file *new = new_file(flags);
    if (!new || sysv_shm_hold_new(-1, &unknown, hold)) {
        free(new);
        sysv_shm_pending_release(pending);
        return -ENOMEM;
    }
    (*hold)->pending = sysv_shm_pending_share(pending);
    new->pending = pending;
    *file = new;
    return 0;
}

bool sysv_shm_file_may_write(const struct ipcfs_file *file)
{
    return file->writable;
}

/* Whether it succeeds or not: what backing() got is no longer needed, or is shared by the file. */
int sysv_shm_open(const struct ipcfs_ref *ref, int flags, struct ipcfs_file **out)
{
    struct ipc_perm perm;
    int id = segment_of(ref->hold, &perm);
    int error = id < 0 ? id : sysv_shm_file_new(id, &perm, flags, out);
    drop_backed(ref->hold);
    return error;
}

void sysv_shm_close(struct ipcfs_file *file)
{
    sysv_shm_detach(file->attachment);
    if (file->pending)
        sysv_shm_pending_close(file->pending);
    sysv_shm_pending_release(file->pending);
    free(file);
}

/* ---- data ---- */

/* −ESTALE of an open file: its segment is gone, which can only be before it was attached. */
static int attachment_of(struct ipcfs_file *file, struct sysv_shm_attachment **out)
{
    *out = file->attachment;
    int error = *out ? 0 : sysv_shm_pending_attached(file->pending, out);
    return error == -ESTALE ? -EIDRM : error;
}

ssize_t sysv_shm_try_read(struct ipcfs_file *file, char *buffer, size_t size, off_t offset, int flags,
                          struct ipcfs_wait *wait)
{
    (void)flags;
    wait->source = IPCFS_WAIT_NONE;
    if (!file->readable)
        return -EBADF;
    struct sysv_shm_attachment *attachment = NULL;
    int error = attachment_of(file, &attachment);
    if (error || !attachment)
        return error;
    return sysv_shm_read(attachment, buffer, size, offset);
}

/* The first write to a file that has no segment yet makes one just as large. */
static ssize_t write_first(struct ipcfs_file *file, const char *data, size_t size, off_t offset, int flags)
{
    struct sysv_shm_attachment *attachment = NULL;
    if (flags & O_APPEND)
        offset = 0;
    if (offset < 0)
        return -EINVAL;
    if (size > (size_t)SSIZE_MAX - (size_t)offset)
        return -EFBIG;
    int result = sysv_shm_pending_make(file->pending, (size_t)offset + size, &attachment);
    if (result < 0)
        return result;
    if (result == 0 && flags & O_APPEND)
        return -EFBIG; /* somebody else was first */
    return sysv_shm_write(attachment, data, size, offset);
}

ssize_t sysv_shm_try_write(struct ipcfs_file *file, const char *data, size_t size, off_t offset, int flags,
                           struct ipcfs_wait *wait)
{
    wait->source = IPCFS_WAIT_NONE;
    if (!file->writable)
        return -EBADF;
    if (size == 0)
        return 0;
    struct sysv_shm_attachment *attachment = NULL;
    int error = attachment_of(file, &attachment);
    if (error)
        return error;
    if (!attachment)
        return write_first(file, data, size, offset, flags);
    if (flags & O_APPEND)
        return -EFBIG;
    return sysv_shm_write(attachment, data, size, offset);
}

off_t sysv_shm_seek(struct ipcfs_file *file, off_t offset, int whence)
{
    struct sysv_shm_attachment *attachment = NULL;
    int error = attachment_of(file, &attachment);
    if (error)
        return error;
    off_t size = attachment ? (off_t)sysv_shm_size(attachment) : 0;
    if (whence != SEEK_DATA && whence != SEEK_HOLE)
        return -EINVAL;
    if (offset < 0 || offset >= size)
        return -ENXIO;
    return whence == SEEK_DATA ? offset : size;
}

/* ---- what a segment has none of ---- */

int sysv_shm_poll(struct ipcfs_file *file, struct ipcfs_wait *wait)
{
    (void)file;
    wait->source = IPCFS_WAIT_NONE;
    return POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM; /* as every regular file */
}
