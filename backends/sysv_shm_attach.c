/* SPDX-License-Identifier: MIT */
#include "sysv_shm_attach.h"

#include "sysv_shm.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/lack.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/vfs.h>

/* A mapping costs address space, which a user can have for nothing (SHM_NORESERVE). So one of more than LARGE bytes is cut
 * down to a page as soon as there is a descriptor; without one, all that are large may have LARGE_MAX together, and those
 * of one user other than root half of that. */
static const uint64_t LARGE = UINT64_C(1) << 30;
static const uint64_t LARGE_MAX = UINT64_C(1) << 45;

/* Without memory the element's handle has a NULL `tbl`. An id begins with its index, which no other segment has. */
#define HASH_NONFATAL_OOM 1
#define HASH_FUNCTION(key, length, result) ((void)(length), (result) = (unsigned)*(const int *)(key))
#include <uthash.h>

struct sysv_shm_attachment {
    int id;
    unsigned users; /* table_lock */
    size_t size;
    /* The two below, and how much is mapped; held for reading while that is used. */
    pthread_rwlock_t mapping_lock;
    char *address;
    bool writable;
    atomic_int fd;      /* −1: none. Once there is one it stays */
    bool no_descriptor; /* of huge pages. table_lock */
    bool large;         /* and counted, as long as it is not cut. table_lock */
    uid_t uid;          /* who attached it first */
    UT_hash_handle by_id;
};

/* Nothing is taken under this one but a mapping_lock. */
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t large_mapped;             /* how much large ones have. table_lock */
static struct sysv_shm_attachment *table; /* by id: while attached, no other segment can have it */

/* ---- mappings ---- */

static int map_error(int id, int error)
{
    return error == EIDRM ? -ESTALE : sysv_shm_error(id, error, -ESTALE);
}

static int map_with(int id, int flags, char **out)
{
    void *address = shmat(id, NULL, flags);
    if (address == (void *)-1)
        return map_error(id, errno);
    *out = address;
    return 0;
}

/* For writing, too, where that is permitted or `must_write`. */
static int map(int id, bool must_write, char **address, bool *writable)
{
    int error = map_with(id, 0, address);
    *writable = !error;
    if (error == -EACCES && !must_write)
        error = map_with(id, SHM_RDONLY, address);
    return error;
}

static void unmap(const char *address)
{
    (void)shmdt(address);
}

/* Whether the segment is the one that was found, and the thread may have it. */
static int check_segment(int id, const struct ipc_perm *then, unsigned wanted, struct shmid_ds *state)
{
    int error = sysv_shm_state(id, state);
    if (error)
        return error;
    if (!sysv_shm_is_same(then, &state->shm_perm))
        return -ESTALE;
    return wanted ? sysv_check_access(&state->shm_perm, wanted) : 0;
}

static void uncount_large(struct sysv_shm_attachment *attachment)
{
    if (attachment->large)
        large_mapped -= attachment->size;
    attachment->large = false;
}

static uint64_t large_mapped_by(uid_t uid)
{
    uint64_t sum = 0;
    for (const struct sysv_shm_attachment *other = table; other; other = other->by_id.next)
        sum += other->large && other->uid == uid ? other->size : 0;
    return sum;
}

static int count_large(struct sysv_shm_attachment *attachment, size_t size)
{
    attachment->size = size;
    if (size <= LARGE)
        return 0;
    if (size > LARGE_MAX - large_mapped)
        return -ENOMEM;
    if (attachment->uid != 0 && size + large_mapped_by(attachment->uid) > LARGE_MAX / 2)
        return -ENOMEM;
    large_mapped += size;
    attachment->large = true;
    return 0;
}

/* A mapping of the segment that was found and no other; from here on the id means nothing else. */
static int map_segment(const struct ipc_perm *then, unsigned wanted, struct sysv_shm_attachment *attachment)
{
    struct shmid_ds state;
    int error = check_segment(attachment->id, then, wanted, &state);
    if (!error)
        error = count_large(attachment, state.shm_segsz);
    if (!error)
        error = map(attachment->id, wanted & SYSV_WRITE, &attachment->address, &attachment->writable);
    if (error)
        return error;
    error = check_segment(attachment->id, then, 0, &state);
    if (!error && state.shm_segsz != attachment->size)
        error = -ESTALE;
    if (!error && madvise(attachment->address, attachment->size, MADV_DONTFORK) < 0)
        error = -errno;
    if (error)
        unmap(attachment->address);
    return error;
}

/* ---- the descriptor ---- */

