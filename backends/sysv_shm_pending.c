/* SPDX-License-Identifier: MIT */
#include "sysv_shm_pending.h"

#include "sysv_shm.h"
#include "sysv_shm_attach.h"
#include "sysv_shm_make.h"

#include "ipcfs/capability.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

/* How often to go round when a key keeps appearing and vanishing. */
enum { MAKE_ATTEMPTS = 64 };

/* Identities: sysv_object_id() has another birth, and no number so high. */
enum { PENDING_BIRTH = 2, PENDING_BIT = 40 };

struct sysv_shm_pending {
    atomic_uint users;
    uint64_t number;
    key_t key;
    bool exclusive;
    uid_t uid;
    gid_t gid;
    struct timespec made;
    pthread_mutex_t lock; /* of all below */
    mode_t mode;
    int id;                                 /* −1: no segment yet */
    struct ipc_perm perm;                   /* of the segment */
    struct sysv_shm_attachment *attachment; /* owned, while the file is open */
    bool closed;
};

static struct sysv_shm_pending *make_pending(const struct sysv_shm_pending *content)
{
    static atomic_uint_fast64_t last;
    struct sysv_shm_pending *pending = malloc(sizeof *pending);
    if (!pending)
        return NULL;
    *pending = *content;
    pending->number = atomic_fetch_add(&last, 1) & ((UINT64_C(1) << PENDING_BIT) - 1);
    atomic_init(&pending->users, 1);
    (void)clock_gettime(CLOCK_REALTIME_COARSE, &pending->made);
    if (pthread_mutex_init(&pending->lock, NULL)) {
        free(pending);
        return NULL;
    }
    return pending;
}

struct sysv_shm_pending *sysv_shm_pending_new(key_t key, int flags, mode_t mode)
{
    const struct sysv_shm_pending content = {.key = key,
                                             .exclusive = flags & O_EXCL,
                                             .uid = geteuid(),
                                             .gid = getegid(),
                                             .mode = mode & 0777,
                                             .id = -1};
    return make_pending(&content);
}

struct sysv_shm_pending *sysv_shm_pending_of(int id, const struct ipc_perm *perm)
{
    const struct sysv_shm_pending content = {.key = perm->__key, .id = id, .perm = *perm};
    return make_pending(&content);
}

struct sysv_shm_pending *sysv_shm_pending_share(struct sysv_shm_pending *pending)
{
    atomic_fetch_add(&pending->users, 1);
    return pending;
}

void sysv_shm_pending_release(struct sysv_shm_pending *pending)
{
    if (!pending || atomic_fetch_sub(&pending->users, 1) > 1)
        return;
    (void)pthread_mutex_destroy(&pending->lock);
    free(pending);
}

bool sysv_shm_is_pending_id(struct ipcfs_objid id)
{
    return id.birth == PENDING_BIRTH;
}

struct ipcfs_objid sysv_shm_pending_id(const struct sysv_shm_pending *pending)
{
    return (struct ipcfs_objid){.number = UINT64_C(1) << PENDING_BIT | pending->number,
                                .birth = PENDING_BIRTH};
}

int sysv_shm_pending_segment(struct sysv_shm_pending *pending, struct ipc_perm *perm)
{
    pthread_mutex_lock(&pending->lock);
    int id = pending->id;
    *perm = pending->perm;
    pthread_mutex_unlock(&pending->lock);
    return id < 0 ? -ESTALE : id;
}

void sysv_shm_pending_stat(struct sysv_shm_pending *pending, struct statx *out)
{
    struct ipc_perm perm = {.__key = IPC_PRIVATE, .uid = pending->uid, .gid = pending->gid};
    pthread_mutex_lock(&pending->lock);
    perm.mode = (unsigned short)pending->mode;
    pthread_mutex_unlock(&pending->lock);
    sysv_stat(0, &perm, out);
    const struct statx_timestamp made = {.tv_sec = pending->made.tv_sec};
    out->stx_ino = sysv_shm_pending_id(pending).number;
    out->stx_atime = made;
    out->stx_mtime = made;
    out->stx_ctime = made;
}

/* ---- making the segment ---- */

