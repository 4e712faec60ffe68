/* SPDX-License-Identifier: MIT */
#include "mq_directory.h"

#include "fd_directory.h"
#include "fd_path.h"
#include "ipcfs/cleanup.h"

#include <errno.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#define MQ_MOUNT_POINT "/dev/mqueue"
enum { MQUEUE_MAGIC = 0x19800202 }; /* Linux ipc/mqueue.c; in no header */

static int directory_fd = -1;
static dev_t device;

/* ---- start and stop ---- */

/* By system calls: the C library has wrappers for them only since glibc 2.36. */
static int mount_nowhere(void)
{
    AUTO_FD context = (int)syscall(SYS_fsopen, "mqueue", FSOPEN_CLOEXEC);
    if (context < 0)
        return -errno;
    if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return -errno;
    unsigned attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    int fd = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes);
    return fd < 0 ? -errno : fd;
}

/* `error` where there is no such mount. */
static int open_mount_point(int error)
{
    AUTO_FD fd = open(MQ_MOUNT_POINT, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    struct statfs system;
    if (fd < 0 || fstatfs(fd, &system) < 0 || system.f_type != MQUEUE_MAGIC)
        return error;
    return TAKE_FD(fd);
}

int mq_directory_start(void)
{
    AUTO_FD fd = mount_nowhere();
    if (fd == -EPERM || fd == -ENOSYS)
        fd = open_mount_point(fd);
    if (fd < 0)
        return fd;
    struct stat stat;
    if (fstat(fd, &stat) < 0)
        return -errno;
    device = stat.st_dev;
    directory_fd = TAKE_FD(fd);
    return 0;
}

void mq_directory_stop(void)
{
    ipcfs_cleanup_fd(&directory_fd);
    directory_fd = -1;
}

int mq_directory_watched(void)
{
    return directory_fd;
}

/* ---- names and descriptors ---- */

int mq_name_open(const char *name, int flags)
{
    int fd = openat(directory_fd, name, flags | MQ_OPEN_FLAGS);
    return fd < 0 ? -errno : fd;
}

static int stat_at(int fd, const char *name, int flags, struct statx *out)
{
    if (statx(fd, name, flags | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC,
              STATX_BASIC_STATS | STATX_BTIME, out) < 0)
        return -errno;
    return 0;
}

int mq_name_stat(const char *name, struct statx *out)
{
    return stat_at(directory_fd, name, 0, out);
}

int mq_fd_stat(int fd, struct statx *out)
{
    return stat_at(fd, "", AT_EMPTY_PATH, out);
}

int mq_fd_open(int fd, int access)
{
    /* The path is a link that has to be followed. */
    int opened = open(fd_path(fd).text, access | (MQ_OPEN_FLAGS & ~O_NOFOLLOW));
    return opened < 0 ? -errno : opened;
}

int mq_name_remove(const char *name)
{
    return unlinkat(directory_fd, name, 0) < 0 ? -errno : 0;
}

void mq_name_remove_if(const char *name, uint64_t number)
{
    struct statx stat;
    if (mq_name_stat(name, &stat) == 0 && mq_is_queue(&stat) && stat.stx_ino == number)
        (void)mq_name_remove(name);
}

bool mq_is_queue(const struct statx *stat)
{
    return S_ISREG(stat->stx_mode) && makedev(stat->stx_dev_major, stat->stx_dev_minor) == device;
}

/* The file system gives inode numbers of 32 bits one after another, and no birth times. */
struct ipcfs_objid mq_id(const struct statx *stat)
{
    return (struct ipcfs_objid){.number = stat->stx_ino & ((1ULL << 48) - 1)};
}

bool mq_recognize(const struct ipcfs_thing *thing, uint64_t *number)
{
    *number = thing->ino & ((1ULL << 48) - 1);
    return directory_fd >= 0 && thing->device == device;
}

int mq_check_search(void)
{
    return fd_directory_check_search(directory_fd);
}

/* ---- the directory itself ---- */

int mq_stat_directory(unsigned directory, struct ipcfs_directory *out)
{
    (void)directory;
    struct stat stat;
    if (fstat(directory_fd, &stat) < 0)
        return -errno;
    *out = (struct ipcfs_directory){
        .uid = stat.st_uid,
        .gid = stat.st_gid,
        .sticky = stat.st_mode & S_ISVTX,
        .open_to_all = (stat.st_mode & 0111) == 0111, /* there are no access control lists here */
    };
    return 0;
}

int mq_stat_system(struct statvfs *out)
{
    return fd_directory_stat_system(directory_fd, out);
}

/* ---- walks ---- */

/*
 * A position in this file system's own listing is a count of entries: it means something else as soon as one
 * before it is gone. A walk is therefore through a copy of the listing, made at its start, in the order of
 * the inode numbers, and a position is the number of the last queue seen.
 */
struct listed {
    uint64_t number;
    char *name; /* owned */
};

struct ipcfs_lister {
    struct listed *queues; /* owned */
    size_t count;
    size_t room;
    size_t next;
    bool used; /* since it was read */
};

static int append(struct ipcfs_lister *lister, const struct dirent *entry)
{
    if (lister->count == lister->room) {
        size_t room = lister->room ? 2 * lister->room : 16;
        struct listed *larger = realloc(lister->queues, room * sizeof *larger);
        if (!larger)
            return -ENOMEM;
        lister->queues = larger;
        lister->room = room;
    }
    char *name = strdup(entry->d_name);
    if (!name)
        return -ENOMEM;
    lister->queues[lister->count++] = (struct listed){.number = entry->d_ino, .name = name};
    return 0;
}

static int read_entries(DIR *directory, struct ipcfs_lister *lister)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(directory); // NOLINT(concurrency-mt-unsafe): one user per DIR
        if (!entry)
            return -errno;
        int error = entry->d_type == DT_REG ? append(lister, entry) : 0;
        if (error)
            return error;
    }
}

