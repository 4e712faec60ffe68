/* SPDX-License-Identifier: MIT */
#include "sysv_shm_attach.h"

#include "sysv_shm.h"

#include "ipcfs/cleanup.h"

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

/* Without memory the element's handle has a NULL `tbl`. An id begins with its index, which no other segment has. */
#define HASH_NONFATAL_OOM 1
#define HASH_FUNCTION(key, length, result) ((void)(length), (result) = (unsigned)*(const int *)(key))
#include <uthash.h>

/* All mappings together leave as much of the address space to everything else, however large a segment somebody makes
 * (SHM_NORESERVE takes no memory): half of the 2^47 bytes that a process has. Those of a user other than root leave most of
 * it to other users. */
static const size_t MAPPED_MAX = (size_t)(SIZE_MAX > UINT32_MAX ? UINT64_C(1) << 46 : UINT64_C(1) << 30);
enum { MAPPED_SHARES = 8 };
/* So large a one may stay mapped where that is not needed: there are no more than 2^15 segments. */
static const size_t WHOLE_MAX = (size_t)1 << 30;

struct sysv_shm_attachment {
    int id;
    unsigned users; /* table_lock */
    size_t size;
    pthread_rwlock_t mapping_lock; /* the three below; held for reading while the mapping is used */
    char *address;
    size_t mapped; /* of the size, from the start on */
    uid_t uid;     /* who attached it */
    bool writable;
    atomic_int fd;      /* −1: none. Once there is one it stays */
    bool no_descriptor; /* of huge pages. table_lock */
    UT_hash_handle by_id;
};

/* Nothing is taken under this one but a mapping_lock. */
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sysv_shm_attachment *table; /* by id: while attached, no other segment can have it */
static size_t mapped_total;               /* of all in the table. table_lock */

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

/* What is mapped for a user. */
static size_t mapped_for(uid_t uid)
{
    size_t sum = 0;
    for (const struct sysv_shm_attachment *other = table; other; other = other->by_id.next)
        sum += other->uid == uid ? other->mapped : 0;
    return sum;
}

/* With table_lock held, as all that maps. Who takes part in what another has attached uses no room of his own. */
static int take_room(const struct sysv_shm_attachment *attachment, size_t size)
{
    size_t share = attachment->uid == 0 ? MAPPED_MAX : MAPPED_MAX / MAPPED_SHARES;
    if (size > share || size > MAPPED_MAX - mapped_total)
        return -ENOMEM;
    if (size > share - (mapped_total < share ? mapped_total : share) &&
        size > share - mapped_for(attachment->uid))
        return -ENOMEM;
    mapped_total += size;
    return 0;
}

static int map_and_check(const struct ipc_perm *then, unsigned wanted, struct sysv_shm_attachment *attachment)
{
    struct shmid_ds state;
    int error = map(attachment->id, wanted & SYSV_WRITE, &attachment->address, &attachment->writable);
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

/* A mapping of the segment that was found and no other; from here on the id means nothing else. */
static int map_segment(const struct ipc_perm *then, unsigned wanted, struct sysv_shm_attachment *attachment)
{
    struct shmid_ds state;
    int error = check_segment(attachment->id, then, wanted, &state);
    if (!error)
        error = take_room(attachment, state.shm_segsz);
    if (error)
        return error;
    attachment->size = state.shm_segsz;
    attachment->mapped = state.shm_segsz;
    error = map_and_check(then, wanted, attachment);
    if (error)
        mapped_total -= attachment->mapped;
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
    if (fd >= 0)
        return fd;
    return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno : -EOPNOTSUPP;
}

/* Away from where the mapping began: left there, one after another, they would leave no room for a large one between. */
static void move_page(struct sysv_shm_attachment *attachment, size_t page)
{
    void *place = mmap(NULL, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (place == MAP_FAILED)
        return;
    if (mremap(attachment->address, page, page, MREMAP_MAYMOVE | MREMAP_FIXED, place) == place)
        attachment->address = place;
    else
        (void)munmap(place, page);
}

/* Once there is a descriptor, the mapping only counts as the attachment: one page does. Its first is what shmdt(2) finds it
 * by. The kernel takes the end of the rest for a detach and sets the time of that, so it is done only where it matters. */
static void unmap_the_rest(struct sysv_shm_attachment *attachment)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (attachment->mapped <= WHOLE_MAX)
        return;
    pthread_rwlock_wrlock(&attachment->mapping_lock); /* who was copying by it has done */
    if (munmap(attachment->address + page, attachment->mapped - page) == 0) {
        mapped_total -= attachment->mapped - page;
        attachment->mapped = page;
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
    unmap_the_rest(attachment);
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
    int error = take_room(attachment, attachment->size);
    if (error)
        return error;
    error = map_with(attachment->id, 0, &address);
    if (!error && madvise(address, attachment->size, MADV_DONTFORK) < 0) {
        error = -errno;
        unmap(address);
    }
    mapped_total -= attachment->size; /* of the old one, or of what has failed */
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
        mapped_total -= attachment->mapped;
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