/* The segment that others made of the key. `exact`: it is to have that size. −ENOENT: it has vanished. */
static int take_existing(struct sysv_shm_pending *pending, size_t size, bool exact)
{
    struct shmid_ds state;
    int id = sysv_shm_of_key(pending->key);
    if (id < 0)
        return id;
    int error = sysv_shm_state(id, &state);
    if (!error)
        error = sysv_check_access(&state.shm_perm, SYSV_READ | SYSV_WRITE);
    if (!error && exact && state.shm_segsz != size)
        error = -EINVAL;
    if (!error)
        error = sysv_shm_attach(id, &state.shm_perm, SYSV_READ | SYSV_WRITE, &pending->attachment);
    if (error)
        return error == -ESTALE ? -ENOENT : error;
    pending->perm = state.shm_perm;
    pending->id = id;
    return 0;
}

/* 1, or −errno. */
static int make_new(struct sysv_shm_pending *pending, size_t size)
{
    const struct sysv_shm_order order = {.key = pending->key, .size = size, .mode = pending->mode};
    int id = sysv_shm_make_attached(&order, &pending->perm, &pending->attachment);
    if (id < 0)
        return id;
    pending->id = id;
    return 1;
}

/* Under the lock. 1: made; 0: there was one. */
static int make_segment(struct sysv_shm_pending *pending, size_t size, bool exact)
{
    if (pending->closed)
        return -ESTALE;
    int result = -ENOENT;
    for (int attempt = 0; result == -ENOENT && attempt < MAKE_ATTEMPTS; attempt++) {
        result = make_new(pending, size);
        if (result == -EEXIST && !pending->exclusive)
            result = take_existing(pending, size, exact);
    }
    return result == -ENOENT ? -ESTALE : result;
}

/* Under the lock. A segment that create() made is attached here. */
static int attach_made(struct sysv_shm_pending *pending)
{
    if (pending->id < 0 || pending->attachment)
        return 0;
    if (pending->closed)
        return -ESTALE;
    return sysv_shm_attach(pending->id, &pending->perm, SYSV_READ | SYSV_WRITE, &pending->attachment);
}

int sysv_shm_pending_attached(struct sysv_shm_pending *pending, struct sysv_shm_attachment **out)
{
    pthread_mutex_lock(&pending->lock);
    int error = attach_made(pending);
    *out = pending->attachment;
    pthread_mutex_unlock(&pending->lock);
    return error;
}

int sysv_shm_pending_make(struct sysv_shm_pending *pending, size_t size, struct sysv_shm_attachment **out)
{
    pthread_mutex_lock(&pending->lock);
    int result = attach_made(pending);
    if (!result && pending->id < 0)
        result = make_segment(pending, size, false);
    *out = pending->attachment;
    pthread_mutex_unlock(&pending->lock);
    return result;
}

void sysv_shm_pending_close(struct sysv_shm_pending *pending)
{
    pthread_mutex_lock(&pending->lock);
    struct sysv_shm_attachment *attachment = pending->attachment;
    pending->attachment = NULL;
    pending->closed = true;
    pthread_mutex_unlock(&pending->lock);
    sysv_shm_detach(attachment);
}

/* ---- attributes ---- */

/* As IPC_SET would decide of the segment that there would be. */
static int change_attributes(struct sysv_shm_pending *pending, const struct ipcfs_change *change)
{
    bool owner = geteuid() == pending->uid || has_capability(CAP_SYS_ADMIN);
    if (!owner || (change->mask & IPCFS_CHANGE_UID && change->uid != pending->uid) ||
        (change->mask & IPCFS_CHANGE_GID && change->gid != pending->gid))
        return -EPERM;
    if (change->mask & IPCFS_CHANGE_MODE)
        pending->mode = change->mode & 0777;
    return 0;
}

/* Under the lock, while there is no segment. */
static int change_pending(struct sysv_shm_pending *pending, const struct ipcfs_change *change)
{
    if (!(change->mask & IPCFS_CHANGE_SIZE) || change->size == 0)
        return change->mask & ~(unsigned)IPCFS_CHANGE_SIZE ? change_attributes(pending, change) : 0;
    if (change->size < 0)
        return -EINVAL;
    int result = make_segment(pending, (size_t)change->size, true);
    return result < 0 ? result : 1;
}

int sysv_shm_pending_change(struct sysv_shm_pending *pending, const struct ipcfs_change *change)
{
    pthread_mutex_lock(&pending->lock);
    int result = pending->id >= 0 ? 1 : change_pending(pending, change);
    pthread_mutex_unlock(&pending->lock);
    return result;
}
