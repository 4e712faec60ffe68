/* SPDX-License-Identifier: MIT */
#include "pipe_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <unistd.h>

struct found {
    unsigned long number;
    pid_t pid;
    int fd;
};

static struct {
    struct found *rows;
    size_t count;
    size_t room;
} all;

static int remember(unsigned long number, pid_t pid, int fd)
{
    if (all.count == all.room) {
        size_t room = all.room ? 2 * all.room : 256;
        struct found *rows = reallocarray(all.rows, room, sizeof *rows);
        if (!rows)
            return -1;
        all.rows = rows;
        all.room = room;
    }
    all.rows[all.count++] = (struct found){.number = number, .pid = pid, .fd = fd};
    return 0;
}

static int look_at_link(int directory, const char *name, pid_t pid)
{
    static const char pipe_prefix[] = "pipe:[";
    char target[64];
    ssize_t length = readlinkat(directory, name, target, sizeof target - 1);
    if (length == -1)
        return 0; /* closed by now */
    target[length] = '\0';
    if (strncmp(target, pipe_prefix, sizeof pipe_prefix - 1) != 0)
        return 0;
    return remember(strtoul(target + sizeof pipe_prefix - 1, NULL, 10), pid, (int)strtol(name, NULL, 10));
}

static bool is_number(const char *name)
{
    return *name >= '0' && *name <= '9';
}

static int look_at_process(int proc, const char *name)
{
    char path[32];
    snprintf(path, sizeof path, "%.15s/fd", name);
    int fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd == -1 ? NULL : fdopendir(fd);
    if (!directory)
        return 0; /* ended by now */
    pid_t pid = (pid_t)strtol(name, NULL, 10);
    const struct dirent *entry;
    int rc = 0;
    while (rc == 0 && (entry = readdir(directory)))
        if (is_number(entry->d_name))
            rc = look_at_link(fd, entry->d_name, pid);
    closedir(directory);
    return rc;
}

static int look_at_all(void)
{
    DIR *proc = opendir("/proc");
    const struct dirent *entry;
    int rc = 0;
    if (!proc)
        return -1;
    while (rc == 0 && (entry = readdir(proc)))
        if (is_number(entry->d_name))
            rc = look_at_process(dirfd(proc), entry->d_name);
    closedir(proc);
    return rc;
}

static int by_number(const void *a, const void *b)
{
    const struct found *x = a;
    const struct found *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

/* Whether it answers does not matter here. */
static void ask_pipe(const struct found *found)
{
    int queued;
    int process = pidfd_open(found->pid, 0);
    int fd = process == -1 ? -1 : pidfd_getfd(process, found->fd, 0);
    if (fd != -1) {
        (void)fcntl(fd, F_GETPIPE_SZ);
        (void)ioctl(fd, FIONREAD, &queued);
        close(fd);
    }
    if (process != -1)
        close(process);
}

long pipe_walk(bool ask)
{
    long pipes = 0;
    all.count = 0;
    if (look_at_all() == -1)
        return -1;
    if (all.count)
        qsort(all.rows, all.count, sizeof *all.rows, by_number);
    for (size_t i = 0; i < all.count; i++) {
        if (i > 0 && all.rows[i].number == all.rows[i - 1].number)
            continue;
        pipes++;
        if (ask)
            ask_pipe(&all.rows[i]);
    }
    return pipes;
}