static int read_directory(struct ipcfs_lister *lister)
{
    DIR *directory = NULL;
    int error = fd_directory_open(directory_fd, &directory);
    if (error)
        return error;
    error = read_entries(directory, lister);
    closedir(directory);
    return error;
}

static int by_number(const void *a, const void *b)
{
    uint64_t first = ((const struct listed *)a)->number;
    uint64_t second = ((const struct listed *)b)->number;
    return (first > second) - (first < second);
}

static void forget_entries(struct ipcfs_lister *lister)
{
    for (size_t i = 0; i < lister->count; i++)
        free(lister->queues[i].name);
    free(lister->queues);
    *lister = (struct ipcfs_lister){0};
}

static int read_again(struct ipcfs_lister *lister)
{
    forget_entries(lister);
    int error = read_directory(lister);
    if (lister->count)
        qsort(lister->queues, lister->count, sizeof *lister->queues, by_number);
    return error;
}

int mq_list_open(unsigned directory, struct ipcfs_lister **out)
{
    (void)directory;
    struct ipcfs_lister *lister = calloc(1, sizeof *lister);
    if (!lister)
        return -ENOMEM;
    int error = read_again(lister);
    if (error)
        mq_list_close(lister);
    else
        *out = lister;
    return error;
}

int mq_list_seek(struct ipcfs_lister *lister, uint64_t position)
{
    if (position == 0 && lister->used)
        return read_again(lister); /* rewinddir(3) shows what is there now */
    size_t low = 0;
    size_t high = lister->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (lister->queues[middle].number <= position)
            low = middle + 1;
        else
            high = middle;
    }
    lister->next = low;
    return 0;
}

int mq_list_next(struct ipcfs_lister *lister, struct ipcfs_entry *out)
{
    lister->used = true;
    if (lister->next == lister->count)
        return 0;
    const struct listed *queue = &lister->queues[lister->next++];
    *out = (struct ipcfs_entry){
        .name = queue->name, .number = queue->number, .next = queue->number, .type = S_IFREG};
    return 1;
}

void mq_list_close(struct ipcfs_lister *lister)
{
    forget_entries(lister);
    free(lister);
}