/* The kernel names a mapping by its first address and the one after its last page. */
static int open_map_file(const struct sysv_shm_attachment *attachment)
{
    char path[64];
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t start = (uintptr_t)attachment->address;
    uintptr_t end = (start + attachment->size + page - 1) & ~(page - 1);
    (void)snprintf(path, sizeof path, "/proc/self/map_files/%jx-%jx", (uintmax_t)start, (uintmax_t)end);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    return fd >= 0 ? fd : lack_or(-errno, -EOPNOTSUPP);
}

/* To wherever a page fits: where it was it would keep the next large mapping from going there. */
static void move_page(struct sysv_shm_attachment *attachment, size_t page)
{
    void *place = mmap(NULL, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (place == MAP_FAILED)
        return;
    if (mremap(attachment->address, page, page, MREMAP_MAYMOVE | MREMAP_FIXED, place) == MAP_FAILED)
        (void)munmap(place, page);
    else
        attachment->address = place;
}

/* One page keeps the segment attached, once there is a descriptor. What is cut off counts as an attachment of its own that
 * ends, so that it sets the time of the last detach. Under table_lock. */
static void cut_mapping(struct sysv_shm_attachment *attachment)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (!attachment->large)
        return;
    pthread_rwlock_wrlock(&attachment->mapping_lock); /* nobody is still copying by it */
    if (munmap(attachment->address + page, attachment->size - page) == 0) {
        uncount_large(attachment);
        move_page(attachment, page);
    }
    pthread_rwlock_unlock(&attachment->mapping_lock);
}

/* 0 where there is one now; −EOPNOTSUPP. Under table_lock, which keeps the mapping as it is. */
static int get_descriptor(struct sysv_shm_attachment *attachment)
{
    struct statfs system;
    if (atomic_load(&attachment->fd) >= 0)
        return 0;
    if (attachment->no_descriptor)
        return -EOPNOTSUPP;
    AUTO_FD fd = open_map_file(attachment);
    if (fd < 0)
        return fd;
    attachment->no_descriptor = fstatfs(fd, &system) < 0 || system.f_type != TMPFS_MAGIC;
    if (attachment->no_descriptor)
        return -EOPNOTSUPP;
    atomic_store(&attachment->fd, TAKE_FD(fd));
    cut_mapping(attachment);
    return 0;
}

