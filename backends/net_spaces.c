/* SPDX-License-Identifier: MIT */
#include "net_spaces.h"

#include "proc_numbers.h"

#include "ipcfs/cleanup.h"
#include "ipcfs/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#ifndef PIDFD_GET_NET_NAMESPACE /* Linux 6.11, uapi/linux/pidfd.h */
#define PIDFD_GET_NET_NAMESPACE _IO(0xFF, 4)
#endif

static const char own_space[] = "/proc/thread-self/ns/net";

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

/* ---- entering one ---- */

struct entrance {
    int space; /* or a process that is in it, as setns(2) takes it */
    int (*open_one)(void);
    int result;
};

static void *enter(void *data)
{
    struct entrance *entrance = data;
    entrance->result = setns(entrance->space, CLONE_NEWNET) < 0 ? -errno : entrance->open_one();
    return NULL;
}

/* What `open_one` gives in that name space, or −errno. */
static int open_in(int space, int (*open_one)(void))
{
    struct entrance entrance = {.space = space, .open_one = open_one};
    pthread_t thread;
    int error = pthread_create(&thread, NULL, enter, &entrance);
    if (error)
        return -error;
    (void)pthread_join(thread, NULL);
    return entrance.result;
}

/* ---- that of a process ---- */

static int open_own(void)
{
    int space = open(own_space, O_RDONLY | O_CLOEXEC);
    return space < 0 ? -errno : space;
}

/*
 * A descriptor of it, or −errno: −ESRCH, −EACCES where it has ended, or is not the daemon's to look into. By the link
 * /proc/PID/ns/net one would wait for exec_update_lock, which a process can have for as long as it likes (inspect/process.h).
 * Both of these do without, and ask for the same right. The second is for Linux before 6.11, and cannot tell a process that is
 * not the daemon's to look into from a name space that is not its to enter: −EPERM.
 */
static int space_of(pid_t pid)
{
    AUTO_FD process = (int)syscall(SYS_pidfd_open, pid, 0);
    if (process < 0)
        return -errno;
    int space = ioctl(process, PIDFD_GET_NET_NAMESPACE, 0);
    if (space >= 0)
        return space;
    return errno == ENOTTY ? open_in(process, open_own) : -errno;
}

static int number_of(int space, uint64_t *out)
{
    struct stat stat;
    if (fstat(space, &stat) < 0)
        return -errno;
    *out = stat.st_ino;
    return 0;
}

/* ---- the walk ---- */

struct walk {
    struct seen seen;
    int (*open_one)(void);
    net_space_visit *visit;
    void *data;
    int first_error; /* of a name space that was passed over */
};

static void pass_over(struct walk *walk, int error)
{
    if (!walk->first_error)
        walk->first_error = error;
}

static int visit_process(struct walk *walk, pid_t pid)
{
    uint64_t number = 0;
    AUTO_FD space = space_of(pid);
    if (space < 0) {
        if (space != -ESRCH && space != -EACCES)
            pass_over(walk, space);
        return 0;
    }
    int new = number_of(space, &number);
    if (!new)
        new = note(&walk->seen, number);
    if (new <= 0)
        return new;
    AUTO_FD fd = open_in(space, walk->open_one);
    if (fd >= 0)
        return walk->visit(walk->data, fd);
    pass_over(walk, fd);
    return 0;
}

static int visit_all(struct walk *walk, int proc)
{
    struct stat own;
    struct proc_numbers pids;
    int more = 0;
    if (stat(own_space, &own) < 0)
        return 0; /* the kernel has none */
    int result = note(&walk->seen, own.st_ino);
    if (result < 0)
        return result;
    proc_numbers_begin(&pids, proc);
    result = 0;
    while (!result && (more = proc_numbers_next(&pids)) == 1)
        result = visit_process(walk, pids.number);
    if (!result)
        result = more;
    return result ? result : walk->first_error;
}

int net_spaces_walk(int (*open_one)(void), net_space_visit *visit, void *data)
{
    AUTO_IDENTITY as_daemon = {0};
    int error = identity_put_on(&as_daemon, NULL);
    if (error)
        return error;
    AUTO_FD proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (proc < 0)
        return -errno;
    struct walk walk = {.open_one = open_one, .visit = visit, .data = data};
    error = visit_all(&walk, proc);
    forget(&walk.seen);
    return error;
}
