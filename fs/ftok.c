/* SPDX-License-Identifier: MIT */
#include "ftok.h"

#include "ipcfs/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

enum {
    LINKS_MAX = 40, /* as the kernel follows (path_resolution(7)) */
    TRIES = 50,     /* of a walk that may not wait */
    TRY_PAUSE_MS = 1,
    STEP_FLAGS = O_PATH | O_NOFOLLOW | O_CLOEXEC,
};

#ifndef RESOLVE_CACHED
#define RESOLVE_CACHED 0x20 /* Linux 5.12 */
#endif

struct walk {
    dev_t own;
    bool may_wait;
    unsigned links;
    struct text *reason;
    struct statx found; /* of where it is */
    char rest[PATH_MAX];
};

static int fail(const struct walk *walk, const char *words)
{
    text_reset(walk->reason);
    text_string(walk->reason, words);
    return -EINVAL;
}

/* Looks at where the walk is, without asking the file system. */
static int look(struct walk *walk, int fd)
{
    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_TYPE | STATX_INO,
              &walk->found))
        return -errno;
    if (walk->own && makedev(walk->found.stx_dev_major, walk->found.stx_dev_minor) == walk->own)
        return fail(walk, "inside the mount");
    return 0;
}

static int open_cached(int directory, const char *name)
{
    const struct open_how how = {.flags = STEP_FLAGS, .resolve = RESOLVE_CACHED};
    long fd = syscall(SYS_openat2, directory, name, &how, sizeof how);
    if (fd >= 0)
        return (int)fd;
    return errno == ENOSYS || errno == EINVAL ? -EAGAIN : -errno; /* an older kernel */
}

static int step(const struct walk *walk, int directory, const char *name)
{
    if (!walk->may_wait)
        return open_cached(directory, name);
    int fd = openat(directory, name, STEP_FLAGS);
    return fd < 0 ? -errno : fd;
}

/* Puts the target of the link `fd` before the rest of the path. */
static int follow(struct walk *walk, int fd)
{
    struct statfs system;
    if (++walk->links > LINKS_MAX)
        return -ELOOP;
    if (!walk->may_wait)
        return -EAGAIN; /* what follows asks the link's file system, whatever is cached */
    if (fstatfs(fd, &system))
        return -errno;
    if (system.f_type == PROC_SUPER_MAGIC)
        return fail(walk, "a link in /proc leads elsewhere for everybody");
    char target[PATH_MAX];
    ssize_t length = readlinkat(fd, "", target, sizeof target);
    if (length < 0)
        return -errno;
    size_t rest = strlen(walk->rest);
    if (length == 0)
        return -ENOENT;
    if ((size_t)length + 1 + rest >= sizeof walk->rest)
        return -ENAMETOOLONG;
    memmove(walk->rest + length + (rest != 0), walk->rest, rest + 1);
    if (rest)
        walk->rest[length] = '/';
    memcpy(walk->rest, target, (size_t)length);
    return 0;
}

/* Cuts the next name off the rest. A slash at the end asks for a directory, as "." does. */
static int next_name(struct walk *walk, char name[NAME_MAX + 1])
{
    char *rest = walk->rest;
    size_t length = strcspn(rest, "/");
    size_t slashes = strspn(rest + length, "/");
    if (length > NAME_MAX)
        return -ENAMETOOLONG;
    memcpy(name, rest, length);
    name[length] = '\0';
    if (slashes && !rest[length + slashes]) {
        memcpy(rest, ".", sizeof ".");
        return 0;
    }
    memmove(rest, rest + length + slashes, strlen(rest + length + slashes) + 1);
    return 0;
}

/* Where the rest begins at the root: goes there. */
static int start_over(struct walk *walk, int *at)
{
    if (*walk->rest != '/')
        return 0;
    size_t slashes = strspn(walk->rest, "/");
    memmove(walk->rest, walk->rest + slashes, strlen(walk->rest + slashes) + 1);
    if (*at >= 0)
        close(*at);
    *at = open("/", STEP_FLAGS);
    return *at < 0 ? -errno : look(walk, *at);
}

/* One name further: into it, or to where it leads as a link. */
static int advance(struct walk *walk, int *at)
{
    char name[NAME_MAX + 1];
    int error = start_over(walk, at);
    if (error || !*walk->rest)
        return error;
    error = next_name(walk, name);
    if (error)
        return error;
    AUTO_FD next = step(walk, *at, name);
    if (next < 0)
        return next;
    error = look(walk, next);
    if (error)
        return error;
    if (S_ISLNK(walk->found.stx_mode))
        return follow(walk, next);
    close(*at);
    *at = TAKE_FD(next);
    return 0;
}

static int walk_path(struct walk *walk, const char *path)
{
    AUTO_FD at = -1;
    size_t length = strlen(path);
    if (length >= sizeof walk->rest)
        return -ENAMETOOLONG;
    memcpy(walk->rest, path, length + 1);
    int error = 0;
    while (!error && *walk->rest)
        error = advance(walk, &at);
    return error;
}

static void pause_a_moment(void)
{
    const struct timespec moment = {.tv_nsec = TRY_PAUSE_MS * 1000000L};
    (void)nanosleep(&moment, NULL);
}

/* Walks as the one that may wait, or else in the cache. */
static int walk_once(struct walk *walk, const char *path)
{
    static atomic_flag waiting = ATOMIC_FLAG_INIT;
    walk->may_wait = !atomic_flag_test_and_set(&waiting);
    walk->links = 0;
    int error = walk_path(walk, path);
    if (walk->may_wait)
        atomic_flag_clear(&waiting);
    return error;
}

int ftok_key(const char *path, unsigned char project, dev_t own, uint32_t *key, struct text *reason)
{
    struct walk walk = {.own = own, .reason = reason};
    if (*path != '/')
        return fail(&walk, "not an absolute path");
    int error = walk_once(&walk, path);
    for (int i = 1; error == -EAGAIN && !walk.may_wait && i < TRIES; i++) {
        pause_a_moment();
        error = walk_once(&walk, path);
    }
    if (!error)
        *key = (uint32_t)project << 24 | (walk.found.stx_dev_minor & 0xFF) << 16 |
               (uint32_t)(walk.found.stx_ino & 0xFFFF);
    return error;
}