int sysv_shm_descriptor(struct sysv_shm_attachment *attachment)
{
    pthread_mutex_lock(&table_lock);
    int error = get_descriptor(attachment);
    pthread_mutex_unlock(&table_lock);
    if (error)
        return error;
    int fd = fcntl(atomic_load(&attachment->fd), F_DUPFD_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

/* ---- the table ---- */

static void free_attachment(struct sysv_shm_attachment *attachment)
{
    (void)pthread_rwlock_destroy(&attachment->mapping_lock);
    free(attachment);
}

static struct sysv_shm_attachment *new_attachment(int id)
{
    struct sysv_shm_attachment *attachment = calloc(1, sizeof *attachment);
    if (!attachment)
        return NULL;
    attachment->id = id;
    attachment->uid = geteuid();
    atomic_init(&attachment->fd, -1);
    if (pthread_rwlock_init(&attachment->mapping_lock, NULL)) {
        free(attachment);
        return NULL;
    }
    HASH_ADD(by_id, table, id, sizeof attachment->id, attachment);
    if (attachment->by_id.tbl)
        return attachment;
    free_attachment(attachment);
    return NULL;
}

static int attach_first(int id, const struct ipc_perm *then, unsigned wanted,
                        struct sysv_shm_attachment **out)
{
    struct sysv_shm_attachment *attachment = new_attachment(id);
    if (!attachment)
        return -ENOMEM;
    int error = map_segment(then, wanted, attachment);
    if (error) {
        uncount_large(attachment);
        HASH_DELETE(by_id, table, attachment);
        free_attachment(attachment);
        return error;
    }
    (void)get_descriptor(attachment);
    *out = attachment;
    return 0;
}

/* The new mapping first, then the end of the old one: the segment is to live on where it is removed already. */
static int make_writable(struct sysv_shm_attachment *attachment)
{
    char *address = NULL;
    int error = map_with(attachment->id, 0, &address);
    if (!error && madvise(address, attachment->size, MADV_DONTFORK) < 0) {
        error = -errno;
        unmap(address);
    }
    if (error)
        return error;
    pthread_rwlock_wrlock(&attachment->mapping_lock);
    const char *unneeded = attachment->address;
    attachment->address = address;
    attachment->writable = true;
    pthread_rwlock_unlock(&attachment->mapping_lock);
    unmap(unneeded);
    return 0;
}

static int share(struct sysv_shm_attachment *attachment, const struct ipc_perm *then, unsigned wanted)
{
    struct shmid_ds state;
    int error = check_segment(attachment->id, then, wanted, &state);
    if (!error && wanted & SYSV_WRITE && !attachment->writable && atomic_load(&attachment->fd) < 0)
        error = make_writable(attachment);
    return error;
}

int sysv_shm_attach(int id, const struct ipc_perm *then, unsigned wanted, struct sysv_shm_attachment **out)
{
    struct sysv_shm_attachment *attachment = NULL;
    pthread_mutex_lock(&table_lock);
    HASH_FIND(by_id, table, &id, sizeof id, attachment);
    int error = attachment ? share(attachment, then, wanted) : attach_first(id, then, wanted, &attachment);
    if (!error) {
        attachment->users++;
        *out = attachment;
    }
    pthread_mutex_unlock(&table_lock);
    return error;
}

void sysv_shm_detach(struct sysv_shm_attachment *attachment)
{
    if (!attachment)
        return;
    pthread_mutex_lock(&table_lock);
    bool last = --attachment->users == 0;
    if (last) {
        HASH_DELETE(by_id, table, attachment);
        uncount_large(attachment);
    }
    pthread_mutex_unlock(&table_lock);
    if (!last)
        return;
    /* Not under the lock: it may be the end of the segment, and then takes as long as it is large. */
    unmap(attachment->address);
    int fd = atomic_load(&attachment->fd);
    if (fd >= 0)
        close(fd);
    free_attachment(attachment);
}

size_t sysv_shm_size(const struct sysv_shm_attachment *attachment)
{
    return attachment->size;
}

/* ---- data ---- */

/* Of the mapping, which is locked. The kernel copies, so that a page that cannot be had is an error and no signal. */
static ssize_t copy(const struct sysv_shm_attachment *attachment, bool writing, struct iovec *local,
                    size_t offset)
{
    struct iovec remote = {.iov_base = attachment->address + offset, .iov_len = local->iov_len};
    ssize_t count = writing ? process_vm_writev(getpid(), local, 1, &remote, 1, 0)
                            : process_vm_readv(getpid(), local, 1, &remote, 1, 0);
    if (count >= 0)
        return count;
    return errno == EFAULT ? -ENOMEM : -errno;
}

/* By the descriptor, where there is one; a mapping that is whole is needed only without. */
static ssize_t transfer(struct sysv_shm_attachment *attachment, bool writing, struct iovec *local,
                        size_t offset)
{
    int fd = atomic_load(&attachment->fd);
    if (fd < 0) {
        ssize_t copied = 0;
        pthread_rwlock_rdlock(&attachment->mapping_lock);
        fd = atomic_load(&attachment->fd);
        if (fd < 0)
            copied = copy(attachment, writing, local, offset);
        pthread_rwlock_unlock(&attachment->mapping_lock);
        if (fd < 0)
            return copied;
    }
    ssize_t count = writing ? pwrite(fd, local->iov_base, local->iov_len, (off_t)offset)
                            : pread(fd, local->iov_base, local->iov_len, (off_t)offset);
    return count < 0 ? -errno : count;
}

static size_t room_after(const struct sysv_shm_attachment *attachment, off_t offset)
{
    return (uintmax_t)offset < attachment->size ? attachment->size - (size_t)offset : 0;
}

ssize_t sysv_shm_read(struct sysv_shm_attachment *attachment, char *buffer, size_t size, off_t offset)
{
    if (offset < 0)
        return -EINVAL;
    size_t room = room_after(attachment, offset);
    struct iovec local = {.iov_base = buffer, .iov_len = size < room ? size : room};
    if (local.iov_len == 0)
        return 0;
    return transfer(attachment, false, &local, (size_t)offset);
}

ssize_t sysv_shm_write(struct sysv_shm_attachment *attachment, const char *data, size_t size, off_t offset)
{
    if (offset < 0)
        return -EINVAL;
    size_t room = room_after(attachment, offset);
    if (size > 0 && room == 0)
        return -EFBIG;
    struct iovec local = {.iov_base = (void *)(uintptr_t)data, .iov_len = size < room ? size : room};
    if (local.iov_len == 0)
        return 0;
    return transfer(attachment, true, &local, (size_t)offset);
}
