/* SPDX-License-Identifier: MIT */
#include "net_spaces.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/identity.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* A process ID, "/ns/net", and what snprintf(3) ends it with. */
enum { PATH_ROOM = 32 };

/* ---- which there are ---- */

/* Those met so far, by their inode numbers. */
struct seen {
    uint64_t *spaces; /* owned */
    size_t count;
    size_t room;
};

static void forget(struct seen *seen)
{
    free(seen->spaces);
}

/* 1 where it is a new one, 0 where it was seen before, or −ENOMEM. */
static int note(struct seen *seen, uint64_t space)
{
    for (size_t i = 0; i < seen->count; i++)
        if (seen->spaces[i] == space)
            return 0;
    if (seen->count == seen->room) {
        size_t room = seen->room ? 2 * seen->room : 16;
        uint64_t *spaces = realloc(seen->spaces, room * sizeof *spaces);
        if (!spaces)
            return -ENOMEM;
        seen->spaces = spaces;
        seen->room = room;
    }
    seen->spaces[seen->count++] = space;
    return 1;
}

/* The number in the link's text, "net:[4026531840]" (namespaces(7)): the link is not followed, which would cost more. */
static bool read_number(int proc, const char *path, uint64_t *out)
{
    char target[64];
    ssize_t length = readlinkat(proc, path, target, sizeof target - 1);
    if (length < 0)
        return false; /* it has ended, or is not the daemon's to look into */
    target[length] = '\0';
    unsigned long long number = 0;
    int end = 0;
    if (sscanf(target, "net:[%llu]%n", &number, &end) != 1 || end != length) // NOLINT(cert-err34-c): of /proc
        return false;
    *out = number;
    return true;
}

/* ---- entering one ---- */

struct entrance {
    int space;
    int (*open_one)(void);
    int result;
};

static void *enter(void *data)
{
    struct entrance *entrance = data;
    entrance->result = setns(entrance->space, CLONE_NEWNET) < 0 ? -errno : entrance->open_one();
    return NULL;
}

/* What `open_one` gives in that name space, or −errno. −ENOENT: the process has ended, or gone to another. */
static int open_in(int proc, const char *path, uint64_t number, int (*open_one)(void))
{
    struct stat stat;
    AUTO_FD space = openat(proc, path, O_RDONLY | O_CLOEXEC);
    if (space < 0)
        return errno == ESRCH ? -ENOENT : -errno;
    if (fstat(space, &stat) < 0 || stat.st_ino != number)
        return -ENOENT;
    struct entrance entrance = {.space = space, .open_one = open_one};
    pthread_t thread;
    int error = pthread_create(&thread, NULL, enter, &entrance);
    if (error)
        return -error;
    (void)pthread_join(thread, NULL);
    return entrance.result;
}

/* ---- the walk ---- */

struct walk {
    int proc; /* borrowed: /proc */
    struct seen seen;
    int (*open_one)(void);
    net_space_visit *visit;
    void *data;
    int first_error; /* of a name space that was passed over */
};

static int visit_process(struct walk *walk, const char *pid)
{
    char path[PATH_ROOM];
    uint64_t space = 0;
    if (snprintf(path, sizeof path, "%s/ns/net", pid) >= (int)sizeof path ||
        !read_number(walk->proc, path, &space))
        return 0;
    int new = note(&walk->seen, space);
    if (new <= 0)
        return new;
    AUTO_FD fd = open_in(walk->proc, path, space, walk->open_one);
    if (fd >= 0)
        return walk->visit(walk->data, fd);
    if (fd == -ENOENT)
        walk->seen.count--; /* others may be in it */
    else if (!walk->first_error)
        walk->first_error = fd;
    return 0;
}

static int visit_all(struct walk *walk, DIR *processes)
{
    struct dirent *entry = NULL;
    uint64_t own = 0;
    if (!read_number(walk->proc, "thread-self/ns/net", &own))
        return 0; /* the kernel has none */
    int result = note(&walk->seen, own);
    if (result < 0)
        return result;
    result = 0;
    while (!result && (entry = readdir(processes))) // NOLINT(concurrency-mt-unsafe): one user per DIR
        if (*entry->d_name >= '1' && *entry->d_name <= '9')
            result = visit_process(walk, entry->d_name);
    return result ? result : walk->first_error;
}

int net_spaces_walk(int (*open_one)(void), net_space_visit *visit, void *data)
{
    AUTO_IDENTITY as_daemon = {0};
    int error = identity_put_on(&as_daemon, NULL);
    if (error)
        return error;
    DIR *processes = opendir("/proc");
    if (!processes)
        return -errno;
    struct walk walk = {.proc = dirfd(processes), .open_one = open_one, .visit = visit, .data = data};
    error = visit_all(&walk, processes);
    forget(&walk.seen);
    closedir(processes);
    return error;
}
